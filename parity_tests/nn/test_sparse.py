"""Embedding against torch, and against the loop of its docstring."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_exact, check_refused, integers, normal, of

REPEATED = np.array([[4, 0, 4], [2, 4, 1]])  # row 3 is never asked for, row 4 three times
OPTIONS = [
    {}, {"padding_idx": 4}, {"padding_idx": 0}, {"padding_idx": -4}, {"scale_grad_by_freq": True},
    {"padding_idx": 4, "scale_grad_by_freq": True},
]  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_embedding(options, training, dtype, device):
    check(lambda nn: nn.Embedding(5, 3, **options), REPEATED, training=training, dtype=dtype, device=device)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3, 2), (0,), (3, 0)], ids=str)
def test_any_shape_of_indices(shape, dtype, device):
    check(lambda nn: nn.Embedding(6, 2, padding_idx=1), integers(*shape, below=6), dtype=dtype, device=device)


@pytest.mark.parametrize("sizes", [(1, 3), (4, 1), (1, 1), (3, 0)])
def test_sizes(sizes, dtype):
    check(lambda nn: nn.Embedding(*sizes), integers(5, below=sizes[0]), dtype=dtype)


def test_an_index_may_be_a_number_of_numpys():
    layer = nn.Embedding(5, 3)
    y, saved = layer.forward(np.int64(2))
    layer.backward(y, saved)
    assert np.array_equal(y, layer.weight.data[2])
    assert np.array_equal(layer.weight.grad[2], y)


def test_rows_without_a_gradient_have_0():
    """Not -0: bits as in torch."""
    layer = nn.Embedding(5, 3)
    y, saved = layer.forward(REPEATED)
    layer.backward(y, saved)
    assert layer.weight.grad[3].astype(str).tolist() == ["0.0"] * 3


def test_no_rows():
    y, saved = nn.Embedding(0, 4).forward(np.zeros((2, 0), np.int64))
    assert y.shape == tuple(torch.nn.Embedding(0, 4)(torch.zeros(2, 0, dtype=int)).shape) == (2, 0, 4)
    assert nn.Embedding(0, 4).backward(y, saved) is None


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.lists(st.integers(0, 4), max_size=3), st.data(), st.booleans(), st.integers(0, 99))
def test_any_indices(rows, shape, data, by_frequency, seed):
    padding = data.draw(st.none() | st.integers(-rows, rows - 1))
    indices = integers(*shape, below=rows, seed=seed)
    check(lambda nn: nn.Embedding(rows, 2, padding, scale_grad_by_freq=by_frequency), indices, seed=seed)


@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}], ids=str)
def test_exact_on_integers(options):
    check_exact(lambda nn: nn.Embedding(5, 3, **options), REPEATED)
    check_exact(lambda nn: nn.Embedding(5, 3, **options), REPEATED.astype(np.int32))


def test_against_a_loop():
    layer, g = nn.Embedding(5, 3, padding_idx=2, dtype=np.float64), normal(2, 3, 3)
    y, saved = layer.forward(REPEATED)
    layer.backward(g, saved)
    grad = np.zeros((5, 3))
    for n, t in np.ndindex(2, 3):
        assert np.array_equal(y[n, t], layer.weight.data[REPEATED[n, t]])
        if REPEATED[n, t] != 2:
            grad[REPEATED[n, t]] += g[n, t]
    np.testing.assert_allclose(layer.weight.grad, grad, rtol=0, atol=1e-15)


def test_a_row_is_used_by_two_layers(dtype):
    """Behind other layers, and twice in one network: the gradients add up."""

    def network(nn):
        table = nn.Embedding(5, 3)
        return nn.Sequential(table, nn.Flatten(), nn.Linear(9, 2))

    check(network, REPEATED, dtype=dtype)


def test_the_state_that_it_starts_with():
    """Standard normal, straight from the generator; the padding row is zeros."""
    drawn = np.random.default_rng(4).standard_normal((5, 3))
    layer = nn.Embedding(5, 3, dtype=np.float64, generator=np.random.default_rng(4))
    assert np.array_equal(layer.weight.data, drawn)
    drawn[3] = 0
    padded = nn.Embedding(5, 3, padding_idx=-2, dtype=np.float64, generator=np.random.default_rng(4))
    assert np.array_equal(padded.weight.data, drawn)
    assert padded.padding_idx == torch.nn.Embedding(5, 3, padding_idx=-2).padding_idx == 3
    assert nn.Embedding(5, 3).weight.dtype == np.float32
    assert torch.nn.Embedding(500, 30).weight.std().item() == pytest.approx(1, abs=0.05)
    assert not np.array_equal(nn.Embedding(5, 3).weight.data, nn.Embedding(5, 3).weight.data)


@pytest.mark.parametrize("options", [{}, {"freeze": False}, {"freeze": False, "padding_idx": 1}], ids=str)
def test_from_pretrained(options, dtype):
    table = normal(5, 3).astype(dtype)
    hand = nn.Embedding.from_pretrained(table, **options)
    theirs = torch.nn.Embedding.from_pretrained(torch.tensor(table), **options)
    assert np.array_equal(hand.weight.data, theirs.weight.detach().cpu().numpy())  # the padding row as well
    hand.backward(normal(2, 3, 3).astype(dtype), REPEATED)
    assert (hand.weight.grad is None) == (not theirs.weight.requires_grad)
    # A layer behind it, since torch has nothing to do where nothing is trained.
    check(
        lambda nn: nn.Sequential(nn.Embedding.from_pretrained(of(nn, table), **options), nn.Linear(3, 2)),
        REPEATED,
        dtype=dtype,
    )


def test_from_pretrained_passes_its_options_on():
    layer = nn.Embedding.from_pretrained(normal(5, 3), padding_idx=-1, scale_grad_by_freq=True)
    assert repr(layer) == "Embedding(5, 3, padding_idx=4, scale_grad_by_freq=True)"
    with pytest.raises(NotImplementedError, match="max_norm"):
        nn.Embedding.from_pretrained(normal(5, 3), max_norm=1.0)
    with pytest.raises(NotImplementedError, match="norm_type"):
        nn.Embedding.from_pretrained(normal(5, 3), norm_type=1.0)
    with pytest.raises(NotImplementedError, match="sparse"):
        nn.Embedding.from_pretrained(normal(5, 3), sparse=True)
    with pytest.raises(TypeError, match="not list"):
        nn.Embedding.from_pretrained([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"two axes.*shape \(3,\)"):
        nn.Embedding.from_pretrained(normal(3))


@pytest.mark.parametrize(
    ("indices", "error", "says"),
    [
        ([0, 5, 6], IndexError, r"rows 0 to 4, but was given index 5"),
        ([0, -1], IndexError, r"index -1"),
        ([0.0, 1.0], TypeError, r"int64 or int32, not float32: write np\.asarray"),
        (np.array([True]), TypeError, r"not bool"),
        (np.array([1], np.uint8), TypeError, r"not uint8"),
        (np.array([1], np.int16), TypeError, r"not int16"),
    ],
    ids=str,
)
def test_bad_indices(indices, error, says):
    check_refused(lambda nn: nn.Embedding(5, 3), np.asarray(indices), error=error, match=says)


def test_bad_arguments():
    with pytest.raises(TypeError, match="int64 or int32, not list"):
        nn.Embedding(5, 3).forward([0, 1])
    for options in ({"max_norm": 1.0}, {"norm_type": 1.0}, {"sparse": True}, {"device": "cpu"}):
        with pytest.raises(NotImplementedError, match=next(iter(options))):
            nn.Embedding(5, 3, **options)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((-1, 3), "num_embeddings=-1"),
        ((3, -1), "embedding_dim=-1"),
        ((5, 3, 5), r"padding_idx 5 is no row of 5"),
        ((5, 3, -6), r"padding_idx -6"),
        ((0, 3, 0), r"padding_idx 0 is no row of 0"),
    ],
    ids=str,
)
def test_bad_sizes(arguments, says):
    check_refused(lambda nn: nn.Embedding(*arguments), np.array([0]), error=ValueError, match=says)


def test_bad_weight():
    def build(nn):
        return nn.Embedding(5, 3, _weight=of(nn, normal(5, 4)))

    check_refused(build, REPEATED, error=ValueError, match=r"_weight is \(5, 4\), not \(5, 3\)")
    with pytest.raises(TypeError, match="_weight computes with floats"):
        nn.Embedding(5, 3, _weight=np.ones((5, 3), int))
    padded = nn.Embedding(5, 3, padding_idx=1, _weight=normal(5, 3))
    assert np.array_equal(padded.weight.data, normal(5, 3))  # as it is, the padding row too, as in torch


@pytest.mark.parametrize("options", [{}, {"padding_idx": -1}, {"scale_grad_by_freq": True}], ids=str)
def test_repr(options):
    assert repr(nn.Embedding(5, 3, **options)) == repr(torch.nn.Embedding(5, 3, **options))
