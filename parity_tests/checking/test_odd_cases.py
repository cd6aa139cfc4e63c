"""What a check meets in the wild: scalars, tiny errors, NaN, randomness, returns of the wrong form."""

import numpy as np
import pytest
import torch

from handgrad import check
from handgrad.errors import UsageError
from parity_tests.checking.networks import backward, forward, make


def test_a_parameter_without_dimensions():
    def theirs(p, i):
        return ((p["a"] * i["x"] + p["b"]) ** 2).sum()

    def by_hand(p, i):
        y = p["a"] * i["x"] + p["b"]
        return (y**2).sum(), {"a": (2 * y * i["x"])[-1], "b": (2 * y).sum()}

    found = check(theirs, by_hand, {"a": np.array(0.7), "b": np.array(-0.3)}, {"x": np.array([1.5, -0.4, 2.2])})
    assert found.first_wrong == "da"
    assert found.causes


@pytest.mark.parametrize("size", [1e-10, 1e-11])
def test_a_tiny_error_is_found_and_gets_no_cause_that_hardly_differs_from_right(size):
    def by_hand(p, i):
        loss, grads, named = backward(p, i)
        return (
            loss,
            grads,
            {
                **named,
                "dz1": named["dz1"] * (1 + size * np.linspace(-1, 1, named["dz1"].size).reshape(named["dz1"].shape)),
            },
        )

    found = check(forward, by_hand, *make(np.random.default_rng(0)))
    assert (found.first_wrong, found.causes) == ("dz1", [])


def test_a_factor_is_no_convention_because_a_gradient_of_zero_is_right():
    """A bias before a softmax over its axis has none: it says nothing on the factor 3 of the scores."""

    def theirs(p, i):
        s = i["x"] @ p["W"] + p["b"]
        return (torch.softmax(s, 0) * i["t"]).sum(), {"s": s}

    def by_hand(p, i):
        s = i["x"] @ p["W"] + p["b"]
        e = np.exp(s - s.max(0))
        y = e / e.sum(0)
        ds = 3 * y * (i["t"] - (y * i["t"]).sum(0))
        return (y * i["t"]).sum(), {"W": i["x"].T @ ds, "b": 0 * p["b"]}, {"ds": ds}

    rng = np.random.default_rng(0)
    p = {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    found = check(theirs, by_hand, p, {"x": rng.normal(size=(5, 3)), "t": rng.normal(size=(5, 2))})
    assert (found.first_wrong, found.fine) == ("ds", [])


def test_where_autograd_gives_nan_nothing_is_judged():
    def theirs(p, i):
        return torch.sqrt(p["w"] ** 2).sum()

    found = check(theirs, lambda p, i: (np.abs(p["w"]).sum(), {"w": np.sign(p["w"])}), {"w": np.array([0.0, 2.0])}, {})
    assert found.ok
    assert any("NaN" in what for what in found.not_judged)


def test_a_cast_within_the_forward():
    def theirs(p, i):
        return (p["w"].float() * 2).double().sum()

    with pytest.raises(UsageError, match=r"float32 \(line \d+: return \(p\["):
        check(theirs, lambda p, i: (2 * p["w"].sum(), {"w": np.full(3, 2.0)}), {"w": np.ones(3)}, {})


def test_masks_that_are_drawn_anew():
    def theirs(p, i):
        return (torch.nn.functional.dropout(p["w"] * i["x"], 0.5) ** 2).sum()

    p, i = {"w": np.arange(1.0, 40.0)}, {"x": np.linspace(1, 2, 39)}
    with pytest.raises(UsageError, match="other numbers when it is called again"):
        check(theirs, lambda p, i: (1.0, {"w": p["w"]}), p, i)

    rng = np.random.default_rng(0)

    def by_hand(p, i):
        return ((p["w"] * i["x"]) ** 2).sum(), {"w": 2 * p["w"] * i["x"] ** 2 * (rng.random(39) < 0.5) * 2}

    found = check(lambda p, i: ((p["w"] * i["x"]) ** 2).sum(), by_hand, p, i)
    assert any("two calls of backward" in fact for fact in found.facts)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ((1.0, {"w": [[1.0], [1.0, 2.0]]}), "is no array"),
        ((1.0, {"w": "steep"}), "dtype <U5"),
        ((1.0, {"w": np.ones(3)}, [1.0]), "list as intermediates"),
        ((1.0, {"w": torch.ones(3, requires_grad=True)}), "is no array"),
        ((np.ones(2), {"w": np.ones(3)}), r"loss of shape \(2,\)"),
    ],
)
def test_returns_of_another_form(returned, said):
    with pytest.raises(UsageError, match=said):
        check(lambda p, i: p["w"].sum(), lambda p, i: returned, {"w": np.ones(3)}, {})


def test_names_and_make_inputs_of_another_form():
    def theirs(p, i):
        return (p["w"] * i["x"]).sum()

    def by_hand(p, i):
        return (p["w"] * i["x"]).sum(), {"w": i["x"]}

    w = {"w": np.ones(3)}
    with pytest.raises(UsageError, match="in params and in inputs"):
        check(theirs, by_hand, w, {"x": np.ones(3), **w})
    with pytest.raises(UsageError, match="make_inputs returned NoneType"):
        check(theirs, by_hand, w, {"x": np.ones(3)}, lambda rng: None)


def test_a_mask_of_ones_in_single_precision_loses_no_digits():
    """torch.tril(torch.ones(T, T)) is in float32, and the arithmetic of everybody's causal attention is not."""

    def theirs(p, i):
        scores = i["x"] @ p["W"] @ i["x"].T
        tril = torch.tril(torch.ones(len(scores), len(scores)))
        return (torch.softmax(scores.masked_fill(tril == 0, float("-inf")), -1) @ i["x"]).square().sum(), {}

    def by_hand(p, i, scale=1.0):
        x = i["x"]
        scores = np.where(np.tri(len(x)) == 0, -np.inf, x @ p["W"] @ x.T)
        a = np.exp(scores - scores.max(1, keepdims=True))
        a /= a.sum(1, keepdims=True)
        da = 2 * a @ x @ x.T
        ds = scale * a * (da - (da * a).sum(1, keepdims=True))
        return ((a @ x) ** 2).sum(), {"W": x.T @ ds @ x}

    rng = np.random.default_rng(0)
    case = {"W": rng.normal(size=(3, 3))}, {"x": rng.normal(size=(5, 3))}
    assert check(theirs, by_hand, *case).ok
    assert not check(theirs, lambda p, i: by_hand(p, i, 1.5), *case).ok

    def in_single(p, i):
        return theirs(p, i)[0] * torch.tensor(0.1), {}

    with pytest.raises(UsageError, match=r"dtype=torch\.float64"):
        check(in_single, by_hand, *case)


def test_a_group_norm_whose_channels_come_last():
    """Asked for the gain's gradient alone, torch 2.13 dies there; a report has to come all the same."""

    def theirs(p, i):
        x = torch.einsum("nchw,co->nohw", i["x"], p["W"])
        return (torch.nn.functional.group_norm(x, 2, p["g"], p["b"]) * i["up"]).sum(), {}

    def by_hand(p, i):
        x = np.einsum("nchw,co->nohw", i["x"], p["W"])
        groups = x.reshape(len(x), 2, -1)
        rstd = 1 / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
        xhat = (groups - groups.mean(2, keepdims=True)) * rstd
        y = xhat.reshape(x.shape) * p["g"][:, None, None] + p["b"][:, None, None]
        d = (i["up"] * p["g"][:, None, None]).reshape(groups.shape)
        dx = rstd * (d - d.mean(2, keepdims=True) - xhat * (d * xhat).mean(2, keepdims=True))
        dg = (i["up"] * x).sum((0, 2, 3))  # with x for xhat
        dW = np.einsum("nchw,nohw->co", i["x"], dx.reshape(x.shape))
        return (y * i["up"]).sum(), {"g": dg, "b": i["up"].sum((0, 2, 3)), "W": dW}

    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(5, 6)), "g": rng.normal(size=6), "b": rng.normal(size=6)}
    inputs = {"x": rng.normal(size=(4, 5, 2, 3)), "up": rng.normal(size=(4, 6, 2, 3))}
    found = check(theirs, by_hand, params, inputs)
    assert (found.first_wrong, found.causes[0].id) == ("dg", "NORM-DGAMMA-X"), str(found)


def test_an_input_that_torch_does_not_differentiate_by():
    def theirs(p, i):
        return torch.nn.functional.cross_entropy(i["x"] @ p["W"], i["labels"], weight=i["weight"])

    def by_hand(p, i, weighted=True):
        z = i["x"] @ p["W"]
        q = np.exp(z - z.max(1, keepdims=True))
        q /= q.sum(1, keepdims=True)
        w, rows = i["weight"][i["labels"]], np.arange(len(z))
        loss = -(w * np.log(q[rows, i["labels"]])).sum() / w.sum()
        q[rows, i["labels"]] -= 1
        dz = q * w[:, None] / w.sum() if weighted else q / len(z)
        return loss, {"W": i["x"].T @ dz}

    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=(5, 3)), "labels": rng.integers(0, 4, 5), "weight": rng.uniform(0.5, 2, 4)}
    case = {"W": rng.normal(size=(3, 4))}, inputs
    assert check(theirs, by_hand, *case).ok
    assert check(theirs, lambda p, i: by_hand(p, i, weighted=False), *case).first_wrong == "dW"
