"""Samples: the tutorials' own tables, and real ones from files."""

from handgrad.data.description import describe
from handgrad.data.table import IGNORED, Data, contradictions

__all__ = ["IGNORED", "Data", "contradictions", "describe"]
