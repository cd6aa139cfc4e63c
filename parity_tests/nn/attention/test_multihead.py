"""MultiheadAttention against torch: options, shapes, initial state."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from manual.module import Module
from parity_tests.parity import check, normal

BEFORE = np.array([[False, True, False], [False, False, True]])  # (queries, keys): True may not attend


def inputs(*sizes, queries=2, keys=3, features=(6, 6, 6)):
    """Queries, keys and values of a sequence, half the usual size: large scores enlarge rounding on both sides."""
    q, k, v = features
    return 0.5 * normal(queries, *sizes, q), 0.5 * normal(keys, *sizes, k), 0.5 * normal(keys, *sizes, v, seed=1)


OPTIONS = [
    {},
    {"bias": False},
    {"dropout": 0.4},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True},
    {"add_bias_kv": True, "dropout": 0.3, "bias": False},
    {"add_zero_attn": True, "dropout": 0.3},
    {"dropout": 1.0},
]
WEIGHTS = [{}, {"need_weights": False}, {"average_attn_weights": False}]


@pytest.mark.parametrize("asked", WEIGHTS, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_options(options, asked, training, device):
    build = lambda nn: nn.MultiheadAttention(6, 2, **options)  # noqa: E731
    check(build, *inputs(3), training=training, dtype="float32", device=device, attn_mask=BEFORE, **asked)


@pytest.mark.parametrize("asked", WEIGHTS, ids=str)
@pytest.mark.parametrize("options", [{}, {"add_bias_kv": True, "add_zero_attn": True, "dropout": 0.3}], ids=str)
def test_options_to_the_last_digit(options, asked, device):
    check(lambda nn: nn.MultiheadAttention(4, 2, **options), *inputs(3, features=(4, 4, 4)), device=device, **asked)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kdim", "vdim"), [(5, 3), (5, None), (None, 3), (6, 6)])
def test_features_of_keys_and_values(kdim, vdim, bias, dtype):
    given = inputs(3, features=(6, kdim or 6, vdim or 6))
    check(lambda nn: nn.MultiheadAttention(6, 3, bias=bias, kdim=kdim, vdim=vdim), *given, dtype=dtype)


@pytest.mark.parametrize("unused", [(0,), (1,)])
@pytest.mark.parametrize("asked", [{}, {"average_attn_weights": False}], ids=str)
def test_one_output_alone(unused, asked, dtype):
    """The weights have a gradient of their own, to queries and keys and not to values."""
    check(lambda nn: nn.MultiheadAttention(4, 2), *inputs(3, features=(4, 4, 4)), unused=unused, dtype=dtype, **asked)


@pytest.mark.parametrize("asked", WEIGHTS, ids=str)
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("samples", [(), (1,), (3,)])
def test_layouts(samples, batch_first, asked):
    given = inputs(*samples)
    if batch_first and samples:
        given = tuple(x.swapaxes(0, 1) for x in given)
    check(lambda nn: nn.MultiheadAttention(6, 2, batch_first=batch_first), *given, dtype="float32", **asked)


SIZES = [(3, 1, 4), (3, 4, 1), (1, 1, 1), (0, 2, 3), (3, 0, 3), (3, 2, 0)]


@pytest.mark.parametrize("asked", WEIGHTS[:2], ids=str)
@pytest.mark.parametrize("options", [{}, {"add_bias_kv": True}, {"add_zero_attn": True}], ids=str)
@pytest.mark.parametrize(("samples", "queries", "keys"), SIZES)
def test_sizes(samples, queries, keys, options, asked):
    given = inputs(samples, queries=queries, keys=keys)
    check(lambda nn: nn.MultiheadAttention(6, 2, **options), *given, dtype="float32", **asked)


@pytest.mark.parametrize(("embed_dim", "num_heads"), [(1, 1), (6, 1), (6, 6), (12, 3)])
def test_heads(embed_dim, num_heads):
    given = inputs(3, features=(embed_dim,) * 3)
    check(lambda nn: nn.MultiheadAttention(embed_dim, num_heads), *given, dtype="float32")


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from([0.0, 0.4]),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.integers(0, 99),
)
def test_any_sizes(heads, head_dim, sizes, p, flags, seed):
    samples, queries, keys = sizes
    bias, add_bias_kv, add_zero_attn, need_weights = flags
    given = inputs(samples, queries=queries, keys=keys, features=(heads * head_dim,) * 3)
    build = lambda nn: nn.MultiheadAttention(heads * head_dim, heads, p, bias, add_bias_kv, add_zero_attn)  # noqa: E731
    check(build, *given, dtype="float32", seed=seed, need_weights=need_weights)


def test_self_attention_adds_three_gradients(dtype):
    """One array three times: torch adds the gradients up, here the caller does."""
    tolerance = {"float32": 1e-5, "float64": 1e-13}[dtype]
    x, layer = inputs(3)[1].astype(dtype), nn.MultiheadAttention(6, 2).to(dtype)
    theirs = torch.nn.MultiheadAttention(6, 2, dtype=getattr(torch, dtype))
    theirs.load_state_dict({name: torch.tensor(value) for name, value in layer.state_dict().items()})
    x_t = torch.tensor(x, requires_grad=True)
    y_t, _ = theirs(x_t, x_t, x_t)
    g = normal(*x.shape, seed=2).astype(dtype)
    y_t.backward(torch.tensor(g))
    (y, _), saved = layer.forward(x, x, x)
    np.testing.assert_allclose(y, y_t.detach().cpu().numpy(), rtol=tolerance, atol=tolerance)
    found = sum(layer.backward((g, None), saved))
    np.testing.assert_allclose(found, x_t.grad.cpu().numpy(), rtol=tolerance, atol=tolerance)


def test_torchs_fast_path_gives_the_same():
    """In evaluation without gradients, torch runs one fused kernel."""
    x = inputs(3, keys=4)[1].swapaxes(0, 1).astype(np.float32)
    layer, theirs = nn.MultiheadAttention(6, 2, batch_first=True), torch.nn.MultiheadAttention(6, 2, batch_first=True)
    theirs.eval().load_state_dict({name: torch.tensor(value) for name, value in layer.state_dict().items()})
    with torch.no_grad():
        x_t = torch.tensor(x)
        y_t, weights_t = theirs(x_t, x_t, x_t)
    y, weights = layer.eval()(x, x, x)
    np.testing.assert_allclose(y, y_t.cpu().numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weights, weights_t.cpu().numpy(), rtol=1e-4, atol=1e-6)


def test_heads_against_loops():
    """Head by head and query by query, from the rows of the weights that are its own."""
    layer = nn.MultiheadAttention(6, 2, dtype=np.float64, generator=np.random.default_rng(3))
    layer.in_proj_bias.data = normal(18)
    layer.out_proj.bias.data = normal(6)
    query, key, value = inputs(3)
    (y, weights), _ = layer.forward(query, key, value, average_attn_weights=False)
    W, b = layer.in_proj_weight.data, layer.in_proj_bias.data
    for n in range(3):
        concat = np.zeros((2, 6))
        for h in range(2):
            rows = [slice(part * 6 + h * 3, part * 6 + h * 3 + 3) for part in range(3)]
            for t in range(2):
                q = W[rows[0]] @ query[t, n] + b[rows[0]]
                scores = [q @ (W[rows[1]] @ key[s, n] + b[rows[1]]) / np.sqrt(3) for s in range(3)]
                P = np.exp(scores) / np.exp(scores).sum()
                np.testing.assert_allclose(weights[n, h, t], P, rtol=1e-12)
                for s in range(3):
                    concat[t, h * 3 : h * 3 + 3] += P[s] * (W[rows[2]] @ value[s, n] + b[rows[2]])
        expected = concat @ layer.out_proj.weight.data.T + layer.out_proj.bias.data
        np.testing.assert_allclose(y[:, n], expected, rtol=1e-12)


INITIAL = [{}, {"add_bias_kv": True}, {"kdim": 100}, {"vdim": 50, "bias": False}]


@pytest.mark.parametrize("options", INITIAL, ids=str)
def test_initial_state_has_torchs_distribution(options):
    """Bounds and standard deviations; biases of projections are 0 on both sides."""
    hand = nn.MultiheadAttention(200, 2, **options, generator=np.random.default_rng(0)).state_dict()
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(200, 2, **options).state_dict()
    assert list(hand) == list(theirs)
    for name, value in hand.items():
        other = theirs[name].cpu().numpy()
        assert value.dtype == np.float32
        assert value.shape == other.shape
        assert value.std() == pytest.approx(other.std(), rel=0.2 if name.startswith("bias_") else 0.02)
        if "proj" in name:
            assert np.abs(value).max() == pytest.approx(np.abs(other).max(), rel=0.01)


def test_a_seed_means_the_same_weights_for_good():
    """In the stated order: in_proj_weight or the three, bias_k, bias_v, out_proj."""
    layer = nn.MultiheadAttention(4, 2, add_bias_kv=True, dtype=np.float64, generator=np.random.default_rng(5))
    drawn = np.random.default_rng(5)
    bound = np.sqrt(6 / (4 + 12))
    np.testing.assert_allclose(layer.in_proj_weight.data, drawn.uniform(-bound, bound, (12, 4)), rtol=1e-15)
    assert np.array_equal(layer.bias_k.data, drawn.normal(0, 0.5, (1, 1, 4)))
    assert np.array_equal(layer.bias_v.data, drawn.normal(0, 0.5, (1, 1, 4)))
    assert np.array_equal(layer.out_proj.weight.data, drawn.uniform(-0.5, 0.5, (4, 4)))
    assert not layer.out_proj.bias.data.any()
    layer = nn.MultiheadAttention(4, 2, kdim=2, vdim=3, dtype=np.float64, generator=np.random.default_rng(5))
    drawn = np.random.default_rng(5)
    for parameter, size in ((layer.q_proj_weight, 4), (layer.k_proj_weight, 2), (layer.v_proj_weight, 3)):
        bound = np.sqrt(6 / (4 + size))
        np.testing.assert_allclose(parameter.data, drawn.uniform(-bound, bound, (4, size)), rtol=1e-15)
    assert np.array_equal(layer.out_proj.weight.data, drawn.uniform(-0.5, 0.5, (4, 4)))


def test_defaults():
    """torch's attributes, and a generator of its own."""
    layer, theirs = nn.MultiheadAttention(6, 2), torch.nn.MultiheadAttention(6, 2)
    for name in ("embed_dim", "num_heads", "dropout", "kdim", "vdim", "batch_first", "add_zero_attn"):
        assert getattr(layer, name) == getattr(theirs, name), name
    assert not np.array_equal(layer.in_proj_weight.data, nn.MultiheadAttention(6, 2).in_proj_weight.data)
    assert isinstance(layer, Module)
    assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float32)}


def test_nothing_is_drawn_in_evaluation():
    layer = nn.MultiheadAttention(6, 2, dropout=0.5, dtype=np.float64)
    before = layer.generator.bit_generator.state
    layer.eval()(*inputs(3))
    assert layer.generator.bit_generator.state == before
    layer.train()(*inputs(3))
    assert layer.generator.bit_generator.state != before
