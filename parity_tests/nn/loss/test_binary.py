"""The losses of yes or no against torch: with weights, at the ends of the range, with labels of either kind."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from manual.nn.activation import softplus
from manual.nn.loss.reduction import at_least
from parity_tests.nn.loss.sides import assert_same, both
from parity_tests.parity import check, check_refused, integers, normal, of, probabilities

SEEDS = st.integers(0, 99)
REDUCTIONS = ["none", "sum", "mean"]
SHAPES = [(5, 3), (7,), (), (2, 3, 4), (1, 1)]
WEIGHTS = [(3,), (4, 3), (4, 1), (1,), (), (1, 3)]


def signs(*shape, seed=0):
    """Return labels 1 and -1."""
    return 2 * integers(*shape, below=2, seed=seed) - 1


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bce(reduction, shape, dtype, device):
    inputs = probabilities(*shape), probabilities(*shape, seed=3)
    check(lambda nn: nn.BCELoss(reduction=reduction), *inputs, dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bce_with_logits(reduction, shape, dtype, device):
    inputs = 3 * normal(*shape), probabilities(*shape, seed=3)
    check(lambda nn: nn.BCEWithLogitsLoss(reduction=reduction), *inputs, dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", WEIGHTS, ids=str)
def test_bce_weight(reduction, shape, dtype, device):
    inputs, weight = (probabilities(4, 3), probabilities(4, 3, seed=3)), probabilities(*shape, seed=5)
    check(lambda nn: nn.BCELoss(of(nn, weight), reduction=reduction), *inputs, dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", WEIGHTS, ids=str)
@pytest.mark.parametrize("names", [("weight",), ("pos_weight",), ("weight", "pos_weight")], ids=", ".join)
def test_bce_with_logits_weights(names, reduction, shape, dtype, device):
    inputs = 3 * normal(4, 3), probabilities(4, 3, seed=3)
    weights = {name: probabilities(*shape, seed=i) for i, name in enumerate(names)}
    check(
        lambda nn: nn.BCEWithLogitsLoss(reduction=reduction, **{name: of(nn, w) for name, w in weights.items()}),
        *inputs, dtype=dtype, device=device,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(4, 3), (5,), (2, 3, 4), (1, 1)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_multi_label_soft_margin(reduction, shape, weighted, dtype, device):
    weight = probabilities(shape[-1])

    def build(nn):
        return nn.MultiLabelSoftMarginLoss(of(nn, weight) if weighted else None, reduction=reduction)

    check(build, 3 * normal(*shape), probabilities(*shape, seed=3), dtype=dtype, device=device)
    check(build, 3 * normal(*shape), integers(*shape, below=2), dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_soft_margin(reduction, shape, dtype, device):
    check(lambda nn: nn.SoftMarginLoss(reduction=reduction), 3 * normal(*shape), signs(*shape), dtype=dtype)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(3, 4), min_size=1, max_size=2),
    st.sampled_from(REDUCTIONS),
    st.floats(1, 30),
    st.integers(0, 99),
)
def test_any_shape_and_size(shape, reduction, size, seed):
    x, t = size * normal(*shape, seed=seed), probabilities(*shape, seed=seed)
    pos_weight = 5 * probabilities(shape[-1], seed=seed)
    check(lambda nn: nn.BCEWithLogitsLoss(reduction=reduction, pos_weight=of(nn, pos_weight)), x, t, seed=seed)
    check(lambda nn: nn.MultiLabelSoftMarginLoss(reduction=reduction), x, t, seed=seed)
    check(lambda nn: nn.SoftMarginLoss(reduction=reduction), x, signs(*shape, seed=seed), seed=seed)


def test_bce_at_the_ends_of_its_range(dtype):
    """At 0 and 1 the logarithm is kept at -100 and the denominator at 1e-12, where torch keeps them."""
    p = np.array([0, 1e-30, 1e-13, 1e-6, 0.5, 1 - 1e-6, 1], dtype=dtype)
    t = np.array([0.2, 1.0, 0.3, 0.0, 1.0, 0.4, 0.6], dtype=dtype)
    for hand, theirs in zip(*both("BCELoss", p, t, reduction="none"), strict=True):
        assert np.allclose(hand, theirs, rtol=8 * np.finfo(dtype).eps, atol=0)


def test_bce_with_logits_far_out(dtype):
    x = np.array([-1e4, -800, -90, -1e-30, 0, 1e-30, 90, 800, 1e4], dtype=dtype)
    t = np.linspace(0, 1, 9).astype(dtype)
    for hand, theirs in zip(*both("BCEWithLogitsLoss", x, t, reduction="none"), strict=True):
        assert np.isfinite(hand).all()
        assert np.allclose(hand, theirs, rtol=8 * np.finfo(dtype).eps, atol=0)


def test_bce_with_logits_far_out_with_a_weight(dtype):
    x, t = np.array([-1e4, -1e4, -3, 0, 1e4, 1e4], dtype=dtype), np.array([0, 1, 0.25, 0.5, 0, 1], dtype=dtype)
    assert_same("BCEWithLogitsLoss", x, t, reduction="none", pos_weight=np.array(2.5, dtype=dtype))


def test_infinite_logits(dtype):
    """0 * inf is NaN in the loss, as in torch; other limits are infinite; the gradients are right, and the same."""
    x, t = np.array([np.inf] * 3 + [-np.inf] * 3, dtype=dtype), np.array([0, 0.5, 1, 1, 0.5, 0], dtype=dtype)
    limits = [np.inf, np.inf, np.nan] * 2
    for arguments in ({}, {"pos_weight": np.array(2.5, dtype=dtype)}):
        hand, theirs = both("BCEWithLogitsLoss", x, t, reduction="none", **arguments)
        np.testing.assert_array_equal(hand[0], limits)
        np.testing.assert_array_equal(theirs[0], [np.inf, np.inf, *[np.nan] * 4])
        np.testing.assert_array_equal(hand[1], theirs[1])
        np.testing.assert_array_equal(hand[2], theirs[2])
    hand, theirs = both("MultiLabelSoftMarginLoss", x[:, None], t[:, None], reduction="none")
    np.testing.assert_array_equal(hand[0], limits)
    for found, expected in zip(hand, theirs, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_small_loss_is_kept_with_pos_weight():
    """torch subtracts two logarithms, and gives 0."""
    x, t = np.array([-40.0, 40.0]), np.array([0.0, 1.0])
    hand, theirs = both("BCEWithLogitsLoss", x, t, reduction="none", pos_weight=np.array(2.0))
    assert hand[0] == pytest.approx([np.exp(-40), 2 * np.exp(-40)], rel=1e-15)
    assert theirs[0][0] == 0


def test_soft_margin_stays_finite_where_torchs_overflows(dtype):
    x, t = np.array([-1e4, 1e4, 1e4, 0], dtype=dtype), np.array([1, -1, 1, 1])
    (loss, grad, _), (theirs, their_grad, _) = both("SoftMarginLoss", x, t, reduction="none")
    assert loss.tolist() == [1e4, 1e4, 0, pytest.approx(np.log(2))]
    assert grad.tolist() == [-1, 1, 0, -0.5]
    assert np.isinf(theirs[:2]).all()
    assert np.isnan(their_grad[:2]).all()


def test_labels_are_floats_or_integers_alike(dtype):
    x, t = normal(4, 3).astype(dtype), signs(4, 3)
    for name, labels in (("SoftMarginLoss", t), ("MultiLabelSoftMarginLoss", (t + 1) // 2)):
        module = getattr(nn, name)()
        (loss, saved), (other, other_saved) = (module.forward(x, each) for each in (labels, labels.astype(dtype)))
        assert loss == other
        assert np.array_equal(module.backward(1.0, saved)[0], module.backward(1.0, other_saved)[0])
        assert module.backward(1.0, saved)[1] is None
    with pytest.raises(TypeError, match="float32"):
        nn.SoftMarginLoss().forward(x, t.astype("float32" if dtype == "float64" else "float64"))
    with pytest.raises(TypeError, match="floats, not bool"):
        nn.SoftMarginLoss().forward(x, t > 0)
    with pytest.raises(TypeError, match="not list"):
        nn.SoftMarginLoss().forward(x, [1, -1])


def test_bce_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match="BCEWithLogitsLoss"):
        nn.BCELoss().forward(np.array([1.5]), np.array([1.0]))
    with pytest.raises(ValueError, match="BCEWithLogitsLoss"):
        nn.BCELoss().forward(np.array([-0.5]), np.array([1.0]))


@pytest.mark.parametrize("shape", [(2,), (5, 1), (3, 4, 3), (1, 4, 3), (4,)], ids=str)
def test_a_weight_never_enlarges(shape):
    x, t, weight = probabilities(4, 3), probabilities(4, 3, seed=1), np.ones(shape, np.float32)
    message = {"error": ValueError, "match": "does not fit the input"}
    for name, argument in (("BCELoss", "weight"), ("BCEWithLogitsLoss", "weight"), ("BCEWithLogitsLoss", "pos_weight")):
        with pytest.raises(ValueError, match=f"{name}: {argument} .* does not fit"):
            getattr(nn, name)(**{argument: weight.astype(float)}).forward(x, t)
    if shape != (1, 4, 3):  # torch takes a first axis of 1
        check_refused(lambda nn: nn.BCELoss(of(nn, weight)), x, t, **message)
        check_refused(lambda nn: nn.BCEWithLogitsLoss(pos_weight=of(nn, weight)), x, t, **message)


def test_bad_weights():
    x, t = probabilities(4, 3), probabilities(4, 3, seed=1)
    with pytest.raises(TypeError, match=r"pos_weight is float32 but input float64.*to\(np.float64\)"):
        nn.BCEWithLogitsLoss(pos_weight=np.ones(3, np.float32)).forward(x, t)
    with pytest.raises(TypeError, match=r"BCELoss's weight takes a numpy\.ndarray, not list"):
        nn.BCELoss([1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="BCEWithLogitsLoss's pos_weight computes with floats, not int64"):
        nn.BCEWithLogitsLoss(pos_weight=np.ones(3, int))


def test_multi_label_soft_margin_checks_shapes():
    x = normal(4, 3)
    with pytest.raises(ValueError, match=r"input \(4, 3\) and target \(4, 1\)"):
        nn.MultiLabelSoftMarginLoss().forward(x, x[:, :1])
    with pytest.raises(ValueError, match=r"weight .* does not fit"):
        nn.MultiLabelSoftMarginLoss(np.ones((5, 1, 3))).forward(x, x)
    with pytest.raises(TypeError, match="weight is float32"):
        nn.MultiLabelSoftMarginLoss(np.ones(3, np.float32)).forward(x, x)
    with pytest.raises(ValueError, match=r"input \(4, 3\) and target \(4, 1\)"):
        nn.SoftMarginLoss().forward(x, np.ones((4, 1), np.uint8))


def test_multi_label_soft_margin_of_nothing():
    check_refused(lambda nn: nn.MultiLabelSoftMarginLoss(), normal(), normal(), error=ValueError, match="an axis")
    for shape in [(0, 3), (3, 0)]:
        assert_same("MultiLabelSoftMarginLoss", np.empty(shape), np.empty(shape))
    assert np.isnan(nn.MultiLabelSoftMarginLoss(reduction="none")(np.empty((3, 0)), np.empty((3, 0)))).all()


def test_bce_with_logits_keeps_small_losses():
    """log(1 + e^-40) would be log(1) = 0; log1p keeps all digits."""
    loss = nn.BCEWithLogitsLoss(reduction="none")(np.array([40.0, -40.0]), np.array([1.0, 0.0]))
    assert loss == pytest.approx([np.exp(-40), np.exp(-40)], rel=1e-15)
    assert softplus(np.array([-40.0])) == pytest.approx([np.exp(-40)], rel=1e-15)


def test_bce_with_logits_is_its_formula():
    """Bit for bit: max(x, 0) - t x as one product, + log(1 + e^-|x|)."""
    x, t = 2 * normal(2000), probabilities(2000)
    formula = np.where(x > 0, (1 - t) * x, -t * x) + np.log1p(np.exp(-np.abs(x)))
    assert np.array_equal(nn.BCEWithLogitsLoss(reduction="none")(x, t), formula)


@pytest.mark.parametrize("step", [1e-100j, -1e-100j])
def test_a_logit_of_zero_takes_a_complex_step(step):
    """On either side of 0 another form is computed; both have the slope sigmoid(0) - t there."""
    loss = nn.BCEWithLogitsLoss().forward(np.array([step]), np.array([0.3], complex))[0]
    assert loss.imag / step.imag == pytest.approx(0.2, rel=1e-15)


@pytest.mark.parametrize("step", [1e-100j, -1e-100j])
def test_the_ends_of_a_range_take_a_complex_step(step):
    """0 and 1 are probabilities, and a number at the floor is kept, however the imaginary part points."""
    nn.BCELoss().forward(np.array([0.0, 1.0]) + step, np.array([0.5, 0.5], complex))
    assert at_least(np.array([-100 + step]), -100).imag == step.imag


def test_labels_of_any_size_scale_the_margin():
    check(lambda nn: nn.SoftMarginLoss(reduction="none"), normal(4, 3), 3 * signs(4, 3))


def test_torch_gives_labels_no_gradient():
    """Which is why ours is None."""
    with pytest.raises(RuntimeError, match="not differentiable with respect to argument 'target'"):
        torch.nn.SoftMarginLoss()(torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True))
