"""LinearCrossEntropy against autograd of the two steps, against loops, and the logits that it never holds."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check_module, integers, normal
from torch_impl import nn as theirs


def check(*sizes, x, target, dtype="float64", device="cpu", seed=1, **options):
    both = nn.LinearCrossEntropy(*sizes, **options), theirs.LinearCrossEntropy(*sizes, **options)
    check_module(*both, x, target, dtype=dtype, device=device, seed=seed)


def targets(*shape, below, ignored=(), ignore_index=-100, seed=0):
    """Return classes, with `ignore_index` at the flat positions `ignored`."""
    y = integers(*shape, below=below, seed=seed)
    y.reshape(-1)[list(ignored)] = ignore_index
    return y


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("chunks", [(1, 1), (2, 3), (3, 2), (2, 7), (4, 1), (9, 9)], ids=str)
def test_chunks(chunks, reduction, dtype, device):
    """4 rows and 7 classes, in chunks of 1, chunks that do not divide them, and chunks that are larger."""
    sizes = {"row_chunk": chunks[0], "class_chunk": chunks[1], "reduction": reduction}
    check(3, 7, x=normal(4, 3), target=targets(4, below=7, ignored=[1]), dtype=dtype, device=device, **sizes)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_options(reduction, label_smoothing, bias, dtype):
    options = {"reduction": reduction, "label_smoothing": label_smoothing, "bias": bias}
    y = targets(5, below=4, ignored=[0, 3])
    check(3, 4, x=normal(5, 3), target=y, dtype=dtype, row_chunk=2, class_chunk=3, **options)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignore_index", [-100, 2, -1, 99])
def test_ignore_index_may_be_a_class_or_not(ignore_index, reduction, dtype):
    y = targets(3, 2, below=4, ignored=[2], ignore_index=ignore_index)
    check(3, 4, x=normal(3, 2, 3), target=y, dtype=dtype, ignore_index=ignore_index, reduction=reduction, class_chunk=3)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("rows", [0, 3])
def test_no_row_counts(rows, reduction, label_smoothing, dtype):
    """The mean over nothing is NaN, as in torch; every gradient is 0."""
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    check(2, 4, x=normal(rows, 2), target=targets(rows, below=4, ignored=range(rows)), dtype=dtype, **options)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (4, 2)], ids=str)
def test_sizes(sizes, dtype):
    check(*sizes, x=normal(3, 2, sizes[0]), target=targets(3, 2, below=sizes[1]), dtype=dtype, row_chunk=4)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.tuples(*(st.integers(1, 5) for _ in range(3))),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.sampled_from(["mean", "sum", "none"]),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 99),
)
def test_any_size(sizes, chunks, reduction, label_smoothing, seed):
    rows, features, classes = sizes
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    options |= {"row_chunk": chunks[0], "class_chunk": chunks[1]}
    y = targets(rows, below=classes + 1, seed=seed)  # one more: these rows are ignored
    check(features, classes + 1, x=normal(rows, features, seed=seed), target=y, seed=seed, ignore_index=0, **options)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32, np.uint64])
def test_targets_of_any_integers(kind):
    """300 classes: the second chunk starts at 290, beyond a byte."""
    layer = nn.LinearCrossEntropy(2, 300, ignore_index=5, class_chunk=290)
    x, y = normal(4, 2).astype(np.float32), np.array([3, 5, 120, 0])
    (loss, saved), (expected, saved_as_int64) = layer.forward(x, y.astype(kind)), layer.forward(x, y)
    assert np.array_equal(loss, expected)
    assert np.array_equal(layer.backward(1.0, saved)[0], layer.backward(1.0, saved_as_int64)[0])


@pytest.mark.parametrize("scale", [300.0, -300.0])
def test_large_logits(scale, dtype):
    """Up to 1,000, where e^z overflows in both dtypes; the maximum comes in the first chunk or in the last."""
    x = np.abs(normal(3, 2)) + 0.5
    hand, other = nn.LinearCrossEntropy(2, 5, class_chunk=2).to(dtype), theirs.LinearCrossEntropy(2, 5)
    state = {"weight": scale * np.arange(10.0).reshape(5, 2) / 9, "bias": normal(5)}
    hand.load_state_dict(state)
    y, saved = hand.forward(x.astype(dtype), np.array([4, 0, 2]))
    logits = x @ state["weight"].T + state["bias"]
    exact = -(logits[range(3), [4, 0, 2]] - np.logaddexp.reduce(logits, axis=1)).mean()
    np.testing.assert_allclose(y, exact, rtol=8 * np.finfo(dtype).eps)
    assert np.isfinite(hand.backward(1.0, saved)[0]).all()
    assert list(other.state_dict()) == list(hand.state_dict())


def test_digits_of_a_small_loss_beside_large_logits():
    """z = (1000, 1001) in float32: the loss is log(1 + 1/e) = 0.3133, which m + log l would round to 6e-5."""
    layer = nn.LinearCrossEntropy(1, 2)
    layer.load_state_dict({"weight": np.array([[0.0], [0.0]]), "bias": np.array([1000.0, 1001.0])})
    y = layer(np.ones((1, 1), np.float32), np.array([1]))
    assert abs(y - np.log1p(np.exp(-1.0))) < 6e-8


@pytest.mark.parametrize("label_smoothing", [0.0, 0.25])
def test_loops(label_smoothing):
    """The docstring's formulas, entry by entry."""
    layer = nn.LinearCrossEntropy(
        2, 3, reduction="none", label_smoothing=label_smoothing, row_chunk=3, class_chunk=2, dtype=np.float64
    )
    x, y, u = normal(4, 2), np.array([2, 0, -100, 1]), normal(4, seed=1)
    loss, saved = layer.forward(x, y)
    (grad_x, none), w, b = layer.backward(u, saved), layer.weight.data, layer.bias.data
    expected, gx, gw, gb = np.zeros(4), np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for r in [0, 1, 3]:
        z = [sum(x[r, d] * w[v, d] for d in range(2)) + b[v] for v in range(3)]
        p = np.exp(z) / np.exp(z).sum()
        for v in range(3):
            q = (1 - label_smoothing) * (v == y[r]) + label_smoothing / 3
            expected[r] -= q * np.log(p[v])
            gx[r] += u[r] * (p[v] - q) * w[v]
            gw[v] += u[r] * (p[v] - q) * x[r]
            gb[v] += u[r] * (p[v] - q)
    assert none is None
    for hand, loop in [(loss, expected), (grad_x, gx), (layer.weight.grad, gw), (layer.bias.grad, gb)]:
        np.testing.assert_allclose(hand, loop, atol=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_gradient_may_be_taken_in_the_forward_where_upstream_is_one_number(reduction):
    """The other school: what g = 1 gives, times g. With 'none' the weight's gradient is no multiple of it."""
    x, y = normal(5, 3), targets(5, below=4, ignored=[2])
    generator = np.random.default_rng(2)
    layer = nn.LinearCrossEntropy(3, 4, reduction=reduction, dtype=np.float64, generator=generator)
    _, saved = layer.forward(x, y)
    unit, _ = layer.backward(1.0, saved)
    unit_weight = layer.weight.grad
    layer.zero_grad()
    grad, _ = layer.backward(-2.5, saved)
    # A sum that cancels keeps the rounding of its terms, which are of order one.
    np.testing.assert_allclose(grad, -2.5 * unit, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(layer.weight.grad, -2.5 * unit_weight, rtol=1e-13, atol=1e-15)
    each = nn.LinearCrossEntropy(3, 4, reduction="none", dtype=np.float64)
    each.load_state_dict(layer.state_dict())
    each.backward(normal(5), each.forward(x, y)[1])
    ratio = each.weight.grad / unit_weight
    assert np.ptp(ratio) > 0.1


def test_the_tiles():
    """5 rows by 3 and 7 classes by 2: 2 x 4 tiles each way, row by row; the last are smaller, as is said."""
    shapes = []

    class Watched(nn.LinearCrossEntropy):
        def _logits(self, *arguments):
            shapes.append((z := super()._logits(*arguments)).shape)
            return z

    layer = Watched(4, 7, row_chunk=3, class_chunk=2)
    _, saved = layer.forward(normal(5, 4).astype(np.float32), targets(5, below=7))
    assert shapes == [(3, 2)] * 3 + [(3, 1)] + [(2, 2)] * 3 + [(2, 1)]
    layer.backward(1.0, saved)
    assert shapes[8:] == shapes[:8]


def peak(run):
    """Return what `run` gives, and the most memory in bytes that was held at once on the way."""
    run()  # what is made once for all is there before
    tracemalloc.start()
    try:
        result = run()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bias", [True, False])
def test_memory_is_that_of_a_few_tiles(bias):
    """R = 600, V = 1,500, D = 4 in float32: the logits are 3.6 MB, a tile of 80 x 100 is 32 kB."""
    rows, classes, features, tile = 600, 1500, 4, 80 * 100 * 4
    x, y = normal(rows, features).astype(np.float32), targets(rows, below=classes)
    layer = nn.LinearCrossEntropy(features, classes, bias, label_smoothing=0.1, row_chunk=80, class_chunk=100)
    (_, saved), forward = peak(lambda: layer.forward(x, y))
    slack = 16_000  # objects of Python, and arrays with one number for each row of a chunk
    assert forward < 4 * tile + 8 * rows * 4 + slack
    assert saved[0] is x
    assert saved[1] is y
    assert sum(part.nbytes for part in saved[2:]) == 2 * rows * 4
    (grad, _), backward = peak(lambda: layer.backward(1.0, saved))
    results = grad.nbytes + (classes * features + classes) * 4
    chunks = (80 + 100) * features * 4
    assert backward < results + 4 * tile + 5 * rows * 4 + chunks + slack
    assert backward < rows * classes * 4 / 10


def test_the_weight_may_be_shared():
    """One Parameter in an Embedding's place and here: both gradients add up in it."""
    first, second = (nn.LinearCrossEntropy(2, 3, bias=False, dtype=np.float64) for _ in range(2))
    second.weight = first.weight
    x, y = normal(4, 2), targets(4, below=3)
    first.backward(1.0, first.forward(x, y)[1])
    once = first.weight.grad
    second.backward(1.0, second.forward(x, y)[1])
    assert np.array_equal(first.weight.grad, 2 * once)


def test_one_row_without_an_axis():
    """NumPy turns an array without axes into its scalar: that is a target too."""
    layer, x = nn.LinearCrossEntropy(2, 3), normal(2).astype(np.float32)
    assert layer(x, np.int64(1)) == layer(x, np.array(1)) == layer(x[None], np.array([1]))


def test_bad_arguments():
    with pytest.raises(ValueError, match="'avg' is not a reduction"):
        nn.LinearCrossEntropy(2, 3, reduction="avg")
    for bad in [-0.1, 1.1]:
        with pytest.raises(ValueError, match="label_smoothing is from 0 to 1"):
            nn.LinearCrossEntropy(2, 3, label_smoothing=bad)
    for sizes in [{"row_chunk": 0}, {"class_chunk": 0}, {"num_classes": 0}]:
        with pytest.raises(ValueError, match="1 or above"):
            nn.LinearCrossEntropy(**({"in_features": 2, "num_classes": 3} | sizes))
    expected = "in_features=2, num_classes=3, bias=False, reduction='mean', label_smoothing=0.0"
    assert repr(nn.LinearCrossEntropy(2, 3, False)) == f"LinearCrossEntropy({expected})"


def test_bad_input():
    layer, x = nn.LinearCrossEntropy(2, 3), normal(4, 2).astype(np.float32)
    for bad in [3, -1]:
        with pytest.raises(IndexError, match=rf"classes 0 to 2.*target {bad}.*-100"):
            layer.forward(x, np.array([0, 1, bad, 2]))
    with pytest.raises(TypeError, match="integers, not float64"):
        layer.forward(x, np.ones(4))
    with pytest.raises(TypeError, match="integers, not list"):
        layer.forward(x, [0, 1, 2, 0])
    with pytest.raises(TypeError, match="LinearCrossEntropy has parameters of float32 but was given float64"):
        layer.forward(normal(4, 2), np.array([0, 1, 2, 0]))
    for bad in [(x, np.array([0, 1])), (x[:, :1], np.array([0, 1, 2, 0])), (np.float32(1), np.array(1))]:
        with pytest.raises(ValueError, match=r"takes \(\.\.\., 2\)"):
            layer.forward(*bad)


def test_the_weights_are_those_of_linear():
    layer = nn.LinearCrossEntropy(4, 3, generator=np.random.default_rng(4))
    expected = nn.Linear(4, 3, generator=np.random.default_rng(4))
    assert np.array_equal(layer.weight.data, expected.weight.data)
    assert np.array_equal(layer.bias.data, expected.bias.data)
    assert layer.weight.dtype == np.float32
