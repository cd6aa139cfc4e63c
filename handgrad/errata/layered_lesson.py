"""The CSDN lesson's back-propagation: an output delta of another loss, unsummed biases, a factor of two."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from handgrad import experiments
from handgrad.errata.entry import LAYERED, Erratum, Finding, both, each, raised
from handgrad.errata.pair import MEAN_SE, Pair, start, trained
from handgrad.experiment import Experiment, Loss

Array = np.ndarray[Any, np.dtype[Any]]
HALF_MEAN = Loss("squared_error", 0.5, "mean")
KEYS = ("0.weight", "0.bias", "2.weight", "2.bias")
RATE = 0.1
TWO_INPUTS = [[1.0, 2.0], [3.0, 4.0]]
TEST_INPUTS, TEST_TARGETS = [[2.0, 3.0], [4.0, 5.0]], np.array([1.0, 0.0])

# The lesson stores weights (inputs, outputs); these are (outputs, inputs), as torch and we do.
W2_PUBLISHED = (0.4775105635262589, 0.5241404400453293)
W2_HALF_MEAN = (0.039653350364772605, 0.04350441640787441)
W2_MEAN = (0.07930670072954521, 0.08700883281574882)
W1_PUBLISHED = (0.13695064263605197, 0.16487499528901206, 0.08053780998748447, 0.08969404518252647)
B1_UNSUMMED = ((-0.026588792338585823, -0.02653455220117923), (0.05451314499154593, 0.03569078739622123))
B2_UNSUMMED = (-0.2485982895690121, 0.7800753576814037)
B1_SUMMED, B2_SUMMED = (0.027924352652960106, 0.009156235195042002), 0.5314770681123916


def lesson(loss: Loss | None = None) -> Experiment:
    """Return the lesson's network under `loss`, or under its published delta with the biases summed."""
    experiment = experiments.get("layered")
    return experiment.as_published() if loss is None else replace(experiment, loss=loss)


def first_gradients(experiment: Experiment, rows: tuple[int, ...] = (0, 1)) -> dict[str, tuple[Array, Array]]:
    """Return both sides' gradients at the initial weights, over these rows."""
    pair = start(experiment)
    pair.step(np.array(rows))
    return pair.gradients()


@cache
def after_training(published: bool) -> Pair:
    """Return both sides after 1,000 steps at rate 0.1, under the published delta or the stated loss."""
    return trained(lesson(None if published else HALF_MEAN))


def e5() -> list[Finding]:
    """The output layer's gradient of three losses, and where the descents end."""
    published, stated = first_gradients(lesson())["2.weight"], first_gradients(lesson(HALF_MEAN))["2.weight"]
    ratio = [float(p[0] / s[0]) for p, s in zip(published, stated, strict=True)]
    return [
        "Gradients with respect to the output layer's weights, first step:",
        *each(["delta a - y: w1", "delta a - y: w2"], published, W2_PUBLISHED),
        *each(["of 1/(2m) sum of squares: w1", "of 1/(2m) sum of squares: w2"], stated, W2_HALF_MEAN),
        both("ratio of the two, w1", ratio, W2_PUBLISHED[0] / W2_HALF_MEAN[0]),
        "Outputs for the two samples after 1,000 steps:",
        *each(["delta a - y: (1,2)", "delta a - y: (3,4)"], ends(True), [0.9802747747905728, 0.02148969155263385]),
        *each(["1/(2m): (1,2)", "1/(2m): (3,4)"], ends(False), [0.5120936621410016, 0.4634861214074692]),
    ]


def ends(published: bool) -> tuple[Array, Array]:
    """Return both sides' trained outputs for the two samples."""
    return after_training(published).outputs(TWO_INPUTS)


def published_update(weights: list[Any], biases: list[Any], by_weight: list[Any], by_bias: list[Any]) -> None:
    """Take the lesson's step in place: first every weight, then every bias, as arrays or as tensors."""
    for weight, gradient in zip(weights, by_weight, strict=True):
        weight -= RATE * gradient
    for bias, gradient in zip(biases, by_bias, strict=True):
        bias -= RATE * gradient


def unsummed(rows: tuple[int, ...] = (0, 1)) -> tuple[list[Array], list[Array]]:
    """Return the biases' gradients as the lesson has them, a row a sample, on both sides."""
    samples = [first_gradients(lesson(), (row,)) for row in rows]
    hand, autograd = ([np.array([s[key][side] for s in samples]) for key in ("0.bias", "2.bias")] for side in (0, 1))
    return hand, autograd


def crash(rows: tuple[int, ...] = (0, 1)) -> tuple[list[str], list[dict[str, Array]]]:
    """Run the published update in NumPy and in torch; return what each raised, and the state it left."""
    whole, experiment = first_gradients(lesson(), rows), lesson()
    messages: list[str] = []
    states: list[dict[str, Array]] = []
    for side, error, kind in ((0, ValueError, np.array), (1, RuntimeError, torch.tensor)):
        initial = experiment.weights(experiment.seed, experiment.network)
        state = {key: kind(value) for key, value in initial.items()}
        by_weight = [kind(whole[key][side].reshape(initial[key].shape)) for key in KEYS[::2]]
        by_bias = [kind(gradient) for gradient in unsummed(rows)[side]]
        weights, biases = [state[key] for key in KEYS[::2]], [state[key] for key in KEYS[1::2]]
        arguments = (weights, biases, by_weight, by_bias)
        messages.append(raised(error, lambda arguments=arguments: published_update(*arguments)))  # type: ignore[misc]
        states.append({key: np.asarray(value) for key, value in state.items()})
    return messages, states


def refused(message: str) -> str:
    """Return whether the update was refused for its shapes, from what it raised."""
    return "refused" if "broadcast shape" in message else "done"


def e6() -> list[Finding]:
    """The crash, what it leaves behind, and the biases' gradients summed over the batch."""
    messages, states = crash()
    initial = lesson().weights(0, lesson().network)
    moved = [
        [sum(bool((state[key] != initial[key]).any()) for key in keys) for state in states]
        for keys in (KEYS[::2], KEYS[1::2])
    ]
    hand, autograd = unsummed()
    right = first_gradients(lesson())
    left = start(replace(lesson(), weights=lambda seed, network: states[0]))
    left.autograd.load(states[1])
    accuracy = [float((np.round(side) == TEST_TARGETS).mean()) for side in left.outputs(TEST_INPUTS)]
    return [
        f"NumPy, {messages[0]}",
        f"torch, {messages[1]}",
        both("the biases' update", [refused(text) for text in messages], "refused"),
        both("the same with a batch of one sample", [refused(text) for text in crash((0,))[0]], "refused"),
        both("weights already updated by then, of 2", moved[0], 2),
        both("biases already updated by then, of 2", moved[1], 0),
        both("test accuracy in that state", accuracy, 0.5),
        "The biases' gradients as the lesson has them, a row a sample:",
        *each([f"hidden b{b}, sample {s}" for s in (1, 2) for b in (1, 2)], (hand[0], autograd[0]), B1_UNSUMMED),
        *each([f"output b, sample {s}" for s in (1, 2)], (hand[1], autograd[1]), B2_UNSUMMED),
        "Summed over the batch, as they should be:",
        *each(["hidden b1", "hidden b2"], right["0.bias"], B1_SUMMED),
        both("output b", right["2.bias"], B2_SUMMED),
    ]


def e7() -> list[Finding]:
    """The loss of the formula and of the code, and their gradients."""
    formula, code = start(lesson(HALF_MEAN)), start(lesson(MEAN_SE))
    losses = formula.losses(HALF_MEAN), code.losses(MEAN_SE)
    names = ["w1", "w2"]
    by_formula, by_code = first_gradients(lesson(HALF_MEAN))["2.weight"], first_gradients(lesson(MEAN_SE))["2.weight"]
    return [
        both("formula: 1/(2m) sum of squares", losses[0], 0.16757966830960208),
        both("code: mean of squares", losses[1], 0.33515933661920416),
        *each([f"formula: output layer, {name}" for name in names], by_formula, W2_HALF_MEAN),
        *each([f"code: output layer, {name}" for name in names], by_code, W2_MEAN),
    ]


ERRATA = (
    Erratum(
        "E5",
        LAYERED,
        "The output delta belongs to another loss",
        says="The loss is the squared error; the output layer's delta is a - y.",
        right="The delta of 1/(2m) sum (a - y)^2 is (a - y) f'(z) / m. a - y is that of the summed cross-entropy.",
        effect="The gradient is about twelve times as long, in nearly the same direction: after 1,000 steps the "
        "outputs are 0.98 and 0.02 where the stated loss has 0.51 and 0.46.",
        ran="1,000 steps at rate 0.1 under either delta, with the biases' gradients summed",
        run=e5,
    ),
    Erratum(
        "E6",
        LAYERED,
        "The biases' gradients are not summed over the batch, and the update stops with an error",
        says="The gradient of the biases is delta itself, one row a sample; it is subtracted from the biases in place.",
        right="Every sample adds to the one bias: its gradient is the sum of delta over the batch.",
        effect="The step never completes, with one sample no more than with two: the weights of both layers "
        "have moved, no bias has. In a notebook the evaluation goes on with that state.",
        ran="the published step, once in NumPy and once in torch, and the gradients of one right step",
        run=e6,
    ),
    Erratum(
        "E7",
        LAYERED,
        "The formula has a factor 1/2 that the code leaves out",
        says="The formula is 1/(2m) sum (y - a)^2, the code np.mean((y - a)^2).",
        right="Either is a squared error; they differ by a factor of two.",
        effect="The loss and every gradient are twice as large: as if the learning rate were doubled.",
        ran="the loss and one step under each",
        run=e7,
    ),
)
