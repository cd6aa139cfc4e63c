"""One step of a training as the chain rule with numbers, beside the lines and the nodes that compute it."""

from handgrad.explaining.step import Explanation, Step

__all__ = ["Explanation", "Step"]
