"""Normalisation: a term of its gradient lost or twice, another count, power or axis, the gain."""

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

import numpy as np

from handgrad.checking.record import Array
from handgrad.checking.rules.graph import makers
from handgrad.checking.rules.norm_find import norms
from handgrad.checking.rules.norm_inside import COUNT, KEEPDIMS, POWER, summed_to
from handgrad.checking.rules.norm_written import Norm
from handgrad.checking.rules.rule import Rule, Use, Wrong

Wrongs = Iterable[tuple[str, Wrong]]


class Terms:
    """The terms of dx = rstd (d - along - spread); along = mean(d), spread = share xhat mean(d xhat)."""

    def __init__(self, use: Use, up: Array | None = None) -> None:
        norm: Norm = use.operation.attributes["norm"]
        self.norm, self.n, self.centred = norm, norm.count, norm.centred
        self.rstd, self.xhat = norm.rstd, norm.xhat
        self.d = (use.up * norm.gain if up is None else up).reshape(norm.form)
        self.along = self.mean(self.d) if norm.centred else 0.0 * norm.rstd
        self.inner = norm.share * self.mean(self.d * norm.xhat)
        self.spread = norm.xhat * self.inner

    def mean(self, array: Array, axes: tuple[int, ...] | None = None) -> Array:
        """Return the mean over the norm's axes, or over others, kept as axes of one."""
        found: Array = array.mean(axis=self.norm.axes if axes is None else axes, keepdims=True)
        return found

    def squeezed(self, array: Array) -> Array:
        """Return a row's number as it is without keepdims: it then meets the columns."""
        found: Array = array.squeeze(self.norm.axes)
        return found


Change = Callable[[Terms], Iterable[Array] | Iterable[tuple[str, Array]]]


def _norm(make: Callable[[Terms], Iterable[Array]], centred: bool = False) -> Callable[[Use], Wrongs]:
    """Apply what gives dx / rstd in place of d - along - spread; `centred` asks for a norm that takes the mean off."""

    def formula(use: Use) -> Wrongs:
        terms = Terms(use)
        if "x" in use.true and (terms.centred or not centred):
            for found in make(terms):
                if found.shape == terms.norm.form:
                    yield "", {"x": (terms.rstd * found).reshape(use["x"].shape)}

    return formula


def _wrong_axes(t: Terms) -> Iterator[Array]:
    """Both means over other axes, then each alone."""
    axes = range(t.d.ndim)
    others = [o for count in range(1, t.d.ndim + 1) for o in combinations(axes, count) if o != t.norm.axes]
    for other in others:
        along = t.mean(t.d, other) if t.centred else 0.0
        spread = t.xhat * t.mean(t.d * t.xhat, other) * t.norm.share
        yield t.d - along - spread
        yield t.d - t.along - spread
        if t.centred:
            yield t.d - along - t.spread


def _wrong_axes_of(use: Use) -> Wrongs:
    """As above; where the norm has groups of channels, or is one of a view, over the axes of x as well."""
    terms = Terms(use)
    if "x" not in use.true:
        return
    yield from _norm(_wrong_axes)(use)
    made = makers(use.record).get(id(use.operation.roles["x"]), [])
    viewed = {tuple(node.inputs[0].shape) for node in made if node.op in ("view", "_unsafe_view")}
    for shape in sorted({use["x"].shape, *viewed} - {terms.norm.form}):
        d, xhat = terms.d.reshape(shape), terms.xhat.reshape(shape)
        rstd = np.broadcast_to(terms.rstd, terms.norm.form).reshape(shape)
        for count in range(1, len(shape) + 1):
            for axes in combinations(range(len(shape)), count):
                along, inner = (a.mean(axis=axes, keepdims=True) for a in (d, d * xhat))
                yield "", {"x": (rstd * (d - along - xhat * inner)).reshape(use["x"].shape)}


def _no_keepdims(t: Terms) -> Iterator[Array]:
    """Each of the rows' numbers, or all, meets the columns: this runs where there are as many rows as columns."""
    last = t.d.ndim - 1
    if last not in t.norm.axes:
        return
    try:
        along, inner = (np.broadcast_to(t.squeezed(a), t.d.shape) for a in (t.along, t.inner))
        ratio = t.squeezed(t.rstd) / t.rstd
    except ValueError:  # the shapes do not fit, so nobody can have computed this
        return
    yield t.d - along - t.spread
    yield t.d - t.along - t.xhat * inner
    yield t.d - along - t.xhat * inner
    yield (t.d - t.along - t.spread) * ratio
    yield (t.d - along - t.xhat * inner) * ratio


def _of_another(same_code: bool) -> Callable[[Use], Wrongs]:
    """The deviation or the normalised values of another norm in the run, or both: of the same code, or of other."""

    def formula(use: Use) -> Wrongs:
        t, node = Terms(use), use.operation.node
        for other, norm in norms(use.record) if "x" in use.true else ():
            fits = norm.form == t.norm.form and norm.rstd.shape == t.rstd.shape
            if other is node or not fits or (other.site[:1] == node.site[:1]) != same_code:
                continue
            for rstd, xhat in ((norm.rstd, t.xhat), (t.rstd, norm.xhat), (norm.rstd, norm.xhat)):
                inner = t.norm.share * t.mean(t.d * xhat)
                yield "", {"x": (rstd * (t.d - t.along - xhat * inner)).reshape(use["x"].shape)}

    return formula


def _gain_dropped(use: Use) -> Wrongs:
    t = Terms(use, use.up)
    if "x" in use.true and not np.isscalar(t.norm.gain):
        yield "", {"x": (t.rstd * (t.d - t.along - t.spread)).reshape(use["x"].shape)}


def _eval_gain_dropped(use: Use) -> Wrongs:
    norm: Norm = use.operation.attributes["norm"]
    if "x" in use.true and not np.isscalar(norm.gain):
        yield "", {"x": norm.rstd * use.up}


def _gain_with(make: Callable[[Use, Norm], Array]) -> Callable[[Use], Wrongs]:
    def formula(use: Use) -> Wrongs:
        norm: Norm = use.operation.attributes["norm"]
        if "gamma" in use.true and not np.isscalar(norm.gain):
            other = make(use, norm).reshape(use.up.shape)
            yield "", {"gamma": summed_to(use.up * other, np.shape(norm.gain)).reshape(use["gamma"].shape)}

    return formula


RULES = [
    Rule(
        "NORM-STATS-CONST",
        ("norm",),
        "mean and variance are taken for constants, as in eval mode: dx = dxhat / std",
        _norm(lambda t: [t.d], centred=True),
    ),
    Rule(
        "NORM-STATS-CONST",
        ("norm_eval",),
        "mean and variance are constants in eval mode, and are differentiated through as in training",
        _norm(lambda t: [t.d - t.along - t.spread]),
    ),
    Rule(
        "NORM-NO-MEAN-PATH",
        ("norm",),
        "the way through the mean is lost: mean(dxhat) is not taken off",
        _norm(lambda t: [t.d - t.spread], centred=True),
    ),
    Rule(
        "NORM-NO-VAR-PATH",
        ("norm",),
        "the way through the variance is lost: xhat mean(dxhat xhat) is not taken off",
        _norm(lambda t: [t.d - t.along]),
    ),
    Rule(
        "NORM-MEAN-TWICE",
        ("norm",),
        "mean(dxhat) is taken off twice",
        _norm(lambda t: [t.d - 2 * t.along - t.spread], centred=True),
    ),
    Rule(
        "NORM-DDOF-BACKWARD",
        ("norm",),
        COUNT,
        _norm(lambda t: [t.d - t.along - t.spread * f for f in (t.n / max(t.n - 1, 1), (t.n - 1) / t.n)]),
    ),
    Rule("NORM-GAMMA-DROPPED", ("norm_eval",), "the gain is missing: dxhat = dy * gamma, not dy", _eval_gain_dropped),
    Rule("NORM-GAMMA-DROPPED", ("norm",), "the gain is missing: dxhat = dy * gamma, not dy", _gain_dropped),
    Rule(
        "NORM-DGAMMA-X",
        ("norm", "norm_eval"),
        "the gain's gradient is formed with x: it is sum(dy * xhat)",
        _gain_with(lambda u, norm: u["x"]),
    ),
    Rule(
        "LIN-WRONG-CACHE",
        ("norm",),
        "the gain's gradient is formed with the layer's result: it is sum(dy * xhat)",
        _gain_with(lambda u, norm: u["y"]),
    ),
    Rule(
        "NORM-POWER",
        ("norm",),
        POWER,
        _norm(
            lambda t: [
                *((t.d - t.along - t.spread) * t.rstd**p for p in (-1, 1, 2, -2)),
                # without a mean, rstd once too little is also x for xhat in the product: that would be a guess
                *(t.d - t.along - t.spread * t.rstd**p for p in ((-2, -1, 1, 2) if t.centred else (-2, 1, 2))),
            ]
        ),
    ),
    Rule(
        "CACHE-STALE",
        ("norm",),
        "the statistics or the normalised values are those of another call of the same code",
        _of_another(same_code=True),
    ),
    Rule(
        "LIN-WRONG-CACHE",
        ("norm",),
        "the statistics or the normalised values are those of another layer",
        _of_another(same_code=False),
    ),
    Rule("NORM-ROW-BROADCAST", ("norm",), KEEPDIMS, _norm(_no_keepdims)),
    Rule("NORM-WRONG-AXIS", ("norm",), "the means run over other axes than those of the norm", _wrong_axes_of),
]
