"""CrossEntropyLoss and NLLLoss where a mean divides by nothing, at the ends of the range, and what they refuse."""

import itertools

import numpy as np
import pytest
import torch

from manual import nn
from manual.nn.activation import log_softmax
from parity_tests.nn.loss.sides import assert_same, both, classes
from parity_tests.parity import check_refused, normal, of, probabilities


def test_a_weighted_mean_divides_by_the_weights_that_count():
    w, x, t = np.array([0.5, 2.0, 3.0]), normal(4, 3), np.array([0, 2, -100, 2])
    entries = nn.CrossEntropyLoss(w, reduction="none")(x, t)
    assert nn.CrossEntropyLoss(w)(x, t) == pytest.approx(entries.sum() / 6.5, rel=1e-15)
    smooth = nn.CrossEntropyLoss(w, reduction="none", label_smoothing=0.3)(x, t)
    assert nn.CrossEntropyLoss(w, label_smoothing=0.3)(x, t) == pytest.approx(smooth.sum() / 6.5, rel=1e-15)
    soft = probabilities(4, 3)
    assert nn.CrossEntropyLoss(w)(x, soft) == pytest.approx(nn.CrossEntropyLoss(w, reduction="sum")(x, soft) / 4)


@pytest.mark.parametrize(
    "given", [{}, {"label_smoothing": 0.1}, {"weight": True}, {"weight": True, "label_smoothing": 0.1}]
)
@pytest.mark.parametrize("shape", [(2, 3), (3,), (2, 3, 2)], ids=str)
def test_all_ignored_is_nan_with_gradient_zero(given, shape, dtype):
    given = {**given, "weight": np.array([0.5, 2, 3], dtype)} if "weight" in given else given
    x, t = normal(*shape).astype(dtype), np.full_like(classes(shape), -100)
    (loss, grad, _), _ = both("CrossEntropyLoss", x, t, **given)
    assert np.isnan(loss)
    assert (grad == 0).all()
    assert_same("CrossEntropyLoss", x, t, **given)
    if "label_smoothing" not in given:
        assert_same("NLLLoss", x, t, **given)


def test_no_weight_at_all_is_nan():
    """The targets that count have the weight 0: 0/0 in the loss, and in the gradient of what counts."""
    weight = np.array([0.0, 2.0, 1.0])
    for shape in [(2, 3), (2, 3, 1)]:
        t = np.array([0, -100]).reshape(classes(shape).shape)
        for smoothing in (0.0, 0.1):
            assert_same("CrossEntropyLoss", normal(*shape), t, weight=weight, label_smoothing=smoothing)
        assert_same("NLLLoss", normal(*shape), t, weight=weight)


# ------------------------------------------------------------------ ends of the range


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_logits_far_out(smoothing, dtype):
    x = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0], [1e30, 1e30, -1e30], [0, -90, -110], [1e-30, 0, 0]], dtype=dtype)
    for t in itertools.product(range(3), repeat=2):
        assert_same("CrossEntropyLoss", x, np.array([*t, 1, 2, 0]), reduction="none", label_smoothing=smoothing)
    assert_same("CrossEntropyLoss", x, probabilities(5, 3).astype(dtype), reduction="none", label_smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_infinite_logits(smoothing, dtype):
    """-inf rules a class out; +inf, or -inf alone, leaves no distribution: NaN on both sides."""
    inf = np.inf
    x = np.array([[1, -inf, 2], [-inf, 0, 1], [-inf, -inf, -inf], [inf, 0, 1], [np.nan, 0, 0]], dtype=dtype)
    for t in (0, 1, 2):
        assert_same("CrossEntropyLoss", x, np.full(5, t), reduction="none", label_smoothing=smoothing)
    assert_same("CrossEntropyLoss", x[:1], np.array([0]), label_smoothing=smoothing)
    assert_same("CrossEntropyLoss", x, np.full(5, -100), reduction="none", label_smoothing=smoothing)
    assert_same("CrossEntropyLoss", x, probabilities(5, 3).astype(dtype), reduction="none", label_smoothing=smoothing)
    zero_there = np.array([[0.5, 0, 0.5]] * 5, dtype=dtype)
    assert_same("CrossEntropyLoss", x, zero_there, reduction="none", label_smoothing=smoothing)


def test_infinite_log_probabilities(dtype):
    x = np.array([[0, -np.inf], [0, -np.inf], [-np.inf, 0]], dtype=dtype)
    assert_same("NLLLoss", x, np.array([0, 1, -100]), reduction="none")
    assert_same("NLLLoss", x, np.array([0, 0, -100]))
    for name in ("NLLLoss", "CrossEntropyLoss"):
        assert_same(name, x, np.array([0, 1, 0]), reduction="none", weight=np.array([0, 2], dtype))


def test_a_small_probability_keeps_its_digits():
    """In float32 e^-110 is 0, and -log of it would be infinite."""
    x = np.array([[0, -110]], np.float32)
    assert nn.CrossEntropyLoss()(x, np.array([1])) == 110
    assert log_softmax(x, -1).tolist() == [[0, -110]]


def test_float32_is_as_accurate_as_torch():
    x, t = (20 * normal(50, 7)).astype(np.float32), classes((50, 7))
    hand = nn.CrossEntropyLoss(reduction="none")(x, t)
    theirs = torch.nn.CrossEntropyLoss(reduction="none")(torch.tensor(x), torch.tensor(t)).cpu().numpy()
    truth = nn.CrossEntropyLoss(reduction="none")(x.astype(np.longdouble), t)
    assert np.abs(hand - truth).max() <= 1.5 * np.abs(theirs - truth).max()


# ------------------------------------------------------------------ what is refused

LOSSES = ["CrossEntropyLoss", "NLLLoss"]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("shape", "target", "error", "says"),
    [
        ((4, 3), np.array([0, 1, 3, 2]), IndexError, r"target 3 at \(2,\) is no class: they are 0 to 2"),
        ((4, 3), np.array([0, -1, 3, 2]), IndexError, r"target -1 at \(1,\)"),
        ((3,), np.array(3), IndexError, r"target 3 at \(\)"),
        ((2, 3, 2), np.array([[0, 0], [0, 9]]), IndexError, r"target 9 at \(1, 1\)"),
        ((4, 3), np.array([0, 1, 2]), ValueError, r"\(4, 3\) takes a target \(4,\), not \(3,\)"),
        ((4, 3), np.array(1), ValueError, r"target \(4,\), not \(\)"),
        ((2, 3, 4), np.zeros((2, 3), int), ValueError, r"target \(2, 4\), not \(2, 3\)"),
        ((4, 3), np.zeros(4, np.int32), TypeError, r"not int32: use astype\(np\.int64\)"),
        ((4, 3), np.zeros(4, bool), TypeError, "not bool"),
        ((4, 3), np.zeros(4), TypeError, "not float"),
        ((), np.array(0), ValueError, r"C >= 1 classes, not an input \(\)"),
        ((4, 0), np.zeros(4, int), ValueError, r"C >= 1 classes, not an input \(4, 0\)"),
    ],
    ids=str,
)
def test_bad_targets(name, shape, target, error, says):
    if (shape == (3,) and name == "CrossEntropyLoss") or target.shape == (4, 3):
        return
    check_refused(lambda nn: getattr(nn, name)(), normal(*shape), target, error=error, match=says)


@pytest.mark.parametrize("name", LOSSES)
def test_bad_input(name):
    with pytest.raises(TypeError, match="not list"):
        getattr(nn, name)().forward(normal(4, 3), [0, 1, 2, 0])
    with pytest.raises(TypeError, match=f"{name} computes with floats, not int64"):
        getattr(nn, name)().forward(np.ones((4, 3), int), np.zeros(4, int))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weight", [np.ones(2), np.ones(4), np.ones((1, 3)), np.ones(())], ids=np.shape)
def test_bad_weight(name, weight):
    build = lambda nn: getattr(nn, name)(of(nn, weight))  # noqa: E731
    check_refused(build, normal(4, 3), classes((4, 3)), error=ValueError, match=r"must be \(3,\), one for each")


@pytest.mark.parametrize("name", LOSSES)
def test_weight_of_another_dtype(name):
    module = getattr(nn, name)(np.ones(3))
    with pytest.raises(TypeError, match=r"weight is float64 but input float32: write loss.to\(np.float32\)"):
        module.forward(normal(4, 3).astype(np.float32), classes((4, 3)))


def test_bad_probabilities():
    def build(nn):
        return nn.CrossEntropyLoss(ignore_index=1)

    x = normal(4, 3)
    check_refused(build, x, x, error=ValueError, match=r"ignore_index=1\) takes class indices")
    check_refused(lambda nn: nn.CrossEntropyLoss(ignore_index=0), x, x, error=ValueError, match="ignore_index")
    check_refused(
        lambda nn: nn.CrossEntropyLoss(), x, np.ones((4, 3), int), error=TypeError, match="target computes with floats"
    )
    with pytest.raises(TypeError, match="float64 but target float32"):
        nn.CrossEntropyLoss().forward(x, x.astype(np.float32))
    nn.CrossEntropyLoss(ignore_index=-1).forward(x, x)


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, np.nan])
def test_bad_smoothing(smoothing):
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.CrossEntropyLoss(label_smoothing=smoothing)


@pytest.mark.parametrize("target", [np.array([0, 2]), np.array([[0.2, 0.8, 0.1], [0.5, 0.0, 0.5]])], ids=["index", "t"])
def test_smoothing_may_be_whole(target):
    """With s = 1 only the uniform distribution is left, whatever the targets."""
    assert_same("CrossEntropyLoss", normal(2, 3), target, label_smoothing=1.0)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"])
def test_numpys_number_is_a_class(name):
    x, module = normal(3), getattr(nn, name)()
    assert module(x, np.int64(2)) == module(x, np.array(2))


def test_bytes_are_classes():
    x, t = normal(4, 3), classes((4, 3))
    for name in LOSSES:
        assert getattr(nn, name)()(x, t.astype(np.uint8)) == getattr(nn, name)()(x, t)


def test_weights_are_a_buffer():
    state = nn.CrossEntropyLoss(np.ones(3)).state_dict()
    assert list(state) == ["weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []
