"""The tutorial's worked example: Alice alone, all weights 1, all biases 0, one step."""

import numpy as np

from handgrad.comparison import Comparison
from handgrad.experiment import Experiment, Network, State
from handgrad.experiments._people import people
from handgrad.weights import NINE_SCALARS, scalars_to_layers

RISE = 1e-3


def all_ones(seed: int, network: Network) -> State:
    """w1..w6 = 1, b1..b3 = 0."""
    return scalars_to_layers({name: np.array(1.0 if name[0] == "w" else 0.0) for name in NINE_SCALARS})


def finite_difference(comparison: Comparison) -> list[str]:
    """Return what raising each parameter by a little does to the loss, beside what its partial foretells."""
    start, data = comparison.initial, comparison.data
    loss = comparison.hand_loss(start)
    partials = comparison.lockstep.first_gradients("hand")
    lines = [f"Raised by {RISE:g}, each alone: what the loss does, and what its partial foretells"]
    for name, (key, index) in NINE_SCALARS.items():
        raised = {k: v.copy() for k, v in start.items()}
        raised[key][index] += RISE
        change = comparison.hand_loss(raised) - loss
        lines.append(f"  {name}  {change: .12e}   {partials[name].item() * RISE: .12e}")
    assert len(data.inputs) == 1
    return lines


EXPERIMENT = Experiment(
    name="alice",
    title="the worked example: Alice (-2, -1), all weights 1, all biases 0; nine partials and one step",
    source='Zhou, "Machine Learning for Beginners", Training a Neural Network, Part 2: Example',
    kind="step",
    data=lambda: people("Alice"),
    network=Network("two_two_one", (2, 2, 1)),
    weights=all_ones,
    lr=0.1,
    batch_size=1,
    remarks=finite_difference,
)
