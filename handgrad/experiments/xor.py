"""One layer cannot learn XOR: no line parts (0,1), (1,0) from (0,0), (1,1)."""

from handgrad.comparison import Comparison
from handgrad.experiment import Network, State
from handgrad.experiments._gates import PART_1, gate, perceptron, perceptron_state
from handgrad.weights import normal


def weights(seed: int, network: Network) -> State:
    """The tutorial's OR weights; drawn from N(0, 1) once there are hidden layers."""
    return perceptron_state([0.1, 0.2], 0.3) if len(network.sizes) == 2 else normal(seed, network)


def verdict_of_xor(comparison: Comparison) -> list[str]:
    """Return what was learned, and where to go on."""
    outputs = comparison.final_outputs[0].ravel()
    right = all((y > 0.5) == (t > 0.5) for y, t in zip(outputs, comparison.data.targets.ravel(), strict=True))
    if len(comparison.experiment.network.sizes) == 2:
        return [
            f"One layer: {outputs.min():.4f} to {outputs.max():.4f} for all four rows. The best that it can do "
            "is 0.5 everywhere, since w1 + b > 0 and w2 + b > 0 with b < 0 force w1 + w2 + b > 0 as well.",
            "A hidden layer can: add --sizes 2,4,1 --lr 1, or run xor_hidden (part II's own network).",
        ]
    return [f"With a hidden layer {'all four rows are right' if right else 'not every row is right yet'}."]


EXPERIMENT = perceptron(
    Network("perceptron", (2, 1)),
    name="xor",
    title="one layer cannot learn XOR; a hidden layer can (--sizes 2,4,1)",
    source=f"{PART_1}, limits of a perceptron",
    data=lambda: gate(0, 1, 1, 0),
    weights=weights,
    resizable=True,
    remarks=verdict_of_xor,
)
