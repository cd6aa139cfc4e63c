"""The CSDN lesson: a layered network, both losses, one step, predictions and accuracy."""

import numpy as np

from handgrad.comparison import Comparison
from handgrad.data import Data
from handgrad.experiment import Experiment, Loss, Network, State
from handgrad.weights import normal

SOURCE = "a CSDN lesson on layered networks: feed-forward, loss, back-propagation, evaluation"


def weights(seed: int, network: Network) -> State:
    """The lesson's constants, stored (out, in) where it has (in, out); N(0, 1) for other sizes."""
    if network.sizes != (2, 2, 1):
        return normal(seed, network)
    return {
        "0.weight": np.array([[0.1, 0.3], [0.2, 0.4]]),
        "0.bias": np.array([0.1, 0.2]),
        "2.weight": np.array([[0.5, 0.6]]),
        "2.bias": np.array([0.3]),
    }


LOSSES = {
    "mean (y - t)^2, the lesson's code": Loss("squared_error", 1.0, "mean"),
    "1/(2m) sum (y - t)^2, its formula": Loss("squared_error", 0.5, "mean"),
    "summed cross-entropy, its gradient": Loss("cross_entropy", 1.0, "sum"),
}


def lesson(comparison: Comparison) -> list[str]:
    """Return the feed-forward and back-propagation number by number, and the losses before and after."""
    lines = []
    if comparison.experiment.network.sizes == (2, 2, 1):
        lines = ["Feed-forward and back-propagation of the first step", *comparison.intermediates(), ""]
    lines += ["Losses before and after the training", f"  {'':36}  {'':6}  {'by hand':>24}  {'with autograd':>24}"]
    for name, loss in LOSSES.items():
        for when, state in (("before", comparison.initial), ("after", comparison.final_hand)):
            hand, autograd = comparison.losses_with(state, loss)
            lines.append(f"  {name:36}  {when:6}  {hand:>24}  {autograd:>24}")
    return lines


EXPERIMENT = Experiment(
    name="layered",
    title="feed-forward, loss, back-propagation, update, prediction and accuracy, for any layer sizes",
    source=SOURCE,
    kind="training",
    data=lambda: Data(
        inputs=np.array([[1.0, 2.0], [3.0, 4.0]]),
        targets=np.array([[1.0], [0.0]]),
        features=("x1", "x2"),
        labels=("0", "1"),
        rows=("1,2", "3,4"),
        test_inputs=np.array([[2.0, 3.0], [4.0, 5.0]]),
        test_targets=np.array([[1.0], [0.0]]),
    ),
    network=Network("mlp", (2, 2, 1)),
    weights=weights,
    loss=Loss("squared_error", 0.5, "mean"),
    report=Loss("squared_error", 1.0, "mean"),
    report_every=100,
    lr=0.1,
    epochs=1000,
    published={"loss": Loss("cross_entropy", 1.0, "sum")},
    published_note="the output delta is a - y, without f'(z): the gradient of summed cross-entropy, not of the stated "
    "squared error. (The lesson's unsummed bias gradients crash; here they are summed.)",
    resizable=True,
    remarks=lesson,
)
