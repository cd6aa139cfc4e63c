"""SwiGLU against autograd of its plain form."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check_module, normal
from torch_impl import nn as theirs


def check(*sizes, x, **keywords):
    check_module(nn.SwiGLU(*sizes), theirs.SwiGLU(*sizes), x, **keywords)


@pytest.mark.parametrize("sizes", [(4, 6), (4, 6, 5), (1, 1), (5, 1, 2)], ids=str)
@pytest.mark.parametrize("batch", [(3,), (3, 2), (), (0,)], ids=str)
def test_swiglu(sizes, batch, dtype, device):
    check(*sizes, x=normal(*batch, sizes[0]), dtype=dtype, device=device)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_swiglu_any_size(inputs, hidden, outputs, seed):
    check(inputs, hidden, outputs, x=normal(3, inputs, seed=seed), seed=seed)


def test_large_gates_are_open_or_shut(dtype):
    """silu(a) is a or 0 there, and its slope 1 or 0; e^1000 is never taken."""
    check(3, 4, x=1000 * normal(3, 3), dtype=dtype)


def test_what_is_saved_is_the_input_and_both_projections():
    """Rows (D + 2 H) numbers, and the input is not copied."""
    x = normal(3, 5).astype(np.float32)
    layer = nn.SwiGLU(5, 7)
    _, saved = layer.forward(x)
    assert saved[0] is x
    assert sum(part.size for part in saved) == 3 * (5 + 2 * 7)


@pytest.mark.cpu_only("what is saved is counted by its address in the host's memory")
def test_what_autograd_saves_of_the_plain_form():
    """Rows (D + 4 H) numbers, as the docstring counts them; the weights are there anyway."""
    layer, x, kept = theirs.SwiGLU(5, 7), torch.tensor(normal(3, 5), dtype=torch.float32, requires_grad=True), {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(x)
    weights = {parameter.data_ptr() for parameter in layer.parameters()}
    assert sum(size for where, size in kept.items() if where not in weights) == 3 * (5 + 4 * 7)


def test_the_weights_are_drawn_as_three_linear_layers_in_order():
    layer, random = nn.SwiGLU(3, 5, 2, dtype=np.float64, generator=np.random.default_rng(4)), np.random.default_rng(4)
    for name, sizes in [("gate_proj", (3, 5)), ("up_proj", (3, 5)), ("down_proj", (5, 2))]:
        expected = nn.Linear(*sizes, bias=False, dtype=np.float64, generator=random)
        assert np.array_equal(getattr(layer, name).weight.data, expected.weight.data)
    assert list(layer.state_dict()) == ["gate_proj.weight", "up_proj.weight", "down_proj.weight"]
    assert all(p.dtype == np.float32 for p in nn.SwiGLU(3, 5).parameters())


def test_bad_input():
    with pytest.raises(ValueError, match=r"\(\.\.\., 5\)"):
        nn.SwiGLU(5, 7).forward(normal(3, 4).astype(np.float32))
    with pytest.raises(TypeError, match="float32 but was given float64"):
        nn.SwiGLU(5, 7).forward(normal(3, 5))


def test_no_gradient_of_the_input_is_computed_where_none_is_asked_for(monkeypatch):
    asked, backward = [], nn.Linear.backward

    def watched(self, grad_output, saved, *, input_grad=True):
        asked.append(input_grad)
        return backward(self, grad_output, saved, input_grad=input_grad)

    monkeypatch.setattr(nn.Linear, "backward", watched)
    layer = nn.SwiGLU(4, 5)
    y, saved = layer.forward(normal(3, 4).astype(np.float32))
    assert layer.backward(y, saved, input_grad=False) is None
    assert sorted(asked) == [False, False, True]
