"""CrossEntropyLoss and NLLLoss against torch: indices and probabilities, weights, smoothing, what is ignored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.nn.loss.sides import classes
from parity_tests.parity import check, check_exact, integers, normal, of, probabilities

REDUCTIONS = ["none", "sum", "mean"]
SHAPES = [(4, 3), (3,), (1, 3), (4, 1), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 1, 2), (0, 3), (2, 3, 0)]


def n_classes(shape):
    return shape[min(1, len(shape) - 1)]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weight"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_indices(shape, weighted, smoothing, reduction, dtype, device):
    weight = probabilities(n_classes(shape))

    def build(nn):
        given = {"reduction": reduction, "label_smoothing": smoothing}
        return nn.CrossEntropyLoss(of(nn, weight) if weighted else None, **given)

    check(build, 2 * normal(*shape), classes(shape), dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weight"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_probabilities(shape, weighted, smoothing, reduction, dtype, device):
    """They need not sum to 1: the gradient is that of the formula."""
    weight = probabilities(n_classes(shape))

    def build(nn):
        given = {"reduction": reduction, "label_smoothing": smoothing}
        return nn.CrossEntropyLoss(of(nn, weight) if weighted else None, **given)

    check(build, 2 * normal(*shape), probabilities(*shape, seed=4), dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4), (2, 3, 2, 4)], ids=str)
@pytest.mark.parametrize("ignored", [-100, 1])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weight"])
def test_ignored(shape, ignored, smoothing, weighted, reduction, dtype):
    """The ignored index may be a class, or none."""
    weight = probabilities(3)

    def build(nn):
        given = {"reduction": reduction, "ignore_index": ignored, "label_smoothing": smoothing}
        return nn.CrossEntropyLoss(of(nn, weight) if weighted else None, **given)

    check(build, 2 * normal(*shape), classes(shape, ignored), dtype=dtype)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weight"])
@pytest.mark.parametrize("ignored", [-100, 0])
def test_nll(shape, weighted, ignored, reduction, dtype, device):
    weight, target = probabilities(n_classes(shape)), classes(shape, ignored if shape[0] > 1 else None)

    def build(nn):
        return nn.NLLLoss(of(nn, weight) if weighted else None, ignore_index=ignored, reduction=reduction)

    if ignored >= n_classes(shape):
        target = classes(shape)
    check(build, normal(*shape), target, dtype=dtype, device=device)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(1, 4), st.integers(1, 5), st.lists(st.integers(1, 3), max_size=2), st.floats(0, 1),
    st.sampled_from(REDUCTIONS), st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_any_shape(n, c, more, smoothing, reduction, weighted, seed):
    shape, weight = (n, c, *more), probabilities(c, seed=seed)

    def build(nn):
        given = {"reduction": reduction, "label_smoothing": smoothing}
        return nn.CrossEntropyLoss(of(nn, weight) if weighted else None, **given)

    check(build, 5 * normal(*shape, seed=seed), classes(shape, seed=seed), seed=seed)
    check(build, 5 * normal(*shape, seed=seed), probabilities(*shape, seed=seed), seed=seed)


def test_nll_is_exact_on_integers():
    x, t = integers(6, 4, below=9).astype(float), classes((6, 4), ignored=2)
    check_exact(lambda nn: nn.NLLLoss(of(nn, np.ones(4)), ignore_index=2, reduction="sum"), x, t)
    check_exact(lambda nn: nn.NLLLoss(of(nn, np.ones(4)), reduction="none"), x, classes((6, 4)))


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4)], ids=str)
def test_cross_entropy_is_nll_of_the_log_softmax(shape):
    """The loops, one sample at a time."""
    x, t, w, g = normal(*shape), classes(shape, ignored=1), probabilities(3), normal(*shape[:1], *shape[2:])
    loss, saved = nn.CrossEntropyLoss(w, ignore_index=1, reduction="none", label_smoothing=0.2).forward(x, t)
    grad, _ = nn.CrossEntropyLoss(w, ignore_index=1, reduction="none", label_smoothing=0.2).backward(g, saved)
    for place in np.ndindex(t.shape):
        at = (place[0], slice(None), *place[1:])
        p = np.exp(x[at]) / np.exp(x[at]).sum()
        q = w * (0.8 * (np.arange(3) == t[place]) + 0.2 / 3) * (t[place] != 1)
        assert loss[place] == pytest.approx(-(q * np.log(p)).sum(), rel=1e-13, abs=0)
        assert grad[at] == pytest.approx(g[place] * (p * q.sum() - q), rel=1e-12, abs=1e-15)
