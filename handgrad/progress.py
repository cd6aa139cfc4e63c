"""What a training shows while it runs: plain lines, and on a terminal a bar below them."""

import sys
from collections.abc import Mapping
from typing import Any

from handgrad import cli

SHOWN = 10


class Progress:
    """Prints some SHOWN of a training's `lines` to stdout, and shows how many of its `total` steps are taken.

    The bar stands on stderr, where that is a terminal and tqdm is there (the extra `progress`); a pipe or a file gets
    the lines alone. `quiet` shows nothing at all.
    """

    def __init__(self, who: str, total: int, done: int, lines: int, quiet: bool) -> None:
        self.who, self.quiet, self.shown = who, quiet, done
        self._every, self._reports = max(1, lines // SHOWN), 0
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            try:
                from tqdm import tqdm  # type: ignore[import-untyped]
            except ImportError:
                return
            self._bar = tqdm(total=total, initial=done, desc=who, unit="step", leave=False, file=sys.stderr)

    def advance(self, done: int) -> None:
        """Say that so many steps are taken."""
        if self._bar is not None:
            self._bar.update(done - self.shown)
            self.shown = done

    def report(self, line: Mapping[str, Any], last: bool) -> None:
        """Print a line of metrics, if it is one of those that are shown; the last always is."""
        self._reports += 1
        if not last and self._reports % self._every != 1 % self._every:
            return
        text = f"{self.who:6}  epoch {line['epoch']:>7}  loss {line['loss']:.17g}"
        text += f"  validation {line['validation_loss']:.6g}" if "validation_loss" in line else ""
        text += f"  accuracy {line['validation_accuracy']:.4f}" if "validation_accuracy" in line else ""
        self.say(text)

    def say(self, line: str) -> None:
        """Print a line, above the bar where there is one."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.clear()
        cli.say(line)
        if self._bar is not None:
            self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
