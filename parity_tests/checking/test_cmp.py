"""cmp(name, mine, tensor): the verdict and the likely cause of one gradient, in one line."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from handgrad.checking.lecture import cmp
from handgrad.errors import UsageError


def character_model(seed=0, n=32, dtype=torch.float32):
    """An embedding, a hidden layer with batch norm, tanh, cross entropy; every value with its gradient kept."""
    g = torch.Generator().manual_seed(seed)
    leaves = {"C": (27, 10), "W1": (30, 64), "b1": (64,), "gain": (64,), "bias": (64,), "W2": (64, 27), "b2": (27,)}
    t = {name: (torch.randn(s, generator=g, dtype=dtype) * 0.3).requires_grad_() for name, s in leaves.items()}
    x, y = torch.randint(27, (n, 3), generator=g), torch.randint(27, (n,), generator=g)
    t["emb"] = t["C"][x]
    t["before"] = t["emb"].view(n, -1) @ t["W1"] + t["b1"]
    t["centred"] = t["before"] - t["before"].mean(0, keepdim=True)
    t["rstd"] = ((t["centred"] ** 2).sum(0, keepdim=True) / (n - 1) + 1e-5) ** -0.5
    t["xhat"] = t["centred"] * t["rstd"]
    t["normal"] = t["gain"] * t["xhat"] + t["bias"]
    t["h"] = torch.tanh(t["normal"])
    t["logits"] = t["h"] @ t["W2"] + t["b2"]
    loss = functional.cross_entropy(t["logits"], y)
    for value in t.values():
        value.retain_grad()
    loss.backward()
    return t, x, y


def by_hand(t, x, y):
    n = len(y)
    dlogits = functional.softmax(t["logits"], 1)
    dlogits[range(n), y] -= 1
    d = {"logits": dlogits / n}
    d["h"], d["W2"], d["b2"] = d["logits"] @ t["W2"].T, t["h"].T @ d["logits"], d["logits"].sum(0)
    d["normal"] = d["h"] * (1 - t["h"] ** 2)
    d["gain"], d["bias"] = (d["normal"] * t["xhat"]).sum(0), d["normal"].sum(0)
    d["xhat"] = d["normal"] * t["gain"]
    d["rstd"] = (d["xhat"] * t["centred"]).sum(0, keepdim=True)
    d["centred"] = d["xhat"] * t["rstd"] - d["rstd"] * t["rstd"] ** 3 * t["centred"] / (n - 1)
    d["before"] = d["centred"] - d["centred"].mean(0)
    d["W1"], d["b1"] = t["emb"].view(n, -1).T @ d["before"], d["before"].sum(0)
    d["emb"] = (d["before"] @ t["W1"].T).view(t["emb"].shape)
    d["C"] = torch.zeros_like(t["C"])
    d["C"].index_add_(0, x.view(-1), d["emb"].view(-1, 10))
    return {name: value.detach() for name, value in d.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(4))
def test_no_false_alarm(seed, dtype):
    """Also of b1, whose gradient before a batch norm is 0: both sides hold nothing but rounding there."""
    t, x, y = character_model(seed, dtype=dtype)
    found = {name: cmp(name, value, t[name]) for name, value in by_hand(t, x, y).items()}
    assert all(found.values()), [str(c) for c in found.values() if not c]
    assert "but for rounding" in found["b1"].note


def test_the_line(capsys):
    t, *_ = character_model()
    cmp("W2", t["W2"].grad, t["W2"])
    cmp("b2", -t["b2"].grad, t["b2"])
    right, wrong = capsys.readouterr().out.splitlines()
    assert right == "W2              | exact: True  | approximate: True  | maxdiff: 0 | right"
    assert wrong.startswith("b2              | exact: False | approximate: False | maxdiff: ")
    assert wrong.endswith("| WRONG: the sign is wrong")


def permuted(g):
    return g.flatten()[torch.randperm(g.numel(), generator=torch.Generator().manual_seed(0))].view(g.shape)


WRONG = {
    "sign": (lambda g: -g, "LOSS-SIGN"),
    "twice": (lambda g: 2 * g, "LOSS-FACTOR-2"),
    "no mean": (lambda g: 5 * g, "LOSS-NO-MEAN"),
    "mean of all": (lambda g: g / 35, "LOSS-DOUBLE-MEAN"),
    "another factor": (lambda g: 3.3 * g, "LOSS-WRONG-COUNT"),
    "unsummed": (lambda g: torch.stack([0.3 * g, 0.9 * g, -0.2 * g]), "BIAS-UNSUMMED"),
    "transposed": (lambda g: g.T, "LIN-DW-T"),
    "axis kept": (lambda g: g[None], "SHAPE-RESHAPE"),
    "permuted": (permuted, "SHAPE-FLATTEN-ORDER"),
    "reshaped": (lambda g: permuted(g).view(7, 5), "SHAPE-FLATTEN-ORDER"),
}


def tensor_with_grad(shape=(5, 7), dtype=torch.float64, scale=1.0):
    t = torch.zeros(shape, dtype=dtype, requires_grad=True)
    t.grad = scale * torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    return t


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", WRONG)
def test_why(case, dtype):
    change, cause = WRONG[case]
    t = tensor_with_grad(dtype=dtype)
    found = cmp("W", change(t.grad), t)
    assert not found
    assert found.why[0].id == cause, str(found)
    assert found.why[0].sentence in str(found)


def test_square_and_transposed():
    t = tensor_with_grad((6, 6))
    assert cmp("W", t.grad.T, t).why[0].id == "LIN-DW-T"


def test_integers():
    t = tensor_with_grad(scale=30.0)
    assert cmp("W", t.grad.to(torch.int64).numpy(), t).why[0].id == "NUM-INT-TRUNC"


def test_an_array_is_as_good_as_a_tensor():
    t = tensor_with_grad()
    assert cmp("W", t.grad.numpy(), t)
    assert not cmp("W", t.grad.numpy() * np.array([1, 1, 1, 1, 1, 1, 1 + 1e-9]), t)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6])
def test_one_wrong_row_is_named_at_any_scale(scale):
    t = tensor_with_grad(scale=scale)
    mine = t.grad.clone()
    mine[3, 2] *= 1 + 1e-6
    found = cmp("W", mine, t)
    assert not found
    assert found.why == ()
    assert "only rows 3 are wrong" in str(found)


def test_nothing_and_nan():
    t = tensor_with_grad()
    assert "0 everywhere" in cmp("W", torch.zeros(5, 7), t).note
    mine = t.grad.clone()
    mine[0, 0] = torch.nan
    assert "1 of 35 entries are not finite" in cmp("W", mine, t).note
    t.grad[0, 0] = torch.nan
    assert cmp("W", mine, t)


def test_one_number_has_no_factor():
    """Any number is a multiple of any other: only a sign and a 2 are worth a word."""
    t = tensor_with_grad((1,))
    assert cmp("b", 3.3 * t.grad, t).why == ()
    assert cmp("b", -t.grad, t).why[0].id == "LOSS-SIGN"


def test_wrong_use():
    w = torch.randn(3, requires_grad=True)
    middle = w * 2
    with pytest.raises(UsageError, match=r"middle.*retain_grad\(\)"):
        cmp("middle", middle.detach(), middle)
    with pytest.raises(UsageError, match=r"grad is None; call loss\.backward\(\)"):
        cmp("w", w.detach(), w)
    with pytest.raises(UsageError, match="requires_grad_"):
        cmp("x", torch.ones(3), torch.ones(3))
    with pytest.raises(UsageError, match="third argument is a ndarray"):
        cmp("x", np.ones(3), np.ones(3))


def test_whatever_numpy_takes_for_numbers():
    """Turned round, of another byte order, in more digits: the numbers are what is compared."""
    tensor = torch.tensor([0.5, -1.5, 2.0], dtype=torch.float64, requires_grad=True)
    (tensor**2 @ torch.tensor([1.5, 0.5, -2.0], dtype=torch.float64)).backward()
    right = np.array([1.5, -1.5, -8.0])
    for mine in (right[::-1].copy()[::-1], right.astype(">f8"), right.astype(np.longdouble), list(right)):
        assert cmp("x", mine, tensor), type(mine)
    for mine in ([[1.0], [2.0, 3.0]], right + 1j, "x", None):
        with pytest.raises(UsageError, match="mine is"):
            cmp("x", mine, tensor)
