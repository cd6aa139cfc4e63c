"""What both sides share, and how they are compared.

`from handgrad import check, cmp` checks a backward of your own, `from_torch` and `to_torch` turn a module of one side
into its twin of the other.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handgrad.checking import check, cmp
    from handgrad.convert import from_torch, to_torch

__all__ = ["check", "cmp", "from_torch", "to_torch"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: they bring torch, and `--help` of a command does without.
    if name in ("check", "cmp"):
        from handgrad import checking

        return getattr(checking, name)
    if name in __all__:
        from handgrad import convert

        return getattr(convert, name)
    raise AttributeError(f"module 'handgrad' has no attribute {name!r}")
