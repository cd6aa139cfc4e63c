"""Ctrl-C and a request to end, kept until the step under way is finished."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TrainingInterruptedError(Exception):
    """A training was asked to end, and has saved; `status` is the exit status, 128 and the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number


class Asked:
    """Which signal has asked to end, None so far."""

    number: int | None = None


@contextmanager
def asked_to_end() -> Iterator[Asked]:
    """Note SIGINT and SIGTERM instead of ending by them; a second one ends at once, as it would without this.

    One that is ignored stays ignored: a shell has it so for what it runs in the background.
    """
    asked = Asked()
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        asked.number = number
        for other, handler in before.items():
            signal.signal(other, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, note)
    try:
        yield asked
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
