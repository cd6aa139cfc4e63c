"""BatchNorm1d, 2d and 3d against torch: outputs, gradients and running statistics."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_refused, normal

SHAPES = {
    "BatchNorm1d": [(4, 3), (5, 3, 2), (1, 3, 4), (3, 3, 1), (0, 3), (0, 3, 2), (2, 3, 0)],
    "BatchNorm2d": [(3, 3, 2, 2), (1, 3, 3, 1), (0, 3, 2, 2)],
    "BatchNorm3d": [(3, 3, 2, 1, 2), (1, 3, 1, 1, 4)],
}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
OPTIONS = [{}, {"affine": False}, {"bias": False}, {"track_running_stats": False}, {"momentum": None}, {"eps": 0.3}]
PAIRS = [
    {"affine": False, "track_running_stats": False}, {"bias": False, "momentum": None}, {"momentum": 1.0, "eps": 2},
    {"momentum": 0.0, "affine": False}, {"track_running_stats": False, "momentum": None}, {"momentum": 0.7},
    {"affine": False, "bias": False}, {"bias": False, "track_running_stats": False}, {"momentum": 0},
]  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("name", "shape"), CASES, ids=str)
def test_batch_norm(name, shape, options, training, dtype, device):
    check(lambda nn: getattr(nn, name)(3, **options), normal(*shape), training=training, dtype=dtype, device=device)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", PAIRS, ids=str)
def test_pairs_of_options(options, training, dtype):
    check(lambda nn: nn.BatchNorm1d(3, **options), normal(4, 3), training=training, dtype=dtype)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(3, 5), st.integers(1, 3), st.integers(1, 3)),
    st.booleans(),
    st.booleans(),
    st.none() | st.floats(0, 1),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_shape(shape, affine, tracked, momentum, training, seed):
    def build(nn):
        return nn.BatchNorm1d(shape[1], 1e-3, momentum, affine, tracked)

    check(build, normal(*shape, seed=seed), training=training, seed=seed)


def test_in_a_network(dtype, device):
    def network(nn):
        return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Sigmoid(), nn.Linear(5, 2), nn.BatchNorm1d(2))

    check(network, normal(6, 4), dtype=dtype, device=device)
    check(network, normal(6, 4), dtype=dtype, device=device, training=False)


@pytest.mark.parametrize("options", OPTIONS + PAIRS, ids=str)
def test_steps_in_a_row_and_then_evaluation(options, dtype):
    """Batches of several sizes, one of them empty: running statistics, outputs and gradients after each."""
    hand, theirs = nn.BatchNorm1d(3, **options).to(dtype), torch.nn.BatchNorm1d(3, **options).to(getattr(torch, dtype))
    for step, (samples, training) in enumerate([(4, True), (0, True), (7, True), (5, False), (3, True), (4, False)]):
        hand.train(training)
        theirs.train(training)
        x, g = (3 + 2 * normal(samples, 3, seed=step)).astype(dtype), normal(samples, 3, seed=9 + step).astype(dtype)
        x_t = torch.tensor(x, requires_grad=True)
        y, saved = hand.forward(x)
        y_t = theirs(x_t)
        y_t.backward(torch.tensor(g))
        near = {"rtol": 64 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}
        np.testing.assert_allclose(y, y_t.detach().cpu().numpy(), **near)
        np.testing.assert_allclose(hand.backward(g, saved), x_t.grad.cpu().numpy(), **near)
        assert dict(hand.named_buffers()).keys() == dict(theirs.named_buffers()).keys()
        for name, value in theirs.named_buffers():
            np.testing.assert_allclose(getattr(hand, name), value.cpu().numpy(), **near)
            assert getattr(hand, name).dtype == value.cpu().numpy().dtype
    for p, q in zip(hand.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.cpu().numpy(), rtol=near["rtol"], atol=10 * near["atol"])


def test_without_momentum_all_batches_count_alike():
    layer, batches = nn.BatchNorm1d(3, momentum=None, dtype=np.float64), [normal(4, 3, seed=k) for k in range(3)]
    for batch in batches:
        layer(batch)
    np.testing.assert_allclose(layer.running_mean, np.mean([b.mean(axis=0) for b in batches], axis=0), rtol=1e-14)
    np.testing.assert_allclose(layer.running_var, np.mean([b.var(axis=0, ddof=1) for b in batches], axis=0), rtol=1e-14)
    assert layer.num_batches_tracked == 3
    assert layer.num_batches_tracked.dtype == np.int64
    assert isinstance(layer.num_batches_tracked, np.ndarray)
    layer.reset_running_stats()
    theirs = torch.nn.BatchNorm1d(3).double()
    for name, value in theirs.named_buffers():
        assert getattr(layer, name).astype(str).tolist() == value.cpu().numpy().astype(str).tolist()
        assert getattr(layer, name).dtype == value.cpu().numpy().dtype
    layer = nn.BatchNorm1d(3, track_running_stats=False)
    layer.reset_running_stats()
    assert layer.running_mean is None


def test_forward_replaces_buffers_and_changes_none():
    """An array that was taken out before stays what it was."""
    layer = nn.BatchNorm1d(3)
    before = copy.deepcopy(dict(layer.named_buffers())), dict(layer.named_buffers())
    layer(normal(4, 3).astype(np.float32))
    for name, value in before[0].items():
        assert np.array_equal(before[1][name], value)
        assert not np.array_equal(getattr(layer, name), value)


def test_a_refused_batch_is_not_counted():
    """Torch counts it before it refuses it."""
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="its own mean"):
        layer.forward(np.ones((1, 3), np.float32))
    assert layer.num_batches_tracked == 0


def test_large_means_keep_their_digits(dtype):
    check(lambda nn: nn.BatchNorm1d(3), 4096 + normal(5, 3), dtype=dtype)


def test_ends_of_the_range():
    """Channels that are huge, infinite, NaN and constant: as in torch, with no warning, the buffers too."""
    x = np.array([[1e30, np.inf, np.nan, 2], [-1e30, 1, 1, 2], [2, 2, 2, 2]], np.float32)
    hand, theirs = nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4)
    for training in (True, False):
        hand.train(training)
        theirs.train(training)
        np.testing.assert_allclose(hand(x), theirs(torch.tensor(x)).detach().cpu().numpy(), rtol=1e-6)
        for name, value in theirs.named_buffers():
            np.testing.assert_allclose(getattr(hand, name), value.cpu().numpy(), rtol=1e-6)
    hand, theirs = nn.BatchNorm1d(1, eps=0).eval(), torch.nn.BatchNorm1d(1, eps=0).eval()
    for mean, var in [(-3e38, 1), (0, 1e-30), (0, -1), (0, 0)]:  # evaluation overflows, finds no root, divides by 0
        state = {"running_mean": np.array([mean], np.float32), "running_var": np.array([var], np.float32)}
        hand.load_state_dict(hand.state_dict() | state)
        theirs.load_state_dict(theirs.state_dict() | {name: torch.tensor(value) for name, value in state.items()})
        x = np.array([[3e38], [-3e38], [1], [0]], np.float32)
        expected = theirs(torch.tensor(x)).detach().cpu().numpy() if var else [[np.inf], [-np.inf], [np.inf], [np.nan]]
        np.testing.assert_allclose(hand(x), expected, rtol=1e-6)  # torch's form gives NaN alone where var is 0


def test_initial_state_is_torchs(dtype):
    for options in OPTIONS + PAIRS:
        hand = nn.BatchNorm2d(3, dtype=dtype, **options).state_dict()
        theirs = torch.nn.BatchNorm2d(3, dtype=getattr(torch, dtype), **options).state_dict()
        assert list(hand) == list(theirs)
        for name, value in hand.items():
            assert value.dtype == theirs[name].cpu().numpy().dtype
            assert value.astype(str).tolist() == theirs[name].cpu().numpy().astype(str).tolist()
    assert nn.BatchNorm2d(3).running_var.dtype == nn.BatchNorm2d(3).weight.dtype == np.float32


@pytest.mark.parametrize("options", OPTIONS + PAIRS, ids=str)
def test_repr(options):
    assert repr(nn.BatchNorm1d(3, **options)) == repr(torch.nn.BatchNorm1d(3, **options))


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("BatchNorm1d", (3,), r"BatchNorm1d takes 2 or 3 axes, but was given \(3,\)"),
        ("BatchNorm1d", (2, 3, 4, 5), r"2 or 3 axes"),
        ("BatchNorm2d", (2, 3, 4), r"BatchNorm2d takes 4 axes, but was given \(2, 3, 4\)"),
        ("BatchNorm3d", (2, 3, 4, 5), r"BatchNorm3d takes 5 axes"),
        ("BatchNorm1d", (2, 4), r"takes 3 channels on axis 1, but was given \(2, 4\)"),
        ("BatchNorm1d", (1, 3), r"shape \(1, 3\) each value is its own mean"),
        ("BatchNorm1d", (1, 3, 1), r"each value is its own mean"),
        ("BatchNorm2d", (1, 3, 1, 1), r"each value is its own mean"),
    ],
)
def test_bad_shapes(name, shape, says):
    check_refused(lambda nn: getattr(nn, name)(3), normal(*shape), error=ValueError, match=says)


def test_one_value_a_channel():
    """In evaluation the running statistics are enough; without them it is refused, as in training."""
    check(lambda nn: nn.BatchNorm1d(3), normal(1, 3), training=False)
    check_refused(
        lambda nn: nn.BatchNorm1d(3, track_running_stats=False).eval(),
        normal(1, 3),
        error=ValueError,
        match="its own mean",
    )


@pytest.mark.parametrize("eps", [0.0, -0.0, -1e-5])
@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"])
def test_the_range_of_eps(name, eps):
    """By its own statistics a batch is normalised with an eps above 0 alone, by running ones with 0 as well."""
    x = normal(2, 3, 2, 2, 2)[(..., *[0] * (3 - int(name[-2])))]
    check_refused(lambda nn: getattr(nn, name)(3, eps=eps), x, error=ValueError, match="above 0 in training")
    untracked = {"eps": eps, "track_running_stats": False}
    check_refused(lambda nn: getattr(nn, name)(3, **untracked).eval(), x, error=ValueError, match=f"eps is {eps}, but")
    if eps < 0:
        check_refused(lambda nn: getattr(nn, name)(3, eps=eps).eval(), x, error=ValueError, match="in evaluation")
    else:
        check(lambda nn: getattr(nn, name)(3, eps=eps), x, training=False)
    assert np.isnan(getattr(nn, name)(3, eps=np.nan, dtype=x.dtype)(x)).all()


def test_bad_input():
    check_refused(lambda nn: nn.BatchNorm1d(3), np.ones((2, 3), int), error=TypeError, match="floats, not int64")
    for options in ({}, {"affine": False}, {"track_running_stats": False}):
        with pytest.raises(TypeError, match=r"BatchNorm1d has parameters of float32 but was given float64"):
            nn.BatchNorm1d(3, **options).forward(np.ones((2, 3)))
    y, _ = nn.BatchNorm1d(3, affine=False, track_running_stats=False).forward(np.ones((2, 3)))  # any float goes
    assert y.dtype == np.float64
    with pytest.raises(TypeError, match="not list"):
        nn.BatchNorm1d(3).forward([[1.0]])
    with pytest.raises(NotImplementedError, match="BatchNorm1d does not support device"):
        nn.BatchNorm1d(3, device="cpu")
    check_refused(lambda nn: nn.BatchNorm1d(-1), normal(2, 3), error=ValueError, match="BatchNorm1d: num_features=-1")


def test_no_channels():
    y, saved = nn.BatchNorm1d(0).forward(np.ones((4, 0), np.float32))
    assert y.shape == nn.BatchNorm1d(0).backward(y, saved).shape == (4, 0)
