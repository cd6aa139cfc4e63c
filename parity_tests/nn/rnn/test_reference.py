"""The recurrent modules against slow forms of themselves: loops over samples and units, loops of cells over time."""

from math import exp, tanh

import numpy as np
import pytest

from manual import nn
from parity_tests.nn.rnn.cases import half_normal
from parity_tests.sides import leaves


def sigmoid(x):
    return 1 / (1 + exp(-x))


def product(weight, bias, v, row):
    """Entry `row` of W v + b."""
    return sum(weight[row, i] * v[i] for i in range(len(v))) + bias[row]


class Gradients:
    """Zeros for all, and what one sample's gradients for a = W_ih x + b_ih and p = W_hh h + b_hh add to them."""

    def __init__(self, cell, x, h):
        self.weights = {name: np.zeros(p.shape) for name, p in cell.named_parameters()}
        self.x, self.h = np.zeros(x.shape), np.zeros(h.shape)
        self.cell, self.given = cell, (x, h)

    def add(self, n, row, grad_a, grad_p):
        x, h = (array[n] for array in self.given)
        for i in range(len(x)):
            self.weights["weight_ih"][row, i] += grad_a * x[i]
            self.x[n, i] += grad_a * self.cell.weight_ih.data[row, i]
        for k in range(len(h)):
            self.weights["weight_hh"][row, k] += grad_p * h[k]
            self.h[n, k] += grad_p * self.cell.weight_hh.data[row, k]
        self.weights["bias_ih"][row] += grad_a
        self.weights["bias_hh"][row] += grad_p


def maps(cell, x, h, row):
    """Entry `row` of a and of p, for one sample."""
    return (
        product(cell.weight_ih.data, cell.bias_ih.data, x, row),
        product(cell.weight_hh.data, cell.bias_hh.data, h, row),
    )


def rnn_by_loops(cell, x, state, grads_new):
    (h,), (g,) = state, grads_new
    h_new, grads = np.zeros(h.shape), Gradients(cell, x, h)
    for n in range(len(x)):
        for u in range(cell.hidden_size):
            y = h_new[n, u] = tanh(sum(maps(cell, x[n], h[n], u)))
            grads.add(n, u, g[n, u] * (1 - y**2), g[n, u] * (1 - y**2))
    return [h_new], grads, [grads.h]


def lstm_by_loops(cell, x, state, grads_new):
    (h, c), (grad_h, grad_c) = state, grads_new
    h_new, c_new, c_grad, grads = np.zeros(h.shape), np.zeros(h.shape), np.zeros(h.shape), Gradients(cell, x, h)
    for n in range(len(x)):
        for u in range(cell.hidden_size):
            rows = [part * cell.hidden_size + u for part in range(4)]
            i, f, g, o = (
                (tanh if part == 2 else sigmoid)(sum(maps(cell, x[n], h[n], row))) for part, row in enumerate(rows)
            )
            c_new[n, u] = f * c[n, u] + i * g
            y = tanh(c_new[n, u])
            h_new[n, u] = o * y
            d_c = grad_c[n, u] + grad_h[n, u] * o * (1 - y**2)
            to_gates = [
                d_c * g * i * (1 - i),
                d_c * c[n, u] * f * (1 - f),
                d_c * i * (1 - g**2),
                grad_h[n, u] * y * o * (1 - o),
            ]
            for row, grad in zip(rows, to_gates, strict=True):
                grads.add(n, row, grad, grad)
            c_grad[n, u] = d_c * f
    return [h_new, c_new], grads, [grads.h, c_grad]


def gru_by_loops(cell, x, state, grads_new):
    (h,), (g,) = state, grads_new
    h_new, grads = np.zeros(h.shape), Gradients(cell, x, h)
    for n in range(len(x)):
        for u in range(cell.hidden_size):
            rows = [part * cell.hidden_size + u for part in range(3)]
            (a_r, p_r), (a_z, p_z), (a_n, p_n) = (maps(cell, x[n], h[n], row) for row in rows)
            r, z = sigmoid(a_r + p_r), sigmoid(a_z + p_z)
            new = tanh(a_n + r * p_n)
            h_new[n, u] = (1 - z) * new + z * h[n, u]
            d_s = g[n, u] * (1 - z) * (1 - new**2)
            d_r, d_z = d_s * p_n * r * (1 - r), g[n, u] * (h[n, u] - new) * z * (1 - z)
            for row, grad_a, grad_p in zip(rows, (d_r, d_z, d_s), (d_r, d_z, d_s * r), strict=True):
                grads.add(n, row, grad_a, grad_p)
            grads.h[n, u] += g[n, u] * z
    return [h_new], grads, [grads.h]


@pytest.mark.parametrize(
    ("cell", "by_loops", "parts"),
    [(nn.RNNCell, rnn_by_loops, 1), (nn.LSTMCell, lstm_by_loops, 2), (nn.GRUCell, gru_by_loops, 1)],
)
def test_a_cell_is_loops_over_samples_and_units(cell, by_loops, parts):
    cell = cell(5, 2, dtype=np.float64, generator=np.random.default_rng(3))
    x = half_normal(3, 5)
    state, upstream = ([half_normal(3, 2, seed=seed + k) for k in range(parts)] for seed in (5, 8))
    new, saved = cell.forward(x, tuple(state) if parts > 1 else state[0])
    grad_x, grad_state = cell.backward(tuple(upstream) if parts > 1 else upstream[0], saved)
    slow_new, slow, slow_state = by_loops(cell, x, state, upstream)
    found = [*leaves(new), grad_x, *leaves(grad_state), *(p.grad for p in cell.parameters())]
    expected = [*slow_new, slow.x, *slow_state, *slow.weights.values()]
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-15)  # numbers below 1, a dozen operations each


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_layer_is_a_loop_of_cells(name):
    """One cell used at every step; its gradients add up over them, and the carry is what autograd would make of it."""
    layer = getattr(nn, name)(5, 2, bidirectional=True, dtype=np.float64)
    x, g = half_normal(4, 3, 5), half_normal(4, 3, 4)
    state, g_n = ((half_normal(2, 3, 2, seed=s), half_normal(2, 3, 2, seed=s + 1)) for s in (1, 3))
    state, g_n = (state, g_n) if name == "LSTM" else (state[0], g_n[0])
    (output, last), saved = layer.forward(x, state)
    grad_x, grad_state = layer.backward((g, g_n), saved)
    slow_grad_x = np.zeros(x.shape)
    for d, suffix in enumerate(["", "_reverse"]):
        cell = getattr(nn, f"{name}Cell")(5, 2, dtype=np.float64)
        cell.load_state_dict({key: getattr(layer, f"{key}_l0{suffix}").data for key in cell.state_dict()})
        times = range(4) if d == 0 else range(3, -1, -1)

        def of_direction(whole, d=d):
            return tuple(part[d] for part in whole) if isinstance(whole, tuple) else whole[d]

        h, kept = of_direction(state), {}
        for t in times:
            h, kept[t] = cell.forward(x[t], h)
            shown = h[0] if name == "LSTM" else h
            np.testing.assert_allclose(output[t, :, 2 * d : 2 * d + 2], shown, rtol=0, atol=1e-15)
        for one, two in zip(leaves(of_direction(last)), leaves(h), strict=True):
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-15)

        carry = of_direction(g_n)
        for t in reversed(times):
            g_t = g[t, :, 2 * d : 2 * d + 2]
            carry = (carry[0] + g_t, carry[1]) if name == "LSTM" else carry + g_t
            grad, carry = cell.backward(carry, kept[t])
            slow_grad_x[t] += grad
        for one, two in zip(leaves(of_direction(grad_state)), leaves(carry), strict=True):
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-14)
        for key, parameter in cell.named_parameters():
            fast = getattr(layer, f"{key}_l0{suffix}").grad
            np.testing.assert_allclose(fast, parameter.grad, rtol=0, atol=1e-14)
    np.testing.assert_allclose(grad_x, slow_grad_x, rtol=0, atol=1e-14)


def test_float32s_tanh_is_rounded_once():
    """Off by half a unit in the last place, as torch's; NumPy's own is off by up to 1.4."""
    from manual.nn.activation import tanh as ours

    x = np.linspace(-9, 9, 100_001, dtype=np.float32)
    y, truth = ours(x), np.tanh(x.astype(np.float64))
    assert y.dtype == np.float32
    assert (np.abs(y - truth) / np.spacing(np.abs(y))).max() <= 0.5 + 1e-6
    for dtype in (np.float64, np.longdouble, np.complex128, np.clongdouble):
        assert ours(x.astype(dtype)).dtype == dtype
        assert np.array_equal(ours(x.astype(dtype)), np.tanh(x.astype(dtype)))
