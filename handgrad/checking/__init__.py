"""Check a backward pass that someone wrote by hand: where it first goes wrong, and why."""

from handgrad.checking.checks import Checks, check
from handgrad.checking.lecture import Comparison, cmp
from handgrad.checking.report import Cause, Report

__all__ = ["Cause", "Checks", "Comparison", "Report", "check", "cmp"]
