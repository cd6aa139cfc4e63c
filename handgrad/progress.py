"""What a training shows while it runs: plain lines, and on a terminal a bar below them."""

import sys
from typing import Any

from handgrad import cli


class Progress:
    """Prints lines to stdout, and shows how many of `total` steps are taken.

    The bar stands on stderr, where that is a terminal and tqdm is there (the extra `progress`); a pipe or a file gets
    the lines alone. `quiet` shows nothing at all.
    """

    def __init__(self, total: int, done: int, who: str, quiet: bool) -> None:
        self.quiet, self.shown = quiet, done
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
