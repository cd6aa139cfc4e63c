"""The mistakes that people make in attention and transformers, planted one at a time: each is found."""

import copy

import numpy as np
import pytest

from manual import nn
from manual.nn.activation import softmax
from manual.nn.attention import attend, attend_backward, multihead
from manual.nn.attention.masks import additive
from manual.nn.container import Sequential
from manual.nn.transformer import decoder, encoder
from parity_tests.parity import check, normal

MASK = np.array([[False, True, False], [False, False, True]])


def backward_with(grad_scores=None, dropped=True, scale_of_keys=True, weights=True):
    """attend_backward with one of its lines replaced, or left out."""

    def backward(dY, dW, saved):
        Q, K, V, P, M, scale = saved
        W = P if M is None or not dropped else P * M
        total = dY @ V.mT if dW is None or not weights else dW + dY @ V.mT
        dP = total if M is None or not dropped else total * M
        dS = P * (dP - (dP * P).sum(-1, keepdims=True)) if grad_scores is None else grad_scores(P, dP)
        return scale * dS @ K, (scale if scale_of_keys else 1) * dS.mT @ Q, W.mT @ dY

    return backward


def mask_lost(dY, dW, saved):
    Q, K, V, _, M, scale = saved
    return attend_backward(dY, dW, (Q, K, V, softmax(scale * Q @ K.mT, -1), M, scale))


def keys_and_values_exchanged(dY, dW, saved):
    dQ, dK, dV = attend_backward(dY, dW, saved)
    return dQ, dV, dK


BACKWARDS = {
    "softmax of one entry": backward_with(lambda P, dP: dP * P * (1 - P)),
    "no sum over the row": backward_with(lambda P, dP: dP * P),
    "sum over the queries": backward_with(lambda P, dP: P * (dP - (dP * P).sum(-2, keepdims=True))),
    "sum without P": backward_with(lambda P, dP: P * (dP - dP.sum(-1, keepdims=True))),
    "softmax passed over": backward_with(lambda P, dP: dP),
    "dropout's mask lost": backward_with(dropped=False),
    "scale lost for keys": backward_with(scale_of_keys=False),
    "weights' own gradient lost": backward_with(weights=False),
    "mask lost": mask_lost,
    "keys and values exchanged": keys_and_values_exchanged,
}


def attention():
    inputs = 0.5 * normal(2, 3, 6), 0.5 * normal(3, 3, 6), 0.5 * normal(3, 3, 6, seed=1)
    check(lambda nn: nn.MultiheadAttention(6, 2, 0.3), *inputs, dtype="float32", attn_mask=MASK)


def test_the_unbroken_attention_passes(monkeypatch):
    attention()
    monkeypatch.setattr(multihead, "attend_backward", backward_with())
    attention()


@pytest.mark.parametrize("mistake", BACKWARDS.values(), ids=BACKWARDS)
def test_backwards(mistake, monkeypatch):
    monkeypatch.setattr(multihead, "attend_backward", mistake)
    with pytest.raises(AssertionError, match="grad of"):
        attention()


def transposed(Q, K, V, B, M, scale, distribution):
    """Normalised over the queries."""
    return attend(Q, K, V, B, M, scale, lambda S, dim: distribution(S, -2))


FORWARDS = {
    "softmax over the queries": transposed,
    "scale lost": lambda Q, K, V, B, M, scale, d: attend(Q, K, V, B, M, 1.0, d),
    "scale of all heads together": lambda Q, K, V, B, M, scale, d: attend(Q, K, V, B, M, 6**-0.5, d),
    "mask lost": lambda Q, K, V, B, M, scale, d: attend(Q, K, V, None, M, scale, d),
    "mask turned round": lambda Q, K, V, B, M, scale, d: attend(Q, K, V, additive(B == 0, B.dtype), M, scale, d),
    "dropout lost": lambda Q, K, V, B, M, scale, d: attend(Q, K, V, B, None, scale, d),
}


@pytest.mark.parametrize("mistake", FORWARDS.values(), ids=FORWARDS)
def test_forwards(mistake, monkeypatch):
    monkeypatch.setattr(multihead, "attend", mistake)
    with pytest.raises(AssertionError, match="output"):
        attention()


def test_heads_cut_by_a_reshape_alone(monkeypatch):
    """(N, T, E) -> (N, H, T, D) in one step has the right shape, and mixes positions."""
    monkeypatch.setattr(nn.MultiheadAttention, "_heads", lambda self, x: x.reshape(len(x), 2, -1, 3))
    monkeypatch.setattr(multihead, "_side_by_side", lambda x: x.reshape(len(x), -1, 6))
    with pytest.raises(AssertionError, match="output"):
        attention()


BLOCK = encoder.attention_block_backward
ROLES = {
    "query alone": lambda *arguments, **options: (BLOCK(*arguments, **options)[0], np.float32(0)),
    "key and value alone": lambda *arguments, **options: (np.float32(0), BLOCK(*arguments, **options)[1]),
}


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("mistake", ROLES.values(), ids=ROLES)
def test_a_role_of_the_input_forgotten(mistake, norm_first, monkeypatch):
    monkeypatch.setattr(encoder, "attention_block_backward", mistake)
    with pytest.raises(AssertionError, match="grad of input 0"):
        check(
            lambda nn: nn.TransformerEncoderLayer(8, 2, 5, 0.0, norm_first=norm_first),
            normal(3, 4, 8),
            spread=0.3,
            dtype="float32",
        )


def test_masks_copied_along(monkeypatch):
    """A generator that is copied with the layer gives every layer the same masks of dropout."""

    def copies(layer, number, who):
        return Sequential(*(copy.deepcopy(layer) for _ in range(number)))

    monkeypatch.setattr(decoder, "copies", copies)
    stack = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 5, 0.5), 2)
    _, (saved, _) = stack.forward(normal(2, 4, 8).astype(np.float32), normal(3, 4, 8).astype(np.float32))
    first, second = (layer_saved[0][1][0] for layer_saved in saved)
    assert np.array_equal(first, second), "test_copies_start_alike_and_draw_apart rests on this"
