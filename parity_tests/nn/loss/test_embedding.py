"""HingeEmbeddingLoss, CosineEmbeddingLoss and TripletMarginLoss against torch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from manual.nn.loss.embedding import norm
from parity_tests.nn.loss.sides import assert_same, both
from parity_tests.parity import check, check_exact, check_refused, integers, normal

REDUCTIONS = ["none", "sum", "mean"]


def signs(*shape, seed=0):
    """Return labels 1 and -1."""
    return 2 * integers(*shape, below=2, seed=seed) - 1


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(5, 3), (7,), (), (2, 3, 4), (0, 3)], ids=str)
@pytest.mark.parametrize("margin", [1.0, 0.3])
def test_hinge(margin, shape, reduction, dtype, device):
    build = lambda nn: nn.HingeEmbeddingLoss(margin, reduction=reduction)  # noqa: E731
    check(build, normal(*shape), signs(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(6, 3), (4,), (1, 1), (0, 3)], ids=str)
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_cosine(margin, shape, reduction, dtype, device):
    build = lambda nn: nn.CosineEmbeddingLoss(margin, reduction=reduction)  # noqa: E731
    inputs = normal(*shape), normal(*shape, seed=1)
    for target in (signs(*shape[:-1]), -np.abs(signs(*shape[:-1]))):
        check(build, *inputs, target, dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(6, 3), (4,), (2, 3, 4), (0, 3)], ids=str)
@pytest.mark.parametrize("p", [1, 2, 3.5, np.inf])
@pytest.mark.parametrize("swap", [False, True])
def test_triplet(swap, p, shape, reduction, dtype, device):
    inputs = (normal(*shape, seed=seed) for seed in range(3))
    given = {"margin": 0.8, "p": p, "swap": swap, "reduction": reduction}
    check(lambda nn: nn.TripletMarginLoss(**given), *inputs, dtype=dtype, device=device)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(3, 4), min_size=1, max_size=2), st.floats(0.5, 4), st.floats(0.1, 2), st.booleans(),
    st.sampled_from(REDUCTIONS), st.integers(0, 99),
)  # fmt: skip
def test_any_shape(shape, p, margin, swap, reduction, seed):
    a, b, c = (normal(*shape, seed=seed + i) for i in range(3))
    check(lambda nn: nn.TripletMarginLoss(margin, p, swap=swap, reduction=reduction), a, b, c, seed=seed)
    check(lambda nn: nn.HingeEmbeddingLoss(margin, reduction=reduction), a, signs(*shape, seed=seed), seed=seed)


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_hinges_are_exact_on_integers(reduction):
    """Many distances lie on the margin."""
    x = integers(8, 4, below=4).astype(float)
    check_exact(lambda nn: nn.HingeEmbeddingLoss(2, reduction=reduction), x, signs(8, 4))


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [1.0, np.inf])
def test_triplets_are_exact_on_integers(p, swap):
    """Ties of |a - n| and |p - n|, of entries, of distances and the margin; equal vectors, whose norm has no slope."""
    inputs = (integers(60, 2, below=3, seed=seed).astype(float) for seed in range(3))
    check_exact(lambda nn: nn.TripletMarginLoss(1, p, 0, swap, reduction="none"), *inputs)


@pytest.mark.parametrize("p", [2.0, 3.0, 0.5])
def test_equal_vectors_have_no_slope(p, dtype):
    zero, one = np.zeros((2, 3), dtype), np.array([[0, 1, 2], [0, 0, 0]], dtype)
    for inputs in [(zero, zero, one), (zero, one, zero), (one, zero, zero)]:
        assert_same("TripletMarginLoss", *inputs, reduction="none", eps=0, p=p)


@pytest.mark.parametrize("step", [1e-100j, -1e-100j])
def test_ties_take_a_complex_step(step):
    """|a - n| = |p - n|: the first is taken, however the imaginary part points; the largest entry keeps its sign."""
    a, p, n = (np.array([each]) + 0j for each in (0.0, 2.0, 1.0))
    loss = nn.TripletMarginLoss(eps=0, p=1, swap=True)
    assert loss(a + step, p, n).imag == 0
    assert loss(a, p + step, n).imag == step.imag
    assert norm(np.array([-3 + step, 1]), np.inf) == 3 - step


def test_hinge_on_its_kink():
    (loss, grad, _), (theirs, their_grad, _) = both("HingeEmbeddingLoss", np.ones(1), np.full(1, -1), reduction="none")
    assert loss == theirs == 0
    assert grad == their_grad == -1


def test_cosine_on_its_kink_and_of_zeros(dtype):
    """Right angles with the margin 0, and vectors of zeros: their slope is x2 / (r2 1e-6)."""
    x1 = np.array([[1, 0], [0, 0], [3, 4], [0, 0]], dtype)
    x2 = np.array([[0, 2], [1, 1], [0, 0], [0, 0]], dtype)
    for label in (1, -1):
        assert_same("CosineEmbeddingLoss", x1, x2, np.full(4, label), reduction="none")


def test_cosine_of_long_vectors():
    """In float32 the product of the squares is infinite, and torch's cosine 0; the roots' product is not."""
    x = np.full((1, 2), 1e12, np.float32)
    assert nn.CosineEmbeddingLoss()(x, x, np.ones(1, int)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["HingeEmbeddingLoss", "CosineEmbeddingLoss"])
class TestLabels:
    def inputs(self, name, dtype="float64"):
        x = normal(4, 3).astype(dtype)
        return ((x,), signs(4, 3)) if name == "HingeEmbeddingLoss" else ((x, x[::-1].copy()), signs(4))

    def test_floats_or_integers_alike(self, name, dtype):
        inputs, t = self.inputs(name, dtype)
        module = getattr(nn, name)()
        (loss, saved), (other, other_saved) = (module.forward(*inputs, each) for each in (t, t.astype(dtype)))
        assert loss == other
        assert np.array_equal(module.backward(1.0, saved)[0], module.backward(1.0, other_saved)[0])
        assert module.backward(1.0, other_saved)[-1] is None
        assert both(name, *inputs, t.astype(dtype))[1][-1] is None  # nor does torch

    def test_others_are_refused(self, name):
        inputs, t = self.inputs(name)
        for wrong in (0, 2):
            with pytest.raises(ValueError, match=f"{name}: targets are 1 or -1, not {wrong}: .* 2 \\* target - 1"):
                getattr(nn, name)().forward(*inputs, np.where(t == 1, wrong, t))

    def test_shapes(self, name):
        inputs, t = self.inputs(name)
        with pytest.raises(ValueError, match=r"\(4, 3\)"):
            getattr(nn, name)().forward(*inputs, t[:2])

    def test_dtypes(self, name):
        inputs, t = self.inputs(name)
        with pytest.raises(TypeError, match="target float32"):
            getattr(nn, name)().forward(*inputs, t.astype(np.float32))
        with pytest.raises(TypeError, match="floats, not bool"):
            getattr(nn, name)().forward(*inputs, t > 0)


def test_bad_vectors():
    x = normal(2, 3, 4)
    with pytest.raises(ValueError, match=r"input1 \(3, 4\) and input2 \(4,\)"):
        nn.CosineEmbeddingLoss().forward(x[0], x[0, 0], np.ones(3))
    with pytest.raises(TypeError, match="input2 float32"):
        nn.CosineEmbeddingLoss().forward(x[0], x[0].astype(np.float32), np.ones(3))
    one = {"error": ValueError, "match": r"takes inputs \(N, D\)"}
    check_refused(lambda nn: nn.CosineEmbeddingLoss(), x, x, np.ones((2, 3)), **one)
    check_refused(lambda nn: nn.CosineEmbeddingLoss(), x[0], x[0], np.array(1), **one)
    check_refused(lambda nn: nn.CosineEmbeddingLoss(), normal(), normal(), np.array(1), **one)


def test_bad_triplets():
    x = normal(4, 3)
    with pytest.raises(ValueError, match=r"anchor \(4, 3\) and negative \(1, 3\)"):
        nn.TripletMarginLoss().forward(x, x, x[:1])
    with pytest.raises(ValueError, match=r"anchor \(4, 3\) and positive \(1, 3\)"):
        nn.TripletMarginLoss().forward(x, x[:1], x)
    with pytest.raises(TypeError, match="positive float32"):
        nn.TripletMarginLoss().forward(x, x.astype(np.float32), x)
    with pytest.raises(TypeError, match="negative float32"):
        nn.TripletMarginLoss().forward(x, x, x.astype(np.float32))
    with pytest.raises(ValueError, match="give them an axis"):
        nn.TripletMarginLoss().forward(normal(), normal(), normal())
    for margin in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match="the margin is above 0"):
            nn.TripletMarginLoss(margin)
    for p in (0, -1, np.nan):
        with pytest.raises(NotImplementedError, match="p="):
            nn.TripletMarginLoss(p=p)
