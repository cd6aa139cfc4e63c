"""GroupedQueryAttention against autograd, and against one head at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check_module, normal
from torch_impl import nn as theirs


def check(*arguments, x, **keywords):
    check_module(nn.GroupedQueryAttention(*arguments), theirs.GroupedQueryAttention(*arguments), x, **keywords)


@pytest.mark.parametrize("rotary_base", [None, 30.0])
@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_grouped_query(kv_heads, is_causal, rotary_base, dtype, device):
    """One key head for all, one for two, one for each; 4 heads of 2 entries on 5 numbers a token."""
    check(5, 4, kv_heads, 2, is_causal, rotary_base, x=normal(3, 3, 5), dtype=dtype, device=device)


@pytest.mark.parametrize("shape", [(2, 6), (4, 6), (3, 2, 2, 6), (0, 3, 6)], ids=str)
def test_grouped_query_shapes(shape, dtype):
    """The head dimension is 6 / 3 = 2."""
    check(6, 3, 1, x=normal(*shape), dtype=dtype)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    st.tuples(*(st.integers(1, 3) for _ in range(3))),
    st.integers(2, 4),
    st.booleans(),
    st.sampled_from([None, 9.0]),
    st.integers(0, 99),
)
def test_grouped_query_any_size(sizes, length, is_causal, rotary_base, seed):
    kv_heads, groups, half = sizes
    arguments = (3, kv_heads * groups, kv_heads, 2 * half, is_causal, rotary_base)
    check(*arguments, x=normal(length, 3, seed=seed), seed=seed)


@pytest.mark.parametrize("rotary_base", [None, 30.0])
def test_one_head_at_a_time(rotary_base):
    """A loop over query heads: head h reads key and value head h // G, and adds to their rows of the gradient."""
    layer = nn.GroupedQueryAttention(5, 6, 2, 4, rotary_base=rotary_base, dtype=np.float64)
    x, g = normal(3, 5), normal(3, 5, seed=1)
    y, saved = layer.forward(x)
    grad_x = layer.backward(g, saved)
    rotary = nn.RotaryEmbedding(0 if rotary_base is None else 4, rotary_base or 1.0, interleaved=False)
    attention = nn.NaiveAttention(is_causal=True)
    wq, wk, wv, wo = (getattr(layer, f"{name}_proj").weight for name in "qkvo")
    expected, grads = np.zeros_like(y), [np.zeros_like(each) for each in (x, wq.data, wk.data, wv.data, wo.data)]
    for h in range(6):
        own, read = slice(4 * h, 4 * h + 4), slice(4 * (h // 3), 4 * (h // 3) + 4)
        (q, saved_q), (k, saved_k) = rotary.forward(x @ wq.data[own].T), rotary.forward(x @ wk.data[read].T)
        o, saved_head = attention.forward(q, k, x @ wv.data[read].T)
        expected += o @ wo.data[:, own].T
        grads[4][:, own] = g.T @ o
        dq, dk, dv = attention.backward(g @ wo.data[:, own], saved_head)
        dq, dk = rotary.backward(dq, saved_q), rotary.backward(dk, saved_k)
        grads[1][own] = dq.T @ x
        grads[2][read] += dk.T @ x
        grads[3][read] += dv.T @ x
        grads[0] += dq @ wq.data[own] + dk @ wk.data[read] + dv @ wv.data[read]
    np.testing.assert_allclose(y, expected, atol=1e-14)
    for hand, loop in zip([grad_x, wq.grad, wk.grad, wv.grad, wo.grad], grads, strict=True):
        np.testing.assert_allclose(hand, loop, atol=1e-13)


def test_a_later_token_changes_no_earlier_output():
    layer, x = nn.GroupedQueryAttention(4, 2, 1, dtype=np.float64), normal(5, 4)
    assert np.allclose(layer(x)[:3], layer(x[:3]), atol=1e-15)
    free = nn.GroupedQueryAttention(4, 2, 1, is_causal=False, dtype=np.float64)
    assert not np.allclose(free(x)[:3], free(x[:3]), atol=1e-3)


def test_keys_and_values_are_not_copied_for_each_head():
    """The attention saves views: K heads in memory, though it sees H."""
    layer = nn.GroupedQueryAttention(4, 6, 2, 3)
    _, (_, (q, key, value, _), _) = layer.forward(normal(5, 4).astype(np.float32))
    for heads in (key, value):
        assert heads.shape == q.shape == (2, 3, 5, 3)
        assert heads.strides[1] == 0


def test_the_weights_are_drawn_as_four_linear_layers_in_order():
    layer = nn.GroupedQueryAttention(6, 4, 2, 5, dtype=np.float64, generator=np.random.default_rng(4))
    random = np.random.default_rng(4)
    for name, sizes in [("q", (6, 20)), ("k", (6, 10)), ("v", (6, 10)), ("o", (20, 6))]:
        expected = nn.Linear(*sizes, bias=False, dtype=np.float64, generator=random)
        assert np.array_equal(getattr(layer, f"{name}_proj").weight.data, expected.weight.data)
    assert list(layer.state_dict()) == [f"{name}_proj.weight" for name in "qkvo"]
    assert all(p.dtype == np.float32 for p in nn.GroupedQueryAttention(4, 2, 1).parameters())


def test_bad_arguments():
    for heads, kv_heads in [(4, 3), (2, 4), (0, 1), (4, 0)]:
        with pytest.raises(ValueError, match=f"multiple of num_kv_heads.*not {heads} and {kv_heads}"):
            nn.GroupedQueryAttention(8, heads, kv_heads)
    with pytest.raises(ValueError, match="4 heads do not divide embed_dim 6: give head_dim"):
        nn.GroupedQueryAttention(6, 4, 2)
    with pytest.raises(ValueError, match="even"):
        nn.GroupedQueryAttention(6, 2, 1, rotary_base=10.0)


def test_bad_input():
    layer = nn.GroupedQueryAttention(6, 2, 1)
    for shape in [(6,), (0, 6), (3, 5)]:
        with pytest.raises(ValueError, match=r"\(\.\.\., T, 6\) with T of 1 or above"):
            layer.forward(normal(*shape).astype(np.float32))
    with pytest.raises(TypeError, match="GroupedQueryAttention has parameters of float32 but was given float64"):
        layer.forward(normal(3, 6))


def test_no_gradient_of_the_input_is_computed_where_none_is_asked_for(monkeypatch):
    asked, backward = [], nn.Linear.backward

    def watched(self, grad_output, saved, *, input_grad=True):
        asked.append(input_grad)
        return backward(self, grad_output, saved, input_grad=input_grad)

    monkeypatch.setattr(nn.Linear, "backward", watched)
    layer = nn.GroupedQueryAttention(4, 2, 1)
    y, saved = layer.forward(normal(3, 4).astype(np.float32))
    assert layer.backward(y, saved, input_grad=False) is None
    assert sorted(asked) == [False, False, False, True]
