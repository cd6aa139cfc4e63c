"""Normalisation in any spelling is recognised, and the wrong formulas of its gradient are named in each."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from handgrad import check
from handgrad.checking.recognition import operations
from handgrad.checking.record import Record
from handgrad.checking.rules.norm import Terms
from handgrad.checking.rules.rule import Use


def layer_norm(x, g, b):
    return F.layer_norm(x, x.shape[-1:], g, b, 1e-5)


def by_rsqrt(x, g, b):
    c = x - x.mean(-1, keepdim=True)
    return c * torch.rsqrt((c * c).mean(-1, keepdim=True) + 1e-5) * g + b


def by_power(x, g, b):
    m = x.mean(-1, keepdim=True)
    var = (x**2).mean(-1, keepdim=True) - m**2
    return g * ((x - m) * (var + 1e-3) ** -0.5) + b


def by_std(x, g, b):
    return g * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-2) + b


def by_var_mean(x, g, b):
    var, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
    return torch.addcmul(b, (x - mean) / torch.sqrt(var), g)


def as_one_line(x, g, b):
    """scale x + shift: what is normalised is nowhere by itself."""
    m, v = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    scale = g / torch.sqrt(v + 1e-5)
    return x * scale + (b - m * scale)


def one_sum_divided(x, g, b):
    n = x.shape[-1]
    c = x - x.sum(-1, keepdim=True) / n
    return c / ((c**2).sum(-1, keepdim=True) / n + 1e-8).sqrt() * g + b


SPELLINGS = [layer_norm, by_rsqrt, by_power, by_std, by_var_mean, as_one_line, one_sum_divided]


def made(rng):
    params = {"W": rng.standard_normal((4, 7)), "g": rng.uniform(1.2, 2, 7), "b": rng.standard_normal(7)}
    return params, {"x": rng.standard_normal((5, 4)), "up": rng.standard_normal((5, 7))}


def forward_of(norm):
    def forward(p, i):
        h = i["x"] @ p["W"]
        y = norm(h, p["g"], p["b"])
        return (y * i["up"]).sum(), {"h": h, "y": y}

    return forward


def backward_of(norm, change):
    """The right backward of any spelling by autograd, with dx of h and dg changed as `change` does."""

    def backward(p, i):
        params, inputs = ({k: torch.tensor(np.asarray(v)) for k, v in part.items()} for part in (p, i))
        h = (inputs["x"] @ params["W"]).requires_grad_()
        g, b = (params[k].requires_grad_() for k in "gb")
        y = norm(h, g, b)
        loss = (y * inputs["up"]).sum()
        dh, dg, db = (t.numpy() for t in torch.autograd.grad(loss, (h, g, b)))
        dh, dg = change(dh, dg, h.detach().numpy(), ((y - b) / g).detach().numpy(), i["up"], p["g"])
        grads = {"W": i["x"].T @ dh, "g": dg, "b": db}
        return loss.item(), grads, {"h": h.detach().numpy(), "y": y.detach().numpy(), "dh": dh}

    return backward


def rstd(h, xhat):
    c = h - h.mean(-1, keepdims=True)
    return (xhat * c).sum(-1, keepdims=True) / (c * c).sum(-1, keepdims=True)


def mean(a):
    return a.mean(-1, keepdims=True)


CHANGES = {
    "NORM-STATS-CONST": lambda dh, dg, h, xhat, up, g: (up * g * rstd(h, xhat), dg),
    "NORM-NO-MEAN-PATH": lambda dh, dg, h, xhat, up, g: (dh + rstd(h, xhat) * mean(up * g), dg),
    "NORM-MEAN-TWICE": lambda dh, dg, h, xhat, up, g: (dh - rstd(h, xhat) * mean(up * g), dg),
    "NORM-NO-VAR-PATH": lambda dh, dg, h, xhat, up, g: (rstd(h, xhat) * (up * g - mean(up * g)), dg),
    "NORM-POWER": lambda dh, dg, h, xhat, up, g: (dh / rstd(h, xhat), dg),
    "NORM-DGAMMA-X": lambda dh, dg, h, xhat, up, g: (dh, (up * h).sum(0)),
}


# Each spelling with two of the mistakes, each mistake in two spellings or more.
PAIRS = [(norm, list(CHANGES)[(i + k) % len(CHANGES)]) for i, norm in enumerate(SPELLINGS) for k in (0, 3)]


@pytest.mark.parametrize(("norm", "cause"), PAIRS)
def test_each_mistake_is_named_in_each_spelling(norm, cause):
    params, inputs = made(np.random.default_rng(3))
    report = check(forward_of(norm), backward_of(norm, CHANGES[cause]), params, inputs)
    assert [c.id for c in report.causes[:1]] == [cause], str(report)


@pytest.mark.parametrize("norm", SPELLINGS)
def test_the_terms_of_the_gradient_are_those_of_autograd(norm):
    """rstd (d - mean d - share xhat mean(d xhat)) is dh, whatever eps, its place and the variance's divisor."""
    params, inputs = made(np.random.default_rng(4))
    record = Record.run(forward_of(norm), params, inputs)
    (found,) = (o for o in operations(record) if o.kind == "norm" and o.roles["x"] is record.named["h"])
    up = record.grad(found.output)
    terms = Terms(Use(found, up.numpy(), {}, {}, False, record))
    dh = terms.rstd * (terms.d - terms.along - terms.spread)
    assert np.abs(dh - record.grad(record.named["h"]).numpy()).max() < 1e-12 * np.abs(dh).max()


def not_a_norm(x, g, b):
    return (x - x.mean(-1, keepdim=True)) * 0.9 * g + b


def test_what_is_scaled_by_a_constant_is_no_norm():
    params, inputs = made(np.random.default_rng(5))
    assert not [o for o in operations(Record.run(forward_of(not_a_norm), params, inputs)) if o.kind == "norm"]


def test_a_column_of_zeros_is_normalised_too():
    """Behind a ReLU a channel may be 0 for the whole batch: eps alone stands under its root."""
    h = np.random.default_rng(6).standard_normal((6, 4))
    h[:, 1] = 0.0

    def forward(p, i):
        c = p["h"] - p["h"].mean(0)
        return ((c / torch.sqrt((c**2).mean(0) + 1e-2)) * i["up"]).sum()

    record = Record.run(forward, {"h": h}, {"up": np.random.default_rng(7).standard_normal((6, 4))})
    kinds = [o for o in operations(record) if o.kind == "norm" and o.roles["x"] is record.named["h"]]
    assert len(kinds) == 1
    assert kinds[0].attributes["norm"].axes == (0,)
