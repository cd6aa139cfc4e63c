"""RNNCell, LSTMCell and GRUCell against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.nn.rnn.cases import CELLS, as_float32, cell_state, check, half_normal
from parity_tests.parity import check_exact, integers
from parity_tests.sides import each, leaves

cells = pytest.mark.parametrize("kind", CELLS)


@cells
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("batch", [(3,), (1,), (0,), ()], ids=str)
@pytest.mark.parametrize("given", [True, False], ids=["state", "no state"])
def test_cell(kind, bias, batch, given, dtype, device):
    state = [cell_state(kind, *batch, 2)] if given else []
    check(lambda nn: CELLS[kind](nn, 5, 2, bias=bias), half_normal(*batch, 5), *state, dtype=dtype, device=device)


@cells
@pytest.mark.parametrize(("inputs", "hidden"), [(1, 1), (1, 3), (4, 1), (6, 5)])
def test_sizes(kind, inputs, hidden, dtype, device):
    check(lambda nn: CELLS[kind](nn, inputs, hidden), half_normal(3, inputs), cell_state(kind, 3, hidden), dtype=dtype)


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@cells
@pytest.mark.parametrize(("inputs", "hidden"), [(0, 2), (4, 0)])
def test_no_inputs_or_no_units(kind, inputs, hidden, dtype, device):
    check(lambda nn: CELLS[kind](nn, inputs, hidden), half_normal(3, inputs), cell_state(kind, 3, hidden), dtype=dtype)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.sampled_from(list(CELLS)),
    st.integers(1, 5),
    st.integers(1, 4),
    st.lists(st.integers(0, 4), max_size=1),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_cell(kind, inputs, hidden, batch, bias, seed):
    state = cell_state(kind, *batch, hidden, seed=seed)
    check(
        lambda nn: CELLS[kind](nn, inputs, hidden, bias=bias), half_normal(*batch, inputs, seed=seed), state, seed=seed
    )


@pytest.mark.parametrize("unused", [(0,), (1,)], ids=["no gradient for h", "no gradient for c"])
def test_a_part_of_the_state_that_is_not_used(unused, dtype, device):
    check(lambda nn: nn.LSTMCell(5, 2), half_normal(3, 5), cell_state("lstm", 3, 2), unused=unused, dtype=dtype)


def test_of_no_gradient_comes_none():
    """None for both of (grad_h, grad_c): zeros everywhere."""
    cell = nn.LSTMCell(5, 2)
    _, saved = cell.forward(np.ones((3, 5), np.float32), (np.ones((3, 2), np.float32),) * 2)
    grad_x, grad_state = cell.backward((None, None), saved)
    assert not grad_x.any()
    assert not any(part.any() for part in grad_state)
    assert grad_x.dtype == cell.weight_ih.grad.dtype == np.float32


def test_relu_is_exact_on_integers():
    build = lambda nn: nn.RNNCell(5, 2, nonlinearity="relu")  # noqa: E731
    check_exact(build, integers(3, 5, below=9) - 4.0, integers(3, 2, below=9) - 4.0)


def test_relus_corner_is_torchs():
    """The slope is 0 at 0, and a NaN goes through, also on its way back."""
    hand, theirs = nn.RNNCell(1, 1, False, "relu"), torch.nn.RNNCell(1, 1, False, "relu")
    state = {"weight_ih": np.ones((1, 1), np.float32), "weight_hh": np.zeros((1, 1), np.float32)}
    hand.load_state_dict(state)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    x = np.array([[0.0], [-0.0], [np.nan], [1e-30], [-1e-30], [np.inf], [-3.0]], np.float32)
    x_t = torch.tensor(x, requires_grad=True)
    y, saved = hand.forward(x)
    y_t = theirs(x_t)
    y_t.backward(torch.full_like(y_t, 3.0))
    grad_x, _ = hand.backward(np.full_like(y, 3.0), saved)
    assert np.array_equal(y, y_t.detach().cpu().numpy(), equal_nan=True)
    assert np.array_equal(grad_x, x_t.grad.cpu().numpy(), equal_nan=True)


@cells
@pytest.mark.parametrize("size", [30.0, 1e4, 1e30])
def test_saturated(kind, size, dtype, device):
    """Gates at their ends: nothing overflows, and gradients are 0 where torch's are."""
    check(lambda nn: CELLS[kind](nn, 5, 2), size * half_normal(3, 5), cell_state(kind, 3, 2), dtype=dtype)


@cells
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinity_and_nan(kind, value):
    hand, theirs = CELLS[kind](nn, 1, 2), CELLS[kind](torch.nn, 1, 2)
    theirs.load_state_dict({name: torch.tensor(array) for name, array in hand.state_dict().items()})
    x, state = np.full((3, 1), value, np.float32), as_float32(cell_state(kind, 3, 2))
    ours = hand(x, state)
    other = theirs(torch.tensor(x), each(torch.tensor, state))
    for one, two in zip(leaves(ours), leaves(other), strict=True):
        np.testing.assert_allclose(one, two.detach().cpu().numpy(), rtol=1e-6)
        assert one.dtype == np.float32
