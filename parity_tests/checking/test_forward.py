"""A wrong forward: what it computes instead is named, and whether the backward at least follows from it."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from handgrad import check
from handgrad.checking.record import Record

EPS = 1e-5


def forward(p, i):
    z = i["x"] @ p["W"] + p["b"]
    a = functional.gelu(z)
    var = a.var(-1, keepdim=True, correction=0)
    std = (var + EPS).sqrt()
    s = torch.softmax((a - a.mean(-1, keepdim=True)) / std, -1)
    return ((s - i["y"]) ** 2).mean(), {"z": z, "a": a, "var": var, "std": std, "s": s}


def value(wrong, p, i):
    """The same forward with a mistake in it, in torch as well: its gradients are right for it."""
    z = i["x"] @ p["W"] + (0 if wrong == "no bias" else p["b"])
    a = functional.gelu(z, approximate="tanh" if wrong == "tanh form" else "none")
    a = {"silu": functional.silu(z), "1.702": z * torch.sigmoid(1.702 * z)}.get(wrong, a)
    var = a.var(-1, keepdim=True, correction=1 if wrong == "n - 1" else 0)
    std = {"eps outside": var.sqrt() + EPS, "no eps": var.sqrt(), "eps 1e-3": (var + 1e-3).sqrt()}.get(
        wrong, (var + EPS).sqrt()
    )
    n = (a - a.mean(-1, keepdim=True)) / std
    s = torch.softmax(n, 0 if wrong == "axis" else -1)
    error = (s - i["y"]) ** 2
    loss = {"sum": error.sum(), "half": error.mean() / 2, "rows": error.sum() / len(z)}.get(wrong, error.mean())
    if wrong == "unknown":
        loss = error.sqrt().mean()
    return loss, {"z": z, "a": a, "var": var, "std": std, "s": s}


def backward(wrong, broken=False):
    def by_hand(p, i):
        record = Record.run(lambda p, i: value(wrong, p, i), p, i)
        grads = {name: record.grad(record.named[name]).numpy() * (3 if broken else 1) for name in p}
        return record.loss.detach().numpy(), grads, {n: record.named[n].detach().numpy() for n in record.intermediates}

    return by_hand


def make(rng):
    n, d, k = rng.permutation(np.arange(3, 9))[:3]
    p = {"W": rng.normal(size=(d, k)), "b": rng.normal(size=k)}
    return p, {"x": rng.normal(size=(n, d)), "y": rng.uniform(size=(n, k))}


CAUSES = {
    "no bias": ("z", "FORWARD-LEFT-OUT"),
    "tanh form": ("a", "ACT-VARIANT"),
    "1.702": ("a", "ACT-VARIANT"),
    "silu": ("a", "ACT-OTHER"),
    "n - 1": ("var", "NORM-DDOF-FORWARD"),
    "eps outside": ("std", "NORM-EPS-PLACE"),
    "no eps": ("std", "NORM-EPS-PLACE"),
    "eps 1e-3": ("std", "NORM-EPS-VALUE"),
    "axis": ("s", "SOFTMAX-AXIS"),
    "sum": ("loss", "LOSS-NO-MEAN"),
    "half": ("loss", "LOSS-FACTOR-2"),
    "rows": ("loss", "LOSS-WRONG-COUNT"),
}


@pytest.mark.parametrize("wrong", CAUSES)
def test_what_the_forward_computes_instead(wrong):
    first, cause = CAUSES[wrong]
    found = check(forward, backward(wrong), *make(np.random.default_rng(0)), make)
    assert (found.first_wrong, found.stage) == (first, "forward"), str(found)
    assert [c.id for c in found.causes][:1] == [cause], str(found)


def test_a_forward_with_a_mistake_that_is_not_known_gets_no_cause():
    found = check(forward, backward("unknown"), *make(np.random.default_rng(0)))
    assert (found.first_wrong, found.stage, found.causes) == ("loss", "forward", [])


@pytest.mark.parametrize("broken", [False, True])
def test_whether_the_backward_follows_from_the_own_loss(broken):
    found = check(forward, backward("tanh form", broken), *make(np.random.default_rng(0)))
    told = [fact for fact in found.facts if "the gradients are" in fact]
    assert len(told) == 1
    assert ("not those of this loss either" in told[0]) == broken


def test_the_own_loss_is_differentiated_by_a_complex_step():
    """Where the code takes complex numbers, a wrong formula shows however small it is."""

    def by_hand(factor):
        def backward(p, i):
            error = i["x"] @ p["w"] - i["y"]
            return 2 * (error**2).sum(), {"w": factor * 4 * i["x"].T @ error}

        return backward

    def theirs(p, i):
        return ((i["x"] @ p["w"] - i["y"]) ** 2).sum()

    rng = np.random.default_rng(0)
    p, i = {"w": rng.normal(size=4)}, {"x": rng.normal(size=(5, 4)), "y": rng.normal(size=5)}
    for factor, said in ((1.0, "only the forward"), (1 + 1e-9, "not those of this loss either")):
        assert any(said in fact for fact in check(theirs, by_hand(factor), p, i).facts)
