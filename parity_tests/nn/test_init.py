"""Initial values: the same numbers as torch's where nothing is drawn, the same distributions where something is."""

import inspect
import math

import numpy as np
import pytest
import torch

from manual import nn
from manual.nn import init

NAMES = sorted(name for name in vars(init) if name.endswith("_") and not name.startswith("_"))
WIDE, DEEP = (400, 500), (60, 80, 5, 4)


def both(name, shape, *args, dtype="float64", seed=0, **kwargs):
    """Return the array that each side fills."""
    drawn = name not in ("constant_", "ones_", "zeros_", "eye_", "dirac_")
    generator = {"generator": np.random.default_rng(seed)} if drawn else {}
    mine = getattr(init, name)(np.full(shape, 7, dtype), *args, **kwargs, **generator)
    theirs = torch.full(shape, 7, dtype=getattr(torch, dtype))
    generator = {"generator": torch.Generator().manual_seed(seed)} if drawn else {}
    return mine, getattr(torch.nn.init, name)(theirs, *args, **kwargs, **generator).cpu().numpy()


def alike(mine, theirs, rel=0.02):
    """Assert one distribution: mean, spread and quantiles, in terms of the spread; 4 sigma of 100,000 draws."""
    mine, theirs = mine.astype("float64"), theirs.astype("float64")
    spread = theirs.std()
    assert mine.std() == pytest.approx(spread, rel=rel)
    assert mine.mean() == pytest.approx(theirs.mean(), abs=rel * spread)
    for q in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98):
        assert np.quantile(mine, q) == pytest.approx(np.quantile(theirs, q), abs=0.04 * spread)


@pytest.mark.parametrize("name", [*NAMES, "calculate_gain"])
def test_arguments_are_torchs(name):
    ours, theirs = (inspect.signature(getattr(where, name)).parameters.values() for where in (init, torch.nn.init))
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]


def test_all_of_torchs_are_here():
    assert set(NAMES) == {name for name in vars(torch.nn.init) if name.endswith("_") and not name.startswith("_")}


EXACT = [
    ("constant_", (3, 2), 0.3),
    ("constant_", (), -2),
    ("ones_", (2, 3, 4)),
    ("zeros_", (4,)),
    ("eye_", (3, 3)),
    ("eye_", (2, 5)),
    ("eye_", (5, 2)),
    ("eye_", (0, 2)),
    ("dirac_", (4, 3, 5)),
    ("dirac_", (3, 4, 3, 5)),
    ("dirac_", (6, 2, 3, 4, 5), 2),
    ("dirac_", (6, 5, 4), 3),
    ("dirac_", (4, 1, 2, 2), 4),
]


@pytest.mark.parametrize("case", EXACT, ids=str)
def test_what_is_not_drawn_is_exact(case, dtype):
    name, shape, *args = case
    mine, theirs = both(name, shape, *args, dtype=dtype)
    assert mine.dtype == theirs.dtype
    assert np.array_equal(mine, theirs)
    assert np.array_equal(np.signbit(mine), np.signbit(theirs))


DRAWN = [
    ("uniform_", WIDE, {}),
    ("uniform_", WIDE, {"a": -3.0, "b": 0.5}),
    ("normal_", WIDE, {}),
    ("normal_", WIDE, {"mean": 2.0, "std": 0.3}),
    ("trunc_normal_", WIDE, {}),
    ("trunc_normal_", WIDE, {"mean": 1.0, "std": 2.0, "a": 0.5, "b": 3.0}),  # 0.44 of it within
    ("trunc_normal_", WIDE, {"mean": 1.0, "std": 2.0, "a": 1.5, "b": 2.0}),  # 0.09
    ("trunc_normal_", WIDE, {"mean": 0.5, "std": 1.0, "a": -2.6, "b": -1.5}),  # 0.02, all far below the mean
    ("trunc_normal_", WIDE, {"mean": 0.1, "std": 1.0, "a": -0.2, "b": 0.4}),  # 0.24, about the mean
    ("xavier_uniform_", WIDE, {}),
    ("xavier_uniform_", DEEP, {"gain": 2.0}),
    ("xavier_normal_", WIDE, {"gain": 0.5}),
    ("xavier_normal_", DEEP, {}),
    ("kaiming_uniform_", WIDE, {}),
    ("kaiming_uniform_", DEEP, {"a": 0.5, "mode": "fan_out"}),
    ("kaiming_uniform_", WIDE, {"nonlinearity": "tanh"}),
    ("kaiming_normal_", WIDE, {"mode": "fan_out"}),
    ("kaiming_normal_", DEEP, {"nonlinearity": "relu"}),
    ("kaiming_normal_", DEEP, {"a": 2, "nonlinearity": "leaky_relu"}),
    ("sparse_", WIDE, {"sparsity": 0.3}),
    ("sparse_", WIDE, {"sparsity": 0.1, "std": 2.0}),
    ("orthogonal_", WIDE, {"gain": 2.0}),
    ("orthogonal_", DEEP, {}),
]


@pytest.mark.parametrize(("name", "shape", "options"), DRAWN)
def test_what_is_drawn_has_torchs_distribution(name, shape, options, dtype):
    mine, theirs = both(name, shape, **options, dtype=dtype)
    assert mine.dtype == theirs.dtype
    assert mine.shape == theirs.shape
    alike(mine, theirs)


@pytest.mark.parametrize(
    ("name", "options", "bound"),
    [
        ("xavier_uniform_", {"gain": 2.0}, 2 * math.sqrt(6 / (20 * 60 + 20 * 80))),
        ("kaiming_uniform_", {}, math.sqrt(2) * math.sqrt(3 / (20 * 80))),
        ("kaiming_uniform_", {"mode": "fan_out", "a": 3}, math.sqrt(2 / 10) * math.sqrt(3 / (20 * 60))),
        ("uniform_", {"a": -0.25, "b": 0.25}, 0.25),
        ("trunc_normal_", {"a": -0.25, "b": 0.25}, 0.25),
        ("trunc_normal_", {"std": 0.2, "a": -0.25, "b": 0.25}, 0.25),
    ],
)
def test_bounds(name, options, bound):
    """All of the 96,000 within, and both ends nearly reached."""
    for values in both(name, DEEP, **options):
        assert np.abs(values).max() <= bound
        assert values.max() > 0.998 * bound
        assert values.min() < -0.998 * bound


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (3, 2, 4), (9, 2, 2)])
def test_orthogonal(shape, dtype):
    mine, theirs = both("orthogonal_", shape, 3.0, dtype=dtype)
    for values in (mine, theirs):
        matrix = values.reshape(shape[0], -1) / 3
        gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=20 * np.finfo(dtype).eps)


def test_orthogonal_prefers_no_direction():
    """Entries of both signs alike, in the first row as in any: the factorization alone has its signs fixed."""
    random = np.random.default_rng(0)
    drawn = np.stack([init.orthogonal_(np.empty((2, 2)), generator=random) for _ in range(4000)])
    assert np.abs(drawn.mean(axis=0)).max() < 0.05
    np.testing.assert_allclose((drawn**2).mean(axis=0), 0.5, atol=0.03)
    wide = np.stack([init.orthogonal_(np.empty((1, 3)), generator=random) for _ in range(4000)])
    assert np.abs(wide.mean(axis=0)).max() < 0.05


@pytest.mark.parametrize(("sparsity", "zeros"), [(0.0, 0), (0.31, 4), (0.5, 5), (1.0, 10)])
def test_sparse_counts_upwards(sparsity, zeros):
    for values in both("sparse_", (10, 6), sparsity):
        assert ((values == 0).sum(axis=0) == zeros).all()
    places = init.sparse_(np.empty((10, 40)), 0.5, generator=np.random.default_rng(0)) == 0
    assert len({tuple(column) for column in places.T}) > 30
    assert init.sparse_(np.empty((30, 40)), 0.5).std() == pytest.approx(0.01 / math.sqrt(2), rel=0.1)


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4), (2, 3, 4, 5), (0, 3), (3, 0)])
def test_fans(shape):
    expected = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    assert init._calculate_fan_in_and_fan_out(np.empty(shape)) == expected


GAINS = ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "conv1d", "conv2d", "conv3d"]
GAINS += ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


@pytest.mark.parametrize("nonlinearity", GAINS)
def test_gains(nonlinearity):
    assert init.calculate_gain(nonlinearity) == torch.nn.init.calculate_gain(nonlinearity)
    for slope in (0, 0.2, 3):
        assert init.calculate_gain("leaky_relu", slope) == torch.nn.init.calculate_gain("leaky_relu", slope)


def test_the_gain_keeps_the_second_moment():
    """E[y^2] = E[x^2] through a wide layer with ReLU before it."""
    random = np.random.default_rng(0)
    x = np.maximum(random.normal(size=(500, 300)), 0)
    w = init.kaiming_normal_(np.empty((3000, 300)), nonlinearity="relu", generator=random)
    assert ((x @ w.T) ** 2).mean() == pytest.approx(1, rel=0.03)


def test_parameters_are_given_new_data_and_arrays_are_written_to():
    layer = nn.Linear(3, 2)
    before = layer.weight.data
    kept = before.copy()
    assert init.ones_(layer.weight) is layer.weight
    assert layer.weight.data.dtype == np.float32
    assert (layer.weight.data == 1).all()
    assert np.array_equal(before, kept)
    array = np.zeros((2, 3))
    assert init.ones_(array) is array
    assert (array == 1).all()
    assert nn.init is init


def test_a_seed_means_the_same_weights_for_good():
    draw = np.random.default_rng
    assert np.array_equal(init.uniform_(np.empty((2, 3)), -1, 2, draw(4)), draw(4).uniform(-1, 2, (2, 3)))
    assert np.array_equal(init.normal_(np.empty((2, 3)), 1, 2, draw(4)), draw(4).normal(1, 2, (2, 3)))
    q, r = np.linalg.qr(draw(4).normal(size=(3, 2)))
    assert np.allclose(init.orthogonal_(np.empty((3, 2)), 1, draw(4)), q * np.sign(np.diag(r)))
    q, r = np.linalg.qr(draw(4).normal(size=(3, 3)))
    assert np.allclose(init.orthogonal_(np.empty((3, 3)), 1, draw(4)), q * np.sign(np.diag(r)))
    for name in set(NAMES) - {"constant_", "ones_", "zeros_", "eye_", "dirac_", "sparse_"}:
        first, second, other = (getattr(init, name)(np.empty((4, 3)), generator=draw(s)) for s in (4, 4, 5))
        assert np.array_equal(first, second)
        assert not np.array_equal(first, other)
        assert np.array_equal(getattr(init, name)(np.empty((4, 3), "f4"), generator=draw(4)), first.astype("f4"))


def test_what_truncated_values_are_drawn_from():
    """The normal distribution where 0.3 of it or more is within, else the uniform one between the bounds."""
    for bound, within, first in [
        (0.4, 0.311, np.random.default_rng(4).normal(size=1000)),
        (0.7, 0.516, np.random.default_rng(4).normal(size=1000)),
        (0.37, 0.289, np.random.default_rng(4).uniform(-0.37, 0.37, 1000)),
    ]:
        assert math.erf(bound / math.sqrt(2)) == pytest.approx(within, abs=1e-3)
        values = init.trunc_normal_(np.empty(1000), a=-bound, b=bound, generator=np.random.default_rng(4))
        inside = np.abs(first) <= bound
        kept = (values == first)[inside].mean()
        assert kept == 1 if within > 0.3 else 0.95 < kept < 1


def test_with_0_3_within_the_normal_distribution_is_drawn_from(monkeypatch):
    monkeypatch.setattr(init.math, "erf", lambda x: math.copysign(0.3, x))
    values = init.trunc_normal_(np.empty(1000), a=-9, b=9, generator=np.random.default_rng(4))
    assert np.array_equal(values, np.random.default_rng(4).normal(size=1000))


def test_a_range_of_one_value():
    assert (init.uniform_(np.empty(3), 2, 2) == 2).all()
    assert (init.normal_(np.empty(3), 2, 0) == 2).all()
    for value in np.linspace(-3, 3, 50):
        assert (init.trunc_normal_(np.empty(3), 0.1, 0.3, value, value) == value).all()


def test_no_generator_draws_anew():
    assert not np.array_equal(init.normal_(np.empty(5)), init.normal_(np.empty(5)))


@pytest.mark.parametrize("name", ["uniform_", "normal_", "trunc_normal_", "orthogonal_", "xavier_normal_",
                                  "xavier_uniform_", "kaiming_normal_", "kaiming_uniform_", "eye_"])  # fmt: skip
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_without_entries_nothing_is_drawn(name, shape):
    assert getattr(init, name)(np.empty(shape)).shape == shape


W = np.empty((3, 4))
REFUSED = [
    (lambda i, w: i.uniform_(w, 2, 1), "a = 2 is above b = 1", RuntimeError),
    (lambda i, w: i.normal_(w, 0, -1), "std is -1", RuntimeError),
    (lambda i, w: i.trunc_normal_(w, 0, 0), "std is 0", ZeroDivisionError),
    (lambda i, w: i.trunc_normal_(w, 0, 1, 2, 1), "a = 2 is above b = 1", RuntimeError),
    (lambda i, w: i.uniform_(w, 0, math.inf), "a finite distance, not from 0 up to inf", RuntimeError),
    (lambda i, w: i.uniform_(w, math.nan, 1), "a finite distance", RuntimeError),
    (lambda i, w: i.normal_(w, 0, math.nan), "std is nan", RuntimeError),
    (lambda i, w: i.sparse_(w, 0.5, -1), "std is -1", RuntimeError),
    (lambda i, w: i.kaiming_uniform_(w, a=math.nan), "a finite distance", RuntimeError),
    (lambda i, w: i.kaiming_normal_(w, a=math.nan), "std is nan", RuntimeError),
    (lambda i, w: i.xavier_uniform_(w, math.nan), "a finite distance", RuntimeError),
    (lambda i, w: i.trunc_normal_(w, 0, 1, math.nan), "finds no numbers from a = nan to b = 2.0", RuntimeError),
    (lambda i, w: i.dirac_(w[:, :, None], 0), "groups=0 has a number below 1", ZeroDivisionError),
    (lambda i, w: i.eye_(w[0]), r"eye_ takes a matrix, not an array of shape \(4,\)", ValueError),
    (lambda i, w: i.sparse_(w[0], 0.5), r"sparse_ takes a matrix, not an array of shape \(4,\)", ValueError),
    (lambda i, w: i.dirac_(w), r"3, 4 or 5 axes, not one of shape \(3, 4\)", ValueError),
    (lambda i, w: i.dirac_(w[:, :, None], 2), "3 outputs cannot be split into 2 groups", ValueError),
    (lambda i, w: i.xavier_normal_(w[0]), r"shape \(4,\) has no fan", ValueError),
    (lambda i, w: i.kaiming_uniform_(w[0]), r"shape \(4,\) has no fan", ValueError),
    (lambda i, w: i.kaiming_uniform_(w, mode="another"), "mode is 'another'", ValueError),
    (lambda i, w: i.kaiming_normal_(w, nonlinearity="another"), "'another' has no gain", ValueError),
    (lambda i, w: i.orthogonal_(w[0]), r"orthogonal_ takes 2 axes or more, not shape \(4,\)", ValueError),
    (lambda i, w: i.calculate_gain("leaky_relu", True), "a number for its slope, not True", ValueError),
    (lambda i, w: i.calculate_gain("leaky_relu", "0.1"), "a number for its slope, not '0.1'", ValueError),
]


@pytest.mark.parametrize(("call", "says", "torchs"), REFUSED)
def test_refused_by_both(call, says, torchs):
    with pytest.raises(ValueError, match=says):
        call(init, W)
    with pytest.raises(torchs):
        call(torch.nn.init, torch.empty(3, 4))


def test_refused_by_us_alone():
    for sparsity in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"sparsity is {sparsity}"):
            init.sparse_(W, sparsity)
    for other in (np.ones((2, 2), int), np.ones((2, 2), complex), [[1.0]], nn.Linear(2, 2)):
        with pytest.raises(TypeError, match="a Parameter or an array of floats"):
            init.ones_(other)
