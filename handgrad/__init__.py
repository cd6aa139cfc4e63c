"""What both sides share, and how they are compared. `from handgrad import check, cmp` checks a backward of your own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handgrad.checking import check, cmp

__all__ = ["check", "cmp"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: they bring torch, and `--help` of a command does without.
    if name in __all__:
        from handgrad import checking

        return getattr(checking, name)
    raise AttributeError(f"module 'handgrad' has no attribute {name!r}")
