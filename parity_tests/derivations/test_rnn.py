"""The recurrent cells, and the recursion through time: the last lines of the derivations, proved."""

import numpy as np

from manual import nn
from manual.module import Module
from parity_tests.derive import exp, prove, tanh


def sigmoid(x):
    return 1 / (1 + exp(-x))


def products(grad_a, grad_p, x, h, w, v):
    """The gradients that the two affine maps hand on: for x, for h (through p alone), for W_ih, W_hh, b_ih, b_hh."""
    return grad_a @ w, grad_p @ v, grad_a.T @ x, grad_p.T @ h, grad_a.sum(0), grad_p.sum(0)


def test_rnn_cell():
    def new(x, h, w, v, b, d):
        return tanh(x @ w.T + b + h @ v.T + d)

    def backward(g, x, h, w, v, b, d):
        grad = g * (1 - new(x, h, w, v, b, d)) * (1 + new(x, h, w, v, b, d))
        return products(grad, grad, x, h, w, v)

    prove(nn.RNNCell(1, 1), new, backward, (2, 1), (2, 1))


class Joined(Module):
    """An LSTMCell of three inputs, with h' and c' side by side."""

    def __init__(self, cell):
        self.cell = cell

    def forward(self, x, h, c):
        new, saved = self.cell.forward(x, (h, c))
        return np.concatenate(new, axis=-1), saved

    def backward(self, grad_output, saved, *, input_grad=True):
        grad_x, (grad_h, grad_c) = self.cell.backward(tuple(np.split(grad_output, 2, axis=-1)), saved)
        return grad_x, grad_h, grad_c


def test_lstm_cell():
    def gates(x, h, w, v, b, d):
        i, f, g, o = np.split(x @ w.T + b + h @ v.T + d, 4, axis=-1)
        return sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)

    def new(x, h, c, *weights):
        i, f, g, o = gates(x, h, *weights)
        return np.concatenate([o * tanh(f * c + i * g), f * c + i * g], axis=-1)

    def backward(grad, x, h, c, w, v, b, d):
        i, f, g, o = gates(x, h, w, v, b, d)
        tanh_c = tanh(f * c + i * g)
        grad_h, grad_c = np.split(grad, 2, axis=-1)
        grad_c = grad_c + grad_h * o * (1 - tanh_c) * (1 + tanh_c)
        grad_i, grad_f, grad_g, grad_o = grad_c * g, grad_c * c, grad_c * i, grad_h * tanh_c
        parts = [grad_i * i * (1 - i), grad_f * f * (1 - f), grad_g * (1 - g) * (1 + g), grad_o * o * (1 - o)]
        grad_a = np.concatenate(parts, axis=-1)
        grad_x, grad_h, *others = products(grad_a, grad_a, x, h, w, v)
        return grad_x, grad_h, grad_c * f, *others

    prove(Joined(nn.LSTMCell(1, 1)), new, backward, (1, 1), (1, 1), (1, 1))


def test_gru_cell():
    def gates(x, h, w, v, b, d):
        (a_r, a_z, a_n), (p_r, p_z, p_n) = (np.split(m, 3, axis=-1) for m in (x @ w.T + b, h @ v.T + d))
        r, z = sigmoid(a_r + p_r), sigmoid(a_z + p_z)
        return r, z, tanh(a_n + r * p_n), p_n

    def new(x, h, *weights):
        _, z, n, _ = gates(x, h, *weights)
        return (1 - z) * n + z * h

    def backward(g, x, h, w, v, b, d):
        r, z, n, p_n = gates(x, h, w, v, b, d)
        grad_n, grad_z = g * (1 - z), g * (h - n)
        grad_s = grad_n * (1 - n) * (1 + n)
        grad_r = grad_s * p_n
        same = [grad_r * r * (1 - r), grad_z * z * (1 - z)]
        grad_a, grad_p = np.concatenate([*same, grad_s], axis=-1), np.concatenate([*same, grad_s * r], axis=-1)
        grad_x, grad_h, *others = products(grad_a, grad_p, x, h, w, v)
        return grad_x, grad_h + g * z, *others

    prove(nn.GRUCell(1, 1), new, backward, (1, 1), (1, 1))


class OutputAlone(Module):
    """A layer whose last state is not used."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x, h_0):
        (output, _), saved = self.layer.forward(x, h_0)
        return output, saved

    def backward(self, grad_output, saved, *, input_grad=True):
        return self.layer.backward((grad_output, None), saved)


def test_back_through_time():
    """Three steps of an RNN: the carry W_hh^T grad z_{t+1}, and the sums over t with x_t and with h_{t-1}."""

    def states(x, h_0, w, v, b, d):
        states = [h_0[0]]
        for x_t in x:
            states.append(tanh(x_t @ w.T + b + states[-1] @ v.T + d))
        return states

    def output(x, h_0, *weights):
        return np.stack(states(x, h_0, *weights)[1:])

    def backward(g, x, h_0, w, v, b, d):
        before, after = np.stack(states(x, h_0, w, v, b, d)[:-1]), output(x, h_0, w, v, b, d)
        grad_z, carry = np.zeros_like(after), 0
        for t in reversed(range(len(x))):
            grad_h = g[t] + carry
            grad_z[t] = grad_h * (1 - after[t]) * (1 + after[t])
            carry = grad_z[t] @ v
        grad_w, grad_v = (sum(grad_z[t].T @ a[t] for t in range(len(x))) for a in (x, before))
        return grad_z @ w, carry[np.newaxis], grad_w, grad_v, grad_z.sum((0, 1)), grad_z.sum((0, 1))

    prove(OutputAlone(nn.RNN(1, 1)), output, backward, (3, 1, 1), (1, 1, 1))
