"""What the experiments on names print of their own: names that both sides write with the same draws."""

from typing import TYPE_CHECKING

from handgrad.data.names import read
from handgrad.sampling import sample

if TYPE_CHECKING:
    from handgrad.comparison import Comparison

COUNT = 8


def sampled_names(comparison: "Comparison") -> list[str]:
    """Return COUNT names of each side, from its own weights at the end, on the same draws; new ones are marked."""
    seed = comparison.experiment.seed
    sides = {"by hand": comparison.hand.predict, "with autograd": comparison.autograd.predict}
    known = set(read())
    lines = [f"Names drawn with seed {seed}, each side from its own weights (* stands in no list of the Census)"]
    for who, logits in sides.items():
        names = sample(logits, COUNT, seed)
        lines.append(f"  {who:14} {'  '.join(name + '*' * (name not in known) for name in names)}")
    return lines
