"""The tutorial's network on real people: 5,434 adults of a health survey instead of four."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from handgrad.comparison import Comparison
from handgrad.data import Data
from handgrad.data.csv_file import classes, read, refuse_one_class
from handgrad.experiment import Experiment, Loss, Network
from handgrad.experiments._people import ASKED, SHIFT
from handgrad.loop import run
from handgrad.metrics import accuracy, confusion_matrix, majority_share
from handgrad.sides import ManualSide
from handgrad.weights import normal

Array = np.ndarray[Any, np.dtype[Any]]

CSV = Path(__file__).parents[1] / "data" / "adults.csv"
KG_PER_LB, CM_PER_IN = 0.45359237, 2.54  # both exact, by definition
SEX = {"F": 1, "M": 0, "female": 1, "male": 0}
LABELS = ("M", "F")
TRAIN = 4347  # four fifths; the other 1,087 are held out
# Up to this many times the twin's distance, the free runs are said to part as the twin does. Measured with
# inputs shift, seeds 0 to 3 and both dtypes: 0.5 to 4 times.
TWIN_FACTOR = 25.0


@cache
def table() -> tuple[Array, Array]:
    """Return weight and height (5434, 2) in lb and in, and the targets (5434, 1), 1 for female.

    The rows stand in the order of the split: the first 4,347 are for training. The split is drawn from a seed
    of its own, so that runs with other seeds are trained and tested on the same people and can be compared.
    """
    found = read(CSV, ("weight_kg", "height_cm"), texts=("sex",))
    targets = classes(found, "sex", SEX)
    rows = np.random.default_rng(0).permutation(len(targets))
    return found.numbers[rows] / (KG_PER_LB, CM_PER_IN), targets[rows]


def adults(shift: tuple[float, ...], scale: tuple[float, ...]) -> Data:
    """Return the adults, their weight and height as (raw - shift) / scale, split into training and test."""
    raw, targets = table()
    refuse_one_class(targets[:TRAIN], LABELS, f"the training part of {CSV}")
    inputs = (raw - shift) / scale
    return Data(
        inputs=inputs[:TRAIN],
        targets=targets[:TRAIN],
        features=("weight", "height"),
        labels=LABELS,
        units=("lb", "in"),
        shift=shift,
        scale=scale,
        asked=tuple((name, tuple((np.array(who) - shift) / scale)) for name, who in ASKED.items()),
        test_inputs=inputs[TRAIN:],
        test_targets=targets[TRAIN:],
    )


def standard() -> Data:
    """Return the adults with mean 0 and standard deviation 1 in training; the test part has no say in either."""
    raw = table()[0][:TRAIN]
    return adults(tuple(raw.mean(axis=0).tolist()), tuple(raw.std(axis=0).tolist()))


def remarks(comparison: Comparison) -> list[str]:
    """Return how both sides do on the held-out people, beside other inputs and beside logistic regression."""
    return [*held_out(comparison), "", *forms(comparison), *parting(comparison)]


def held_out(comparison: Comparison) -> list[str]:
    """Return both sides' accuracy and confusion matrix on people that training has not seen."""
    inputs, targets = unseen(comparison.data)
    majority, share = LABELS[int(targets.mean() > 0.5)], majority_share(targets)
    lines = [f"The {len(targets):,} people held out from training (always answering {majority} gets {share:.4f})"]
    for name, outputs in zip(("by hand", "with autograd"), comparison.outputs(inputs), strict=True):
        (m_m, m_f), (f_m, f_f) = confusion_matrix(outputs, targets)
        lines.append(
            f"  {name:13}  accuracy {accuracy(outputs, targets):.4f}; of {m_m + m_f} M {m_m} taken for M, {m_f} for F; "
            f"of {f_m + f_f} F {f_f} taken for F, {f_m} for M"
        )
    return lines


def forms(comparison: Comparison) -> list[str]:
    """Return the accuracy after the same training on each form of the inputs, and logistic regression's."""
    lines = ["Accuracy on them after the same training by hand, and hidden outputs within 0.01 of 0 or 1"]
    for name in comparison.experiment.inputs:
        experiment = comparison.experiment.with_inputs(name)
        side = trained(experiment)
        inputs, targets = unseen(experiment.data())
        lines.append(f"  {name:13}  {accuracy(side.predict(inputs), targets):.4f}  {saturated(side, inputs):4.0%}")
    lines.append(f"  {'yardstick':13}  {logistic_regression():.4f}        logistic regression: the best straight line")
    return lines


def parting(comparison: Comparison) -> list[str]:
    """Return, where the free runs have parted, that a twin one rounding away does so as well."""
    eps = float(np.finfo(comparison.experiment.dtype).eps)
    apart, twin = comparison.apart, comparison.twin_apart
    if not comparison.lockstep.ok or apart <= np.sqrt(eps):
        return []
    if apart > TWIN_FACTOR * twin:
        return ["", f"Running free the sides end {apart:.1e} apart, a twin one rounding away only {twin:.1e}."]
    return [
        "",
        f"Running free the sides end {apart:.1e} apart, though every step agrees; the hand-written side itself,",
        f"started one rounding away, ends {twin:.1e} from where it did: this training amplifies rounding by itself.",
    ]


def trained(experiment: Experiment) -> ManualSide:
    """Return the hand-written side after the experiment's whole training, without autograd beside it."""
    data = experiment.data()
    side = ManualSide(experiment, data, experiment.weights(experiment.seed, experiment.network))
    with np.errstate(over="ignore", invalid="ignore"):  # with a large lr a training may diverge
        run(experiment, len(data.inputs), side.step, lambda epoch: None)
    return side


def saturated(side: ManualSide, inputs: Array) -> float:
    """Return the share of hidden outputs within 0.01 of 0 or 1, where f' = f (1 - f) is below 0.01."""
    _, saved = side.network.forward(inputs.astype(side.dtype))
    hidden = np.concatenate([saved["h1"], saved["h2"]])
    return float((np.abs(hidden - 0.5) > 0.49).mean())


def logistic_regression() -> float:
    """Return the test accuracy of logistic regression on standard inputs.

    It is a perceptron trained with cross-entropy on the full batch. That loss is convex, so there is one
    minimum to reach; after these steps its gradient is below 1e-12.
    """
    yardstick = Experiment(
        name="logistic regression",
        title="the yardstick",
        source="",
        kind="training",
        data=standard,
        network=Network("perceptron", (2, 1)),
        weights=lambda seed, network: {"0.weight": np.zeros((1, 2)), "0.bias": np.zeros(1)},
        loss=Loss("cross_entropy"),
        lr=4.0,
        epochs=200,
    )
    inputs, targets = unseen(standard())
    return accuracy(trained(yardstick).predict(inputs), targets)


def unseen(data: Data) -> tuple[Array, Array]:
    """Return the inputs and targets that are held out."""
    if data.test_inputs is None or data.test_targets is None:
        raise ValueError("these data have no test part; build them with adults(shift, scale)")
    return data.test_inputs, data.test_targets


EXPERIMENT = Experiment(
    name="adults",
    title="the 2-2-1 network learns to tell women from men by weight and height, from 5,434 adults of a survey",
    source="CDC NHANES 2017-18 (handgrad/data/adults.md); the network is that of the tutorial's people",
    kind="training",
    data=standard,
    inputs={
        "standard": standard,
        "shift": lambda: adults(SHIFT, (1.0, 1.0)),
        "raw": lambda: adults((0.0, 0.0), (1.0, 1.0)),
    },
    inputs_as="standard",
    network=Network("two_two_one", (2, 2, 1)),
    weights=normal,
    lr=0.1,
    epochs=20,
    batch_size=16,
    order="shuffle",
    remarks=remarks,
)
