"""Check a backward pass that someone wrote by hand: where it first goes wrong, and why."""

from handgrad.checking.checker import check
from handgrad.checking.report import Cause, Report

__all__ = ["Cause", "Report", "check"]
