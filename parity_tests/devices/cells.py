"""The recurrent cells that torch runs as one operation on an accelerator, and has not on the CPU: in plain tensors.

Their names and arguments are those of torch's native functions; all tensors here lie on the CPU.
"""

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def _gates(inputs: Tensor, hidden: Tensor, *biases: Tensor | None) -> tuple[Tensor, Tensor]:
    given = [0 if bias is None else bias for bias in biases]
    return (inputs + given[0], hidden + given[1]) if given else (inputs, hidden)


def lstm(inputs: Tensor, hidden: Tensor, cx: Tensor, *biases: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return h, c and the gates: c = f c_before + i g, h = o tanh(c)."""
    first, second = _gates(inputs, hidden, *biases)
    i, f, g, o = (first + second).chunk(4, 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    cy = f * cx + i * g
    return o * cy.tanh(), cy, torch.cat([i, f, g, o], 1)


def lstm_backward(
    grad_hy: Tensor | None, grad_cy: Tensor | None, cx: Tensor, cy: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Tensor | None, ...]:
    """Return the gradients of the gates, of c_before and of the bias."""
    i, f, g, o = workspace.chunk(4, 1)
    t = cy.tanh()
    grad_h = torch.zeros_like(cy) if grad_hy is None else grad_hy
    grad_c = grad_h * o * (1 - t * t) + (0 if grad_cy is None else grad_cy)
    parts = [grad_c * g * i * (1 - i), grad_c * cx * f * (1 - f), grad_c * i * (1 - g * g), grad_h * t * o * (1 - o)]
    gates = torch.cat(parts, 1)
    return gates, grad_c * f, gates.sum(0) if has_bias else None


def gru(inputs: Tensor, hidden: Tensor, hx: Tensor, *biases: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return h and what its backward needs: h = n + z (h_before - n), with n = tanh(x_n + r h_n)."""
    first, second = _gates(inputs, hidden, *biases)
    (ir, iz, in_), (hr, hz, hn) = first.chunk(3, 1), second.chunk(3, 1)
    r, z = (hr + ir).sigmoid(), (hz + iz).sigmoid()
    n = (in_ + r * hn).tanh()
    return (hx - n) * z + n, torch.cat([r, z, n, hx, hn], 1)


def gru_backward(grad_hy: Tensor, workspace: Tensor, has_bias: bool) -> tuple[Tensor | None, ...]:
    """Return the gradients of the input's and the hidden gates, of h_before and of the two biases."""
    r, z, n, hx, hn = workspace.chunk(5, 1)
    grad_n = grad_hy * (1 - z) * (1 - n * n)
    grad_r, grad_z = grad_n * hn * r * (1 - r), grad_hy * (hx - n) * z * (1 - z)
    inputs, hidden = torch.cat([grad_r, grad_z, grad_n], 1), torch.cat([grad_r, grad_z, grad_n * r], 1)
    biases = (inputs.sum(0), hidden.sum(0)) if has_bias else (None, None)
    return inputs, hidden, grad_hy * z, *biases


CELLS: dict[Any, Any] = {
    aten._thnn_fused_lstm_cell.default: lstm,
    aten._thnn_fused_lstm_cell_backward_impl.default: lstm_backward,
    aten._thnn_fused_gru_cell.default: gru,
    aten._thnn_fused_gru_cell_backward.default: gru_backward,
}
