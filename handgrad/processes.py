"""The processes that train one network together: torchrun's, or this one alone. Imports no numpy and no torch."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handgrad.errors import ToldError, UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

TORCHRUNS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Processes:
    """This process among `world`, by its number `rank`, and the device that it computes on.

    All take every step together, each on its own rows. Whatever one does depending on a clock, on a signal or on what
    it alone has computed, the others would wait for in vain: `largest` and `every` let all of them know.
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def share(self, rows: "Array") -> "Array":
        """Return this process's part of a batch: 129 rows on two are 65 and 64; of fewer rows than processes, none."""
        import numpy as np

        return rows if self.world == 1 else np.array_split(rows, self.world)[self.rank]

    def sum(self, values: "Array") -> "Array":
        """Return the sum of an array over all processes; all of them get the same bits."""
        if self.world == 1:
            return values
        from torch_impl import distributed

        return distributed.summed(values)

    def largest(self, *values: int) -> tuple[int, ...]:
        """Return the largest of each number over all processes."""
        if self.world == 1:
            return values
        from torch_impl import distributed

        return distributed.largest(values)

    def every(self, value: Any) -> list[Any]:
        """Return what every process has given, by rank."""
        if self.world == 1:
            return [value]
        from torch_impl import distributed

        return distributed.gathered(value, self.world)

    def of_main(self, value: float) -> float:
        """Return what the main process has given: a decision that goes by it is the same in all."""
        return float(self.every(value)[0])

    @contextmanager
    def together(self, then: Callable[[], str]) -> Iterator[None]:
        """Turn the end of another process into UsageError; `then` says what is left to do here."""
        try:
            yield
        except RuntimeError as error:
            from torch_impl import distributed

            if self.world == 1 or not distributed.lost(error):
                raise
            raise UsageError(f"another process of this training has ended or does not answer; {then()}") from None


ALONE = Processes()


@contextmanager
def join(device: str, at: str = "env://") -> Iterator[Processes]:
    """Join the processes that torchrun has started, on `device` or its own GPU of them; without torchrun, be alone.

    They meet `at` the address in torchrun's environment, or at a new file of theirs, file://PATH. An error ends all of
    them, and the first to raise one tells it: for the others it becomes ToldError.
    """
    if not _launched():
        yield Processes(device=device)
        return
    # torch's C++ half, which reads this once, would tell of a lost process in its own way, on thirty lines.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from torch_impl import distributed

    rank, world, local_rank, here = _places()
    try:
        store = distributed.meet(at, rank, world)
    except (RuntimeError, ValueError) as error:
        address = f"MASTER_ADDR {os.environ['MASTER_ADDR']}, MASTER_PORT {os.environ['MASTER_PORT']}"
        reason = str(error).partition("\n")[0][:200]
        raise UsageError(f"{address}: the processes do not meet there ({reason}); launch them by torchrun") from None
    with _told_once(lambda: distributed.first_to_tell(store)):
        try:
            own = distributed.own_device(device, local_rank, here)
        except ValueError as error:
            raise UsageError(str(error)) from None
        processes = Processes(rank, world, str(own))
        with (
            processes.together(lambda: "what it says tells why, if it could"),
            distributed.group(store, rank, world, own, here == world),
        ):
            yield processes


@contextmanager
def told_by_main() -> Iterator[None]:
    """Let an error that all processes meet alike be told by the first of them."""
    with _told_once(lambda: not _launched() or _places()[0] == 0):
        yield


@contextmanager
def _told_once(here: Callable[[], bool]) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        if here():
            raise
        raise ToldError(str(error)) from None


def _launched() -> bool:
    return all(name in os.environ for name in TORCHRUNS)


def _places() -> tuple[int, int, int, int]:
    """Return the rank, how many processes there are, the rank on this machine, and how many are on it."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        rank, world, local_rank = (int(os.environ[name]) for name in names[:3])
        here = int(os.environ.get(names[3], world))
    except ValueError:
        given = ", ".join(f"{name} {os.environ[name]!r}" for name in names[:3])
        raise UsageError(f"{given}: these are whole numbers where torchrun sets them; unset them, or use it") from None
    return rank, world, local_rank, here
