"""Update rules: the known wrong ones. A new mistake is one entry: its id, a sentence, whose rule, the formula."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handgrad.checking.record import Arrays
from handgrad.checking.rules.update_forms import Formula, adagrad, adam, rmsprop, sgd

CLIP_EPS = 1e-6  # torch's clip_grad_norm_ divides by the norm plus this

# The right formula of each optimizer, by the name of torch's class.
RIGHT: dict[str, Formula] = {
    "SGD": sgd(),
    "Adam": adam(),
    "AdamW": adam(),
    "RMSprop": rmsprop(),
    "Adagrad": adagrad(),
}
ADAMS = ("Adam", "AdamW")


@dataclass(frozen=True)
class UpdateRule:
    """A known wrong formula of one of torch's optimizers: it is run in its place, with the optimizer's own settings."""

    id: str
    optimizers: tuple[str, ...]
    sentence: str
    formula: Formula


@dataclass(frozen=True)
class GradientRule:
    """A known wrong treatment of the gradients before any optimizer's step: change(grads, the norm to clip to).

    It stands in place of the clipping. `mirrored` turns the whole step round. `fine` is another convention.
    """

    id: str
    sentence: str
    change: Callable[[Arrays, float], Arrays]
    mirrored: bool = False
    fine: bool = False


def clipped(grads: Arrays, limit: float, eps: float = CLIP_EPS) -> Arrays:
    """Return all gradients times min(1, limit / (norm of them all + eps)), as torch clips."""
    norm = np.sqrt(sum(float((g**2).sum()) for g in grads.values()))
    return {name: g * min(1.0, limit / (norm + eps)) for name, g in grads.items()}


def _each(grads: Arrays, limit: float, eps: float = CLIP_EPS) -> Arrays:
    return {name: clipped({name: g}, limit, eps)[name] for name, g in grads.items()}


GRADIENT_RULES = [
    GradientRule("LOSS-SIGN", "the step goes up the gradient: p = p + lr g", lambda g, limit: clipped(g, limit), True),
    GradientRule(
        "LOSS-SIGN",
        "the gradient's sign is wrong, that of the weight decay is right",
        lambda g, limit: {name: -value for name, value in clipped(g, limit).items()},
    ),
    GradientRule(
        "OPT-CLIP-PER-TENSOR", "each tensor is clipped by its own norm: the norm to clip by is that of them all", _each
    ),
    GradientRule(
        "OPT-CLIP-PER-TENSOR",
        "each tensor is clipped by its own norm: the norm to clip by is that of them all",
        lambda g, limit: _each(g, limit, 0.0),
    ),
    GradientRule(
        "OPT-CLIP-VALUE",
        "single entries are cut off at the limit: the whole gradient is to be scaled down to this norm",
        lambda g, limit: {name: np.clip(value, -limit, limit) for name, value in g.items()},
    ),
    GradientRule(
        "CTRL-CLIP-EPS",
        "torch's clip_grad_norm_ adds 1e-6 to the norm, this code does not",
        lambda g, limit: clipped(g, limit, 0.0),
        fine=True,
    ),
]

_T = "t is wrong in Adam's bias corrections"
_UNDER = "eps stands under the root, sqrt(v + eps): it is sqrt(v) + eps"

UPDATE_RULES = [
    UpdateRule("OPT-ADAM-T", ADAMS, f"{_T}: it is one ahead", adam(t=lambda s: s.t + 1)),
    UpdateRule(
        "OPT-ADAM-T",
        ADAMS,
        f"{_T}: it is counted once for each tensor",
        adam(t=lambda s: (s.t - 1) * s.count + s.number + 1),
    ),
    UpdateRule(
        "OPT-ADAM-T", ADAMS, f"{_T}: it is one behind from the second step on", adam(t=lambda s: max(s.t - 1, 1))
    ),
    UpdateRule("OPT-ADAM-T", ADAMS, f"{_T}: it stays 1", adam(t=lambda s: 1)),
    UpdateRule(
        "OPT-ADAM-NO-CORRECTION",
        ADAMS,
        "the moments are used without their bias corrections",
        adam(corrected=(False, False)),
    ),
    UpdateRule(
        "OPT-ADAM-NO-CORRECTION",
        ADAMS,
        "the first moment is not divided by 1 - beta1^t",
        adam(corrected=(False, True)),
    ),
    UpdateRule(
        "OPT-ADAM-NO-CORRECTION",
        ADAMS,
        "the second moment is not divided by 1 - beta2^t",
        adam(corrected=(True, False)),
    ),
    UpdateRule("OPT-EPS-PLACE", ADAMS, _UNDER, adam(eps="under")),
    UpdateRule("OPT-EPS-PLACE", ADAMS, "eps is added before the bias correction", adam(eps="before")),
    UpdateRule("OPT-EPS-PLACE", ("RMSprop",), _UNDER, rmsprop(eps_under=True)),
    UpdateRule("OPT-EPS-PLACE", ("Adagrad",), _UNDER, adagrad(eps_under=True)),
    UpdateRule(
        "OPT-WD-COUPLED",
        ("AdamW",),
        "the weight decay is in the gradient, and so in the moments: AdamW's is p = p (1 - lr wd), beside them",
        adam(other_decay=True),
    ),
    UpdateRule(
        "OPT-WD-COUPLED",
        ("Adam",),
        "the weight decay is AdamW's, p = p (1 - lr wd): Adam adds wd p to the gradient",
        adam(other_decay=True),
    ),
    UpdateRule("OPT-STALE-BUFFER", ADAMS, "the step uses the first moment of the step before", adam(stale=True)),
    UpdateRule("OPT-STALE-BUFFER", ("SGD",), "the step goes along the buffer of the step before", sgd(stale=True)),
    UpdateRule(
        "OPT-STALE-BUFFER", ("RMSprop",), "the step goes along the buffer of the step before", rmsprop(stale=True)
    ),
    UpdateRule(
        "OPT-DAMPENING",
        ("SGD",),
        "the buffer is mu v + (1 - mu) g: torch's is mu v + g",
        sgd(dampened="always"),
    ),
    UpdateRule(
        "OPT-DAMPENING",
        ("SGD",),
        "the buffer is mu v + (1 - mu) g after the first step: torch's is mu v + g",
        sgd(dampened="later"),
    ),
    UpdateRule(
        "OPT-DAMPENING",
        ("RMSprop",),
        "the buffer is mu v + (1 - mu) u: torch's is mu v + u",
        rmsprop(dampened=True),
    ),
    UpdateRule(
        "OPT-LR-IN-BUFFER",
        ("SGD",),
        "the learning rate stands inside the buffer, v = mu v + lr g: the same as torch's until the rate changes",
        sgd(rate_inside=True),
    ),
]
