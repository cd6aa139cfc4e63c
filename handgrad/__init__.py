"""What both sides share, and how they are compared. `from handgrad import check` checks a backward of your own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handgrad.checking import check

__all__ = ["check"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: it brings torch, and `--help` of a command does without.
    if name == "check":
        from handgrad.checking import check

        return check
    raise AttributeError(f"module 'handgrad' has no attribute {name!r}")
