"""The size of honest rounding: how far apart two right computations of a layered network may be.

A floating-point operation errs by at most half a unit of its result, eps/2 * |result|, and hands on the
errors of its operands, multiplied by its derivatives. Carried along to first order beside every value, that
gives each number its scale: eps * scale is one rounding of everything that went into it. Measuring in these
units instead of eps * |number| is what tells cancellation and saturation from mistakes: where a sigmoid is
near 1, the derivative a (1 - a) has lost its leading digits on both sides, and a difference of a million
eps * |number| is honest.

Two things lie beyond the first order. Where a factor is exactly 0 only the product of two errors is left,
eps * e_a * e_b, and is added. And a result below the smallest normal number `tiny` may come out as 0: e^90 is
infinite in float32, so that 1 / (1 + e^90) is 0 there. So tiny / eps is added where a saturated sigmoid can
make a result that small.

One operation counts once; sums of K terms are given the sum of their terms' magnitudes, not K times that.
All arrays are float64; `error` of x is called e_x below.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from handgrad import weights
from handgrad.experiment import Experiment, Loss
from manual.nn.activation import sigmoid

Array = np.ndarray[Any, np.dtype[Any]]


Layers = Sequence[tuple[Array, Array | None]]


class Scales(NamedTuple):
    """The scale of the loss, and of the gradient and the updated value of each tensor, in layer order."""

    loss: Array
    gradients: list[Array]
    updated: list[Array]


def _smallest(experiment: Experiment) -> tuple[float, float]:
    """Return eps, and the scale of a result that may be lost below the smallest normal number."""
    info = np.finfo(experiment.dtype)
    return float(info.eps), float(info.tiny) / float(info.eps)


def forward(experiment: Experiment, layers: Layers, inputs: Array) -> tuple[list[Array], list[Array]]:
    """Return the activations of every layer, the inputs first, and the scales of their errors."""
    _, lost = _smallest(experiment)
    activations, errors = [inputs], [np.zeros_like(inputs)]
    for number, (weight, bias) in enumerate(layers, 1):
        a, e_a = activations[-1], errors[-1]
        logit = a @ weight.mT
        e_logit = (e_a + np.abs(a)) @ np.abs(weight).mT
        if bias is not None:
            logit, e_logit = logit + bias, e_logit + np.abs(bias)
        if number == len(layers) and experiment.linear_output:
            a, e_a = logit, e_logit
        else:
            a = sigmoid(logit)
            e_a = a * (1 - a) * e_logit + 2 * a + lost
        activations.append(a)
        errors.append(e_a)
    return activations, errors


def scales(experiment: Experiment, layers: Layers, inputs: Array, targets: Array) -> Scales:
    """Return the scales of one training step of a network of linear layers and sigmoids.

    `layers` holds (W, b) of each layer, b None without a bias; inputs (N, in), targets (N, out). All may have
    a leading axis of steps, b then (steps, 1, out).
    """
    eps, lost = _smallest(experiment)
    activations, errors = forward(experiment, layers, inputs)

    loss, delta, e_delta = _loss(experiment, activations[-1], errors[-1], targets)
    if not experiment.linear_output:
        published = experiment.network.published
        delta, e_delta = _through_sigmoid(activations[-1], errors[-1], delta, e_delta, eps, lost, published)

    gradients: list[Array] = []
    updated: list[Array] = []
    for (weight, bias), a, e_a in zip(reversed(layers), activations[-2::-1], errors[-2::-1], strict=True):
        grad_weight = delta.mT @ a
        e_weight = (e_delta + np.abs(delta)).mT @ np.abs(a) + np.abs(delta).mT @ e_a + a.shape[-2] * lost
        found = [(weight, grad_weight, e_weight)]
        if bias is not None:
            kept = bias.ndim > 1
            grad_bias = delta.sum(axis=-2, keepdims=kept)
            found.append((bias, grad_bias, (e_delta + np.abs(delta)).sum(axis=-2, keepdims=kept)))
        gradients[:0] = [e for _, _, e in found]
        updated[:0] = [np.abs(p) + experiment.lr * (np.abs(g) + e) for p, g, e in found]
        if a is not inputs:
            e_hidden = (e_delta + np.abs(delta)) @ np.abs(weight) + lost
            delta, e_delta = _through_sigmoid(a, e_a, delta @ weight, e_hidden, eps, lost, False)
    return Scales(loss, gradients, updated)


def flat_scales(
    experiment: Experiment, shapes: Mapping[str, tuple[int, ...]], starts: Array, inputs: Array, targets: Array
) -> Array:
    """Return the scales of many steps as (steps, 1 + 2 parameters): loss, gradients, updated parameters.

    `shapes` names the network's own parameters in the order in which `starts` (steps, parameters) has them;
    inputs (steps, N, in), targets (steps, N, out).
    """
    scalar = experiment.network.name == "two_two_one"
    places = np.arange(starts.shape[1])
    if scalar:  # where each of the nine stands among the tensors of the layered network
        named = weights.scalars_to_layers(dict(zip(shapes, places, strict=True)))
        places = np.concatenate([tensor.reshape(-1) for tensor in named.values()])
        shapes = {key: tensor.shape for key, tensor in named.items()}
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(starts[:, places], ends[:-1], axis=1)
    state = {
        key: part.reshape(-1, *(1,) * (2 - len(shape)), *shape)
        for (key, shape), part in zip(shapes.items(), parts, strict=True)
    }
    found = scales(experiment, weights.layers(experiment.network, state), inputs, targets)
    back = np.argsort(places)
    flat = [
        np.concatenate([t.reshape(len(starts), -1) for t in part], axis=1) for part in (found.gradients, found.updated)
    ]
    return np.concatenate([found.loss[:, None], *(part[:, back] for part in flat)], axis=1)


def _through_sigmoid(
    a: Array, e_a: Array, grad: Array, e_grad: Array, eps: float, lost: float, published: bool
) -> tuple[Array, Array]:
    """grad * f' with f' = a (1 - a), whose derivative by a is 1 - 2a."""
    if published:  # the same form, at s(a) instead of a
        s = sigmoid(a)
        a, e_a = s, s * (1 - s) * e_a + 2 * s
    slope = a * (1 - a)
    e_slope = np.abs(1 - 2 * a) * e_a + 2 * slope + lost
    return grad * slope, e_grad * slope + np.abs(grad) * e_slope + eps * e_grad * e_slope + lost


def _loss(experiment: Experiment, y: Array, e_y: Array, t: Array) -> tuple[Array, Array, Array]:
    """Return the loss's scale, and dL/dy with its scale."""
    factor = _factor(experiment.loss, y)
    loss = reported(experiment.loss, y, e_y, t, experiment.from_logits, _smallest(experiment)[0])
    if experiment.loss.kind == "cross_entropy":  # always from logits when it is trained on
        p = sigmoid(y)
        return loss, factor * (p - t), factor * (p * (1 - p) * e_y + 2 * p + np.abs(p - t))
    r, e_r = y - t, e_y + np.abs(y - t)
    return loss, 2 * factor * r, 2 * factor * (e_r + np.abs(r))


def _factor(loss: Loss, y: Array) -> float:
    return loss.factor / (y.shape[-2] * y.shape[-1] if loss.reduction == "mean" else 1)


def reported(loss: Loss, y: Array, e_y: Array, t: Array, from_logits: bool, eps: float) -> Array:
    """Return the scale of a loss of outputs y (..., N, outputs) whose own scale is e_y."""
    if loss.kind == "signed_error":
        entries = e_y + np.abs(y - t)
    elif loss.kind == "squared_error":
        e_r = e_y + np.abs(y - t)
        entries = 2 * np.abs(y - t) * e_r + (y - t) ** 2 + eps * e_r * e_r
    elif from_logits:
        entries = np.abs(sigmoid(y) - t) * e_y + np.abs(y) + np.abs(y * t) + 1
    else:  # of probabilities, with torch's floors of 1e-12 and -100
        slope = np.abs(y - t) / np.maximum(y * (1 - y), 1e-12)
        entries = np.minimum(slope * e_y, 100 / eps) + 100 * (y * (1 - y) < 1e-12) + 1
    return np.asarray(_factor(loss, y) * entries.sum(axis=(-2, -1)))
