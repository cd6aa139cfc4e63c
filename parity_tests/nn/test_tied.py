"""TiedEmbedding: the gradient of a weight that stands in two places is the sum of both."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check_module, integers, load, normal
from torch_impl import nn as theirs


@pytest.mark.parametrize("unused", [(), (0,), (1,)], ids=str)
@pytest.mark.parametrize("shape", [(4,), (3, 4), (), (0, 2)], ids=str)
def test_both_ways(shape, unused, dtype, device):
    """Tokens of one shape, hidden of another; five tokens for four places come twice."""
    both = nn.TiedEmbedding(5, 3), theirs.TiedEmbedding(5, 3)
    tokens, hidden = integers(*shape, below=5), normal(*shape[:-1], 2, 3)
    check_module(*both, tokens, hidden, dtype=dtype, device=device, unused=unused)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_any_size(tokens, features, places, rows, seed):
    both = nn.TiedEmbedding(tokens, features), theirs.TiedEmbedding(tokens, features)
    check_module(*both, integers(places, below=tokens, seed=seed), normal(rows, features, seed=seed), seed=seed)


class TokenNetwork(nn.Module):
    """logits = decode(sigmoid(body(encode(tokens))))."""

    def __init__(self):
        self.tied, self.body = nn.TiedEmbedding(5, 3), nn.Sequential(nn.Linear(3, 3), nn.Sigmoid())

    def forward(self, tokens):
        y, saved_encode = self.tied.encode(tokens)
        h, saved_body = self.body.forward(y)
        z, saved_decode = self.tied.decode(h)
        return z, (saved_encode, saved_body, saved_decode)

    def backward(self, grad_output, saved, *, input_grad=True):
        saved_encode, saved_body, saved_decode = saved
        grad_h = self.tied.decode_backward(grad_output, saved_decode)
        self.tied.encode_backward(self.body.backward(grad_h, saved_body), saved_encode)


class TokenNetworkOfTorch(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.tied = theirs.TiedEmbedding(5, 3)
        self.body = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Sigmoid())

    def forward(self, tokens):
        return self.tied.decode(self.body(self.tied.encode(tokens)))


def test_with_a_body_between(dtype, device):
    check_module(TokenNetwork(), TokenNetworkOfTorch(), integers(3, 4, below=4), dtype=dtype, device=device)


def test_each_part_alone_and_their_sum(dtype):
    """Encode touches rows of tokens that occur; decode touches all, token 3 as well, which never occurs."""
    layer, tokens = nn.TiedEmbedding(4, 2).to(dtype), np.array([2, 0, 2, 1, 2])
    g, gz, h = (normal(*shape).astype(dtype) for shape in [(5, 2), (3, 4), (3, 2)])
    layer.encode_backward(g, layer.encode(tokens)[1])
    encode = layer.weight.grad
    for v in range(4):
        np.testing.assert_allclose(encode[v], g[tokens == v].sum(axis=0), rtol=1e-6)
    assert not encode[3].any()
    layer.zero_grad()
    layer.decode_backward(gz, layer.decode(h)[1])
    decode = layer.weight.grad
    assert decode.all()
    np.testing.assert_allclose(decode, sum(np.outer(gz[r], h[r]) for r in range(3)), rtol=1e-5, atol=1e-6)
    layer.encode_backward(g, tokens)
    assert np.array_equal(layer.weight.grad, decode + encode)
    assert layer.decode_backward(gz, h, input_grad=False) is None


def test_a_parameter_in_two_linear_layers(dtype):
    """Tying needs no module of its own: one Parameter in two places comes once, and adds up both gradients."""
    hand = nn.Sequential(nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 3))
    other = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Sigmoid(), torch.nn.Linear(3, 3))
    hand[2].weight, other[2].weight = hand[0].weight, other[0].weight
    assert [name for name, _ in hand.named_parameters()] == [name for name, _ in other.named_parameters()]
    state = {name: normal(*value.shape) for name, value in hand.to(dtype).state_dict().items()}
    load(hand, other, state | {"2.weight": state["0.weight"]}, dtype)
    check_module(hand, other, normal(4, 3), dtype=dtype, seed=3)
    assert hand[2].weight is hand[0].weight


class OfEmbeddingAndLinear(nn.Module):
    """logits = decode(encode(tokens)), of two layers that hold one Parameter."""

    def __init__(self):
        self.encode, self.decode = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, tokens):
        y, saved_encode = self.encode.forward(tokens)
        z, saved_decode = self.decode.forward(y)
        return z, (saved_encode, saved_decode)

    def backward(self, grad_output, saved, *, input_grad=True):
        self.encode.backward(self.decode.backward(grad_output, saved[1]), saved[0])


def test_a_parameter_in_an_embedding_and_a_linear_layer(dtype):
    """It adds up what TiedEmbedding does, to the last bit."""
    hand, tied = OfEmbeddingAndLinear().to(dtype), nn.TiedEmbedding(5, 3).to(dtype)
    assert [name for name, _ in hand.named_parameters()] == ["encode.weight"]
    tied.weight.data = hand.encode.weight.data
    tokens, g = integers(3, 4, below=5), normal(3, 4, 5).astype(dtype)
    z, saved = hand.forward(tokens)
    hand.backward(g, saved)
    y, saved_encode = tied.encode(tokens)
    logits, saved_decode = tied.decode(y)
    assert np.array_equal(z, logits)
    tied.encode_backward(tied.decode_backward(g, saved_decode), saved_encode)
    assert np.array_equal(hand.encode.weight.grad, tied.weight.grad)


def test_the_weight_is_drawn_from_the_generator():
    layer = nn.TiedEmbedding(400, 30, generator=np.random.default_rng(4))
    assert np.array_equal(layer.weight.data, np.random.default_rng(4).normal(0, 0.02, (400, 30)).astype(np.float32))
    assert layer.weight.data.std() == pytest.approx(theirs.TiedEmbedding(400, 30).weight.std().item(), rel=0.05)
    assert nn.TiedEmbedding(2, 3, 5.0, dtype=np.float64).weight.dtype == np.float64
    assert repr(layer) == "TiedEmbedding(400, 30)"


def test_one_index_without_axes():
    layer = nn.TiedEmbedding(3, 2)
    assert np.array_equal(layer.encode(np.int64(1))[0], layer.weight.data[1])


def test_bad_arguments_and_input():
    for sizes in [(0, 3), (3, -1), (3, 3, -1.0)]:
        with pytest.raises(ValueError, match="one row or more"):
            nn.TiedEmbedding(*sizes)
    assert nn.TiedEmbedding(1, 0).weight.shape == (1, 0)
    assert not nn.TiedEmbedding(3, 2, 0.0).weight.data.any()
    layer = nn.TiedEmbedding(3, 2)
    for bad in [3, -1]:
        with pytest.raises(IndexError, match=f"rows 0 to 2, but was given index {bad}"):
            layer.encode(np.array([0, bad]))
    with pytest.raises(TypeError, match="integers, not float64"):
        layer.encode(np.ones(3))
    with pytest.raises(TypeError, match="integers, not list"):
        layer.encode([0, 1])
    for bad in [normal(3, 3).astype(np.float32), np.float32(1)]:
        with pytest.raises(ValueError, match=r"decodes \(\.\.\., 2\)"):
            layer.decode(bad)
    with pytest.raises(TypeError, match="TiedEmbedding has parameters of float32 but was given float64"):
        layer.decode(normal(3, 2))
