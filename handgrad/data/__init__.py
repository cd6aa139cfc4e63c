"""Tables of samples: the tutorials' own, and real ones from files."""

from handgrad.data.table import Data, contradictions

__all__ = ["Data", "contradictions"]
