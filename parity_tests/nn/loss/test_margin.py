"""The losses of a margin against torch: MarginRankingLoss, MultiMarginLoss, MultiLabelMarginLoss."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from manual.nn.loss.reduction import at_least
from parity_tests.nn.loss.sides import assert_same, both, classes
from parity_tests.parity import check, check_exact, check_refused, integers, normal, of, probabilities

REDUCTIONS = ["none", "sum", "mean"]
LISTS = np.array([[3, 0, -1, 1], [-1, 1, 1, 1], [0, 1, 2, 3], [2, 2, 1, -1], [1, -1, -1, -1]])


def signs(*shape, seed=0):
    """Return labels 1 and -1."""
    return 2 * integers(*shape, below=2, seed=seed) - 1


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(5, 3), (7,), (), (2, 3, 4), (0, 3)], ids=str)
@pytest.mark.parametrize("margin", [0.0, 0.6])
def test_margin_ranking(margin, shape, reduction, dtype, device):
    inputs = normal(*shape), normal(*shape, seed=1)
    for target in (signs(*shape), 2 * normal(*shape, seed=2)):
        check(lambda nn: nn.MarginRankingLoss(margin, reduction=reduction), *inputs, target, dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(5, 3), (4,), (1, 3), (4, 1)], ids=str)
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize(("weighted", "margin"), [(False, 1.0), (True, 0.3)])
def test_multi_margin(margin, weighted, p, shape, reduction, dtype, device):
    weight = probabilities(shape[-1])

    def build(nn):
        return nn.MultiMarginLoss(p, margin, of(nn, weight) if weighted else None, reduction=reduction)

    check(build, normal(*shape), classes(shape), dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("target", [LISTS, LISTS[0], LISTS[2], LISTS[3], LISTS[:1]], ids=str)
def test_multi_label_margin(target, reduction, dtype, device):
    check(lambda nn: nn.MultiLabelMarginLoss(reduction=reduction), normal(*target.shape), target, dtype=dtype)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 5), st.sampled_from([1, 2]), st.sampled_from(REDUCTIONS), st.integers(0, 99))
def test_any_shape(n, c, p, reduction, seed):
    x = normal(n, c, seed=seed)
    check(lambda nn: nn.MultiMarginLoss(p, reduction=reduction), x, classes((n, c), seed=seed), seed=seed)
    lists = integers(n, c, below=c + 1, seed=seed) - 1
    check(lambda nn: nn.MultiLabelMarginLoss(reduction=reduction), x, lists, seed=seed)


def test_multi_margin_loops():
    """One pair of classes at a time."""
    x, t, w = normal(4, 3), classes((4, 3)), probabilities(3)
    for p in (1, 2):
        expected = [
            w[t[n]] * sum(max(0, 0.7 - x[n, t[n]] + x[n, j]) ** p for j in range(3) if j != t[n]) / 3 for n in range(4)
        ]
        assert nn.MultiMarginLoss(p, 0.7, w, reduction="none")(x, t) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_kinks_are_torchs(reduction):
    """On integers many pairs lie on the margin, and many scores tie: bit for bit."""
    x1, x2, scores = (integers(40, 4, below=3, seed=seed).astype(float) for seed in (0, 1, 2))
    check_exact(lambda nn: nn.MarginRankingLoss(1, reduction=reduction), x1, x2, signs(40, 4))
    for p in (1, 2):
        check_exact(lambda nn, p=p: nn.MultiMarginLoss(p, reduction=reduction), scores, classes((40, 4)))
    lists = integers(40, 4, below=5) - 1
    check_exact(lambda nn: nn.MultiLabelMarginLoss(reduction=reduction), scores, lists)


def test_the_ranking_loss_is_zero_on_its_kink_with_a_slope():
    (loss, *grads), _ = both("MarginRankingLoss", np.ones(1), np.full(1, 0.5), np.ones(1), margin=0.5)
    assert [np.sum(each) for each in (loss, *grads)] == [0, -1, 1, -0.5]


def test_ends(dtype):
    inf, nan = np.inf, np.nan
    x = np.array([[inf, 2, 0], [-inf, 0, 1], [nan, 2, 0], [1e30, -1e30, 0], [0, inf, 1]], dtype)
    for p in (1, 2) if dtype == "float64" else (1,):
        assert_same("MultiMarginLoss", x, np.array([1, 2, 1, 0, 1]), reduction="none", p=p)
    assert_same("MultiLabelMarginLoss", x[:1], np.array([[1, -1, 0]]), reduction="none")
    assert_same("MarginRankingLoss", x[2], x[3], np.ones(3, dtype), reduction="none")


@pytest.mark.parametrize("step", [1e-100j, -1e-100j])
def test_kinks_take_a_complex_step(step):
    """A clamp keeps what lies on the kink, a comparison does not, however the imaginary part points."""
    assert at_least(np.array([step]), 0).imag == step.imag
    scores = np.array([2, 1, 0]) + np.array([0, 1, 0]) * step
    assert nn.MultiMarginLoss()(scores, np.array(0)) == 0
    assert nn.MultiLabelMarginLoss()(scores, np.array([0, -1, 1])) == 0


def test_of_nothing():
    """torch returns memory that it never wrote; the mean of nothing is NaN, the sum 0."""
    empty = np.empty((0, 3))
    for name, target in (("MultiMarginLoss", np.empty(0, int)), ("MultiLabelMarginLoss", np.empty((0, 3), int))):
        for reduction, expected in (("mean", np.nan), ("sum", 0.0), ("none", np.empty(0))):
            loss, saved = getattr(nn, name)(reduction=reduction).forward(empty, target)
            assert np.array_equal(loss, expected, equal_nan=True)
            grad, none = getattr(nn, name)(reduction=reduction).backward(np.zeros_like(loss), saved)
            assert grad.shape == (0, 3)
            assert none is None


@pytest.mark.parametrize("name", ["MultiMarginLoss", "MultiLabelMarginLoss"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (), (2, 0), (0,)], ids=str)
def test_bad_shapes(name, shape):
    target = np.zeros(shape if "Label" in name else (shape[:1] + shape[2:])[: max(len(shape) - 1, 0)], int)
    with pytest.raises(ValueError, match=r"takes \(N, C"):
        getattr(nn, name)().forward(normal(*shape), target)


def test_bad_classes():
    x, build = normal(4, 3), lambda nn: nn.MultiMarginLoss()
    check_refused(build, x, np.array([0, 1, 3, 0]), error=IndexError, match=r"target 3 at \(2,\)")
    check_refused(build, x, np.array([0, 1, -100, 0]), error=IndexError, match=r"target -100 at \(2,\)")
    check_refused(build, x, np.zeros(3, int), error=ValueError, match=r"target \(4,\), not \(3,\)")
    check_refused(build, x, np.zeros(4, np.int32), error=TypeError, match="int32")
    check_refused(
        lambda nn: nn.MultiMarginLoss(weight=of(nn, np.ones(2))), x, np.zeros(4, int), error=ValueError, match=r"\(3,\)"
    )
    with pytest.raises(ValueError, match=r"MultiMarginLoss\(p=3\)"):
        nn.MultiMarginLoss(p=3)
    with pytest.raises(ValueError, match="only p == 1"):
        torch.nn.MultiMarginLoss(p=3)


def test_bad_lists():
    x, build = normal(2, 3), lambda nn: nn.MultiLabelMarginLoss()
    for entry in (3, -2):
        lists = np.array([[0, -1, entry], [0, 1, 2]])
        check_refused(build, x, lists, error=IndexError, match=f"target {entry} is no class: they are 0 to 2, or -1")
    check_refused(build, x, np.zeros((2, 2), int), error=ValueError, match=r"\(2, 3\) and target \(2, 2\)")
    check_refused(build, x, np.zeros((2, 3), np.int32), error=TypeError, match="int64.*not int32")
    with pytest.raises(TypeError, match="not list"):
        nn.MultiLabelMarginLoss().forward(x, [[0, 1, 2]])
    with pytest.raises(TypeError, match="MultiLabelMarginLoss computes with floats"):
        nn.MultiLabelMarginLoss().forward(np.ones((2, 3), int), np.zeros((2, 3), int))


def test_bad_ranks():
    x = normal(4, 3)
    with pytest.raises(ValueError, match=r"input1 \(4, 3\) and input2 \(4, 1\)"):
        nn.MarginRankingLoss().forward(x, x[:, :1], x)
    with pytest.raises(ValueError, match=r"input1 \(4, 3\) and target \(4,\)"):
        nn.MarginRankingLoss().forward(x, x, np.ones(4, int))
    with pytest.raises(TypeError, match="input2 float32"):
        nn.MarginRankingLoss().forward(x, x.astype(np.float32), x)
