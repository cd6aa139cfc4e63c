"""What the experiments on characters print of their own: what both sides write with the same draws."""

from typing import TYPE_CHECKING

from handgrad.sampling import Writer

if TYPE_CHECKING:
    from handgrad.comparison import Comparison

NAMES, CHARACTERS = 8, 60


def sampled(comparison: "Comparison") -> list[str]:
    """Return what each side writes from its own weights at the end, on the same draws: names, or a piece of text.

    Of names, new ones are marked.
    """
    seed, data = comparison.experiment.seed, comparison.data
    sides = {"by hand": comparison.hand.predict, "with autograd": comparison.autograd.predict}
    options = dict(comparison.experiment.network.options)
    writer = Writer(data.classes, data.inputs.shape[1], "block_size" in options)
    if data.features == ("character",):
        lines = [f"Text written with seed {seed}, each side from its own weights"]
        return lines + [f"  {who:14} {writer.text(f, 1, seed, CHARACTERS)[0]!r}" for who, f in sides.items()]
    known = {writer.name(row) for inputs, _ in data.parts.values() for row in inputs[:, 1:]}
    lines = [f"Names drawn with seed {seed}, each side from its own weights (* stands in no list that was read)"]
    for who, logits in sides.items():
        names = writer.names(logits, NAMES, seed)
        lines.append(f"  {who:14} {'  '.join(name + '*' * (name not in known) for name in names)}")
    return lines
