"""scaled_dot_product_attention against torch's, and against loops over queries and keys."""

import math
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import manual.nn
from manual.module import Module
from manual.nn.attention import attend, attend_backward, scaled_dot_product_attention, softmax_or_zero
from manual.nn.attention import scaled_dot_product_attention_backward as backward
from manual.nn.dropout import dropout_mask
from parity_tests.parity import check, check_refused, normal


class Hand(Module):
    """The pair of functions as a module, as `check` takes it."""

    def __init__(self, **options):
        self.options, self.generator = options, np.random.default_rng(0)

    def forward(self, query, key, value, attn_mask=None):
        return scaled_dot_product_attention(query, key, value, attn_mask, **self.options, generator=self.generator)

    def backward(self, grad_output, saved, *, input_grad=True):
        grad_query, grad_key, grad_value = backward(grad_output, saved)
        return grad_query if input_grad else None, grad_key, grad_value


class Theirs(torch.nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, query, key, value, attn_mask=None):
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask, **self.options)


def attention(**options):
    return lambda nn: (Hand if nn is manual.nn else Theirs)(**options)


def qkv(lead=(3,), queries=2, keys=4, size=3, value_size=2):
    return normal(*lead, queries, size), normal(*lead, keys, size, seed=1), normal(*lead, keys, value_size, seed=2)


ALLOWED = np.array([[True, False, True, True], [False, True, False, True]])
SCORES = normal(2, 4, seed=3)
MASKS = {
    "none": None,
    "bool": ALLOWED,
    "a row alone": ALLOWED[1],
    "of each sample": np.stack([ALLOWED, ~ALLOWED, ALLOWED[::-1]]),
    "float": SCORES,
    "float with -inf": np.where(ALLOWED, SCORES, -np.inf),
    "a column": normal(2, 1),
    "one number": np.float64(0.7).reshape(()),
    "nothing allowed for query 1": np.array([[True, False, True, True], [False] * 4]),
    "-inf for query 0": np.array([[-np.inf] * 4, [0.5, -np.inf, 2, 0]]),
}


@pytest.mark.parametrize(
    "options", [{}, {"dropout_p": 0.3}, {"scale": 0.7}, {"scale": -0.4, "dropout_p": 0.5}], ids=str
)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_masks_and_options(mask, options, dtype, device):
    if isinstance(mask, np.generic):
        mask = np.asarray(mask)
    check(attention(**options), *qkv(), attn_mask=mask, dtype=dtype, device=device)


@pytest.mark.parametrize("options", [{"dropout_p": 1.0}, {"scale": 0.0}, {"dropout_p": 0}, {"dropout_p": 1}], ids=str)
def test_ends_of_options(options, dtype):
    check(attention(**options), *qkv(), dtype=dtype)


@pytest.mark.parametrize("dropout_p", [0.0, 0.4])
@pytest.mark.parametrize(("queries", "keys"), [(3, 3), (2, 4), (4, 2), (1, 1)])
def test_causal(queries, keys, dropout_p, dtype):
    """Counted from the first query and the first key, also where there are more of one than of the other."""
    check(attention(is_causal=True, dropout_p=dropout_p), *qkv((3,), queries, keys), dtype=dtype)


SIZES = [((), 2, 4, 3, 2), ((2, 3), 2, 2, 1, 3), ((2, 1, 3), 2, 3, 2, 2), ((1,), 1, 1, 1, 1), ((3,), 5, 1, 2, 1)]
EMPTY = [((0,), 2, 4, 3, 2), ((3,), 0, 4, 3, 2), ((3,), 2, 0, 3, 2), ((3,), 2, 4, 3, 0), ((3,), 2, 4, 0, 2)]


@pytest.mark.parametrize("sizes", SIZES + EMPTY, ids=str)
def test_shapes(sizes, dtype, device):
    check(attention(), *qkv(*sizes), dtype=dtype, device=device)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 2), max_size=2),
    st.tuples(*[st.integers(1, 4)] * 4),
    st.sampled_from(["none", "bool", "float", "causal"]),
    st.sampled_from([0.0, 0.4]),
    st.integers(0, 99),
)
def test_any_shape(lead, sizes, kind, p, seed):
    mask = normal(*sizes[:2], seed=seed)
    mask = {"float": mask, "bool": mask > 0}.get(kind)
    build = attention(is_causal=kind == "causal", dropout_p=p)
    check(build, *qkv(tuple(lead), *sizes), attn_mask=mask, seed=seed, dtype="float32")


@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize(("heads", "shared"), [((6,), (3,)), ((2, 4), (2, 2)), ((3,), (1,)), ((2, 3), (2, 3))])
def test_heads_that_share_keys(heads, shared, p, dtype):
    query, (_, key, value) = qkv(heads)[0], qkv(shared)
    check(attention(enable_gqa=True, dropout_p=p), query, key, value, dtype=dtype)


def test_against_loops(dtype):
    """The formula, query by query and key by key; the backward by the chain rule through every pair of scores."""
    query, key, value = (x[0].astype(dtype) for x in qkv())
    dY = normal(2, 2, seed=5).astype(dtype)
    Y, saved = scaled_dot_product_attention(query, key, value)
    (L, E), (S, Ev) = query.shape, value.shape
    expected, grads = np.zeros((L, Ev)), [np.zeros((L, E)), np.zeros((S, E)), np.zeros((S, Ev))]
    for t in range(L):
        scores = [sum(query[t, i] * key[s, i] for i in range(E)) / math.sqrt(E) for s in range(S)]
        total = sum(math.exp(score) for score in scores)
        P = [math.exp(score) / total for score in scores]
        for s in range(S):
            expected[t] += P[s] * value[s]
            grads[2][s] += P[s] * dY[t]
            for r in range(S):  # dY -> P[r] -> score s
                slope = P[r] * ((r == s) - P[s]) * sum(dY[t] * value[r])
                grads[0][t] += slope * key[s] / math.sqrt(E)
                grads[1][s] += slope * query[t] / math.sqrt(E)
    tolerance = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(Y, expected, rtol=tolerance, atol=tolerance)
    for found, grad in zip(backward(dY, saved), grads, strict=True):
        np.testing.assert_allclose(found, grad, rtol=tolerance, atol=tolerance)


def test_the_sum_over_a_row_comes_from_the_output_alone():
    """D = rowsum(dP P) = rowsum(dW W) = rowsum(dY Y), with dropout too: what lets a kernel go without the row."""
    Q, K, V = qkv()
    M, dY = np.where(normal(3, 2, 4) > 0, 1 / 0.7, 0), normal(3, 2, 2)
    Y, W, (*_, P, _, _) = attend(Q, K, V, None, M, 0.5)
    dP = dY @ V.mT * M
    np.testing.assert_allclose((dP * P).sum(-1), (dY * Y).sum(-1), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose((dY @ V.mT * W).sum(-1), (dY * Y).sum(-1), rtol=1e-12, atol=1e-14)


def test_weights_have_a_gradient_of_their_own():
    """dW is added to the one that comes through Y: against numbers, entry by entry of Q."""
    Q, K, V = (x[0] for x in qkv())
    dY, dW, step = normal(2, 2, seed=6), normal(2, 4, seed=7), 1e-30

    def f(Q):
        Y, W, saved = attend(Q, K.astype(complex), V.astype(complex), None, None, 0.5)
        return (Y * dY).sum() + (W * dW).sum(), saved

    _, saved = f(Q)
    dQ, _, _ = attend_backward(dY, dW, saved)
    for at in np.ndindex(Q.shape):
        moved = Q.astype(complex)
        moved[at] += 1j * step
        assert dQ[at].real == pytest.approx(f(moved)[0].imag / step, rel=1e-12)


def test_a_query_that_may_attend_to_nothing():
    """Its softmax is 0/0, NaN; as an attention it gives 0, and hands 0 back. All others are as without it."""
    S = np.array([[0.0, 1, 2], [-np.inf] * 3])
    assert softmax_or_zero(S, -1)[1].tolist() == [0, 0, 0]
    assert np.isfinite(softmax_or_zero(S, -1)).all()
    mask = np.array([[True] * 4, [False] * 4])
    Q, K, V = (x[0] for x in qkv())
    Y, saved = scaled_dot_product_attention(Q, K, V, mask)
    alone, saved_alone = scaled_dot_product_attention(Q[:1], K, V)
    assert Y[1].tolist() == [0, 0]
    np.testing.assert_allclose(Y[:1], alone, rtol=1e-14)
    (dQ, dK, dV), others = backward(normal(2, 2), saved), backward(normal(2, 2)[:1], saved_alone)
    assert dQ[1].tolist() == [0, 0, 0]
    for found, expected in zip((dQ[:1], dK, dV), others, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_of_the_range(dtype):
    """Large scores, infinite and NaN ones, values that overflow: as in torch, without a warning."""
    big = 1e18 if dtype is np.float32 else 1e150
    Q = np.array([[big, 1], [np.inf, 0], [np.nan, 1], [1, 2], [0, 0]], dtype)
    K, V = np.array([[big, 1], [-big, 1], [2, 1]], dtype), np.array([[1, 2], [np.inf, 3], [5, -4]], dtype)
    for scale in (None, 1.0, -3.0):
        Y, saved = scaled_dot_product_attention(Q, K, V, scale=scale)
        theirs = torch.nn.functional.scaled_dot_product_attention(*map(torch.tensor, (Q, K, V)), scale=scale)
        np.testing.assert_allclose(Y, theirs.cpu().numpy(), rtol=1e-5)
        assert np.isnan(Y).any() or scale == -3
        backward(np.ones_like(Y), saved)


@pytest.mark.parametrize("mask", [None, ALLOWED, SCORES, MASKS["nothing allowed for query 1"]], ids=str)
def test_torchs_fused_form_gives_the_same(mask):
    """Of four axes, torch takes a kernel that never makes the weights; to its rounding, the numbers agree."""
    Q, K, V = (x.astype(np.float32) for x in qkv((2, 3), value_size=3))
    if mask is not None and mask.dtype != bool:
        mask = mask.astype(np.float32)
    tensors = [torch.tensor(x, requires_grad=True) for x in (Q, K, V)]
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *tensors, attn_mask=None if mask is None else torch.tensor(mask)
    )
    g = normal(*theirs.shape, seed=8).astype(np.float32)
    theirs.backward(torch.tensor(g))
    Y, saved = scaled_dot_product_attention(Q, K, V, mask)
    np.testing.assert_allclose(Y, theirs.detach().cpu().numpy(), rtol=1e-4, atol=1e-5)
    for found, tensor in zip(backward(g, saved), tensors, strict=True):
        np.testing.assert_allclose(found, tensor.grad.cpu().numpy(), rtol=1e-4, atol=1e-5)


def test_dropout_draws_from_the_generator():
    Q, K, V = qkv()
    Y, _ = scaled_dot_product_attention(Q, K, V, dropout_p=0.3, generator=np.random.default_rng(4))
    _, W, _ = attend(Q, K, V, None, None, 1 / math.sqrt(3))
    kept = np.random.default_rng(4).random((3, 2, 4)) >= 0.3
    np.testing.assert_allclose(Y, (W * kept / 0.7) @ V, rtol=1e-14)
    generator = np.random.default_rng(4)
    before = generator.bit_generator.state
    scaled_dot_product_attention(Q, K, V, generator=generator)
    assert generator.bit_generator.state == before
    first, second = (scaled_dot_product_attention(*qkv((9,)), dropout_p=0.5)[0] for _ in range(2))
    assert not np.array_equal(first, second), "without a generator, one is made anew"


def test_a_draw_of_exactly_p_keeps_the_entry():
    """As in Dropout: kept where the number drawn is p or above."""
    generator = mock.Mock(random=lambda shape: np.full(shape, 0.25))
    assert (dropout_mask((2, 3), 0.25, np.dtype(np.float32), generator) == np.float32(1 / 0.75)).all()


REFUSED = [
    (((3,), (4, 3), (4, 2)), {}, r"two axes or more.*query \(3,\)"),
    (((2, 3), (3,), (4, 2)), {}, r"two axes or more.*key \(3,\)"),
    (((2, 3), (4, 3), (2,)), {}, r"two axes or more.*value \(2,\)"),
    (((2, 3), (4, 2), (4, 2)), {}, r"key \(\.\.\., S, E\).*key \(4, 2\)"),
    (((2, 3), (4, 3), (5, 2)), {}, r"value \(\.\.\., S, Ev\).*value \(5, 2\)"),
    (((6, 2, 3), (4, 4, 3), (4, 4, 2)), {"enable_gqa": True}, r"H\s*divides Hq.*query \(6, 2, 3\)"),
    (((2, 6, 2, 3), (3, 3, 4, 3), (3, 3, 4, 2)), {"enable_gqa": True}, r"enable_gqa takes"),
    (((2, 3), (4, 3), (4, 2)), {"dropout_p": 1.5}, r"dropout_p is the probability.*not 1\.5"),
]


@pytest.mark.parametrize(("shapes", "options", "says"), REFUSED)
def test_refused_shapes(shapes, options, says):
    inputs = [normal(*shape) for shape in shapes]
    check_refused(attention(**options), *inputs, error=ValueError, match=says)


@pytest.mark.parametrize(
    ("mask", "options", "error", "says"),
    [
        (np.ones((2, 4), int), {}, TypeError, r"attn_mask of bools, or of float32.*int64.*astype\(bool\)"),
        (np.ones((2, 3), bool), {}, ValueError, r"broadcasts to \(3, 2, 4\).*\(2, 3\)"),
        (np.ones((2, 2, 4), bool), {}, ValueError, r"broadcasts to"),
        (np.ones((5, 3, 2, 4), bool), {}, ValueError, r"broadcasts to"),
        (ALLOWED, {"is_causal": True}, ValueError, r"not both"),
    ],
)
def test_refused_masks(mask, options, error, says):
    check_refused(attention(**options), *qkv(), attn_mask=mask, error=error, match=says)


def test_refused_here_alone():
    """Where torch broadcasts or converts, the caller says so."""
    Q, K, V = qkv()
    for query, key, value in ((Q[:1], K, V), (Q[0], K, V), (Q, K, V[:1])):
        with pytest.raises(ValueError, match=r"same leading axes.*enable_gqa=True"):
            scaled_dot_product_attention(query, key, value)
    with pytest.raises(ValueError, match="enable_gqa takes"):
        scaled_dot_product_attention(Q[0], K, V, enable_gqa=True)
    with pytest.raises(ValueError, match="enable_gqa takes"):
        scaled_dot_product_attention(normal(6, 2, 3), normal(3, 4, 3), normal(2, 4, 2), enable_gqa=True)
    with pytest.raises(ValueError, match="enable_gqa takes"):
        scaled_dot_product_attention(Q, K[:0], V[:0], enable_gqa=True)
    with pytest.raises(ValueError, match=r"dropout_p is.*-0\.1"):
        scaled_dot_product_attention(Q, K, V, dropout_p=-0.1)
    with pytest.raises(TypeError, match=r"attn_mask of bools, or of float64.*float32"):
        scaled_dot_product_attention(Q, K, V, SCORES.astype(np.float32))
    with pytest.raises(TypeError, match=r"attn_mask as a numpy.ndarray, not list"):
        scaled_dot_product_attention(Q, K, V, ALLOWED.tolist())
    for i, name in enumerate(("query", "key", "value")):
        inputs = [Q, K, V]
        inputs[i] = inputs[i].astype(int)
        with pytest.raises(TypeError, match=rf"scaled_dot_product_attention \({name}\).*floats, not int64"):
            scaled_dot_product_attention(*inputs)
        inputs[i] = [Q, K, V][i].astype(np.float32)
        with pytest.raises(TypeError, match=r"one dtype.*float32"):
            scaled_dot_product_attention(*inputs)
