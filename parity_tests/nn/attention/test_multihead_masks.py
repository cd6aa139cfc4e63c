"""The masks of MultiheadAttention against torch, and what it refuses."""

import numpy as np
import pytest
import torch

from manual import nn
from manual.nn import Transformer
from parity_tests.parity import check, check_refused, normal

# torch warns of two masks of different kinds, and takes them.
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched:UserWarning")

N, H, L, S = 5, 2, 3, 4


def inputs(size=6, queries=L, keys=S):
    return tuple(0.5 * normal(t, N, size, seed=seed) for seed, t in enumerate((queries, keys, keys)))


RANDOM = np.random.default_rng(7)
ATTN = RANDOM.random((L, S)) < 0.4
ATTN3 = RANDOM.random((N * H, L, S)) < 0.5
PADDING = np.array([[False, False, False, True], [False] * 4, [False, False, True, True], *[[False] * 4] * 2])
ATTN[:, 0] = ATTN3[:, :, 0] = False  # everything may attend to the first key


def numbers(mask, seed=9):
    return np.where(mask, -np.inf, normal(*mask.shape, seed=seed))


MASKS = {
    "attn": {"attn_mask": ATTN},
    "attn, heads": {"attn_mask": ATTN3},
    "padding": {"key_padding_mask": PADDING},
    "attn, padding": {"attn_mask": ATTN, "key_padding_mask": PADDING},
    "attn, heads, padding": {"attn_mask": ATTN3, "key_padding_mask": PADDING},
    "float attn": {"attn_mask": numbers(ATTN)},
    "float attn, heads": {"attn_mask": numbers(ATTN3)},
    "float padding": {"key_padding_mask": numbers(PADDING)},
    "float attn, float padding": {"attn_mask": numbers(ATTN), "key_padding_mask": numbers(PADDING, 3)},
    "float attn, padding": {"attn_mask": numbers(ATTN), "key_padding_mask": PADDING},
    "attn, heads, float padding": {"attn_mask": ATTN3, "key_padding_mask": numbers(PADDING)},
}
NOT_CAUSAL = np.array([[False, False, True], [False, True, False], [False, True, True]])
EXTRA = [{}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"add_bias_kv": True, "add_zero_attn": True}]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("options", EXTRA, ids=str)
@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
def test_masks(masks, options, need_weights, device):
    build = lambda nn: nn.MultiheadAttention(6, H, **options)  # noqa: E731
    check(build, *inputs(), dtype="float32", device=device, need_weights=need_weights, **masks)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("name", ["attn, heads, padding", "float attn, float padding"])
def test_masks_to_the_last_digit(name, need_weights):
    build = lambda nn: nn.MultiheadAttention(4, H, 0.3, batch_first=True)  # noqa: E731
    check(build, *(x.swapaxes(0, 1) for x in inputs(4)), need_weights=need_weights, **MASKS[name])


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(
    "masks",
    [
        {"attn_mask": ATTN},
        {"attn_mask": ATTN3[:H]},
        {"key_padding_mask": PADDING[0]},
        {"attn_mask": numbers(ATTN3[:H]), "key_padding_mask": numbers(PADDING[2])},
    ],
    ids=str,
)
def test_masks_of_one_sample_alone(masks, need_weights):
    given = [x[:, 0] for x in inputs()]
    check(lambda nn: nn.MultiheadAttention(6, H), *given, dtype="float32", need_weights=need_weights, **masks)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("padding", [{}, {"key_padding_mask": PADDING[:, :3]}], ids=["", "padding"])
@pytest.mark.parametrize("options", EXTRA, ids=str)
@pytest.mark.parametrize("mask", [Transformer.generate_square_subsequent_mask(3), NOT_CAUSAL], ids=["right", "wrong"])
def test_the_causal_hint(mask, options, padding, need_weights):
    """Where torch takes the hint at its word, so do we: another mask is then not read, and added keys come last."""
    masks = {"attn_mask": mask, "is_causal": True, "need_weights": need_weights, **padding}
    check(lambda nn: nn.MultiheadAttention(6, H, **options), *inputs(queries=3, keys=3), dtype="float32", **masks)


def test_the_causal_hint_with_more_keys_than_queries():
    for need_weights in (True, False):
        masks = {"attn_mask": ATTN, "is_causal": True, "need_weights": need_weights}
        check(lambda nn: nn.MultiheadAttention(6, H), *inputs(), dtype="float32", **masks)


NOTHING = np.array([[False] * S, [True] * S, [False] * S])


@pytest.mark.parametrize(
    "masks",
    [{"attn_mask": NOTHING}, {"key_padding_mask": np.stack([PADDING[0], NOTHING[1], *PADDING[2:]])}],
    ids=["attn", "padding"],
)
def test_a_query_that_may_attend_to_nothing(masks, dtype):
    """0 where no weights are asked for; NaN where they are, and it spreads to all keys and values: both as in torch."""
    check(lambda nn: nn.MultiheadAttention(4, H), *inputs(4), dtype=dtype, need_weights=False, **masks)
    layer, theirs = nn.MultiheadAttention(4, H, dtype=np.float64), torch.nn.MultiheadAttention(4, H).double()
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs(4)]
    outputs = theirs(*tensors, **{name: torch.tensor(mask) for name, mask in masks.items()})
    sum(y.sum() for y in outputs).backward()
    (y, weights), saved = layer.forward(*inputs(4), **masks)
    grads = layer.backward((np.ones_like(y), np.ones_like(weights)), saved)
    for found, expected in zip((y, weights, *grads), (*outputs, *(t.grad for t in tensors)), strict=True):
        assert np.array_equal(np.isnan(found), np.isnan(expected.detach().cpu().numpy()))
    assert np.isnan(weights).any()


@pytest.mark.parametrize("options", EXTRA[1:], ids=str)
def test_added_keys_are_never_masked(options):
    """So that a query which may attend to nothing else attends to them: nothing is NaN."""
    layer = nn.MultiheadAttention(6, H, **options, dtype=np.float64)
    y, weights = layer(*inputs(), attn_mask=np.ones((L, S), bool), key_padding_mask=np.ones((N, S), bool))
    assert weights.shape == (N, L, S + sum(options.values()))
    assert not weights[..., :S].any()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-12)
    assert np.isfinite(y).all()


def test_the_gradient_of_the_keys_bias_is_rounding_alone():
    """b_k adds one number to all scores of a query, which the softmax does not notice; unless keys are added."""
    for options, size in (({}, 1e-12), ({"add_zero_attn": True}, None)):
        layer = nn.MultiheadAttention(6, H, **options, dtype=np.float64)
        layer.in_proj_bias.data = normal(18)
        (y, _), saved = layer.forward(*inputs())
        layer.backward((normal(*y.shape), None), saved)
        largest = np.abs(layer.in_proj_bias.grad[6:12]).max()
        assert largest < size if size else largest > 1e-3


F32 = np.float32
REFUSED = [
    ({"attn_mask": ATTN.astype(int)}, TypeError, r"attn_mask of bools, or of float32.*int64"),
    ({"key_padding_mask": PADDING.astype(np.uint8)}, TypeError, r"key_padding_mask of bools.*uint8"),
    ({"attn_mask": ATTN[:, 1:]}, ValueError, r"attn_mask of shape \(3, 4\), or \(10, 3, 4\).*given \(3, 3\)"),
    ({"attn_mask": ATTN3[:5]}, ValueError, r"given \(5, 3, 4\)"),
    ({"attn_mask": ATTN3[0, 0]}, ValueError, r"given \(4,\)"),
    ({"attn_mask": ATTN3[None]}, ValueError, r"given \(1, 10, 3, 4\)"),
    ({"key_padding_mask": PADDING[1:]}, ValueError, r"key_padding_mask of shape \(5, 4\).*given \(4, 4\)"),
    ({"key_padding_mask": PADDING[0]}, ValueError, r"shape \(5, 4\).*given \(4,\)"),
    ({"is_causal": True}, ValueError, r"is_causal=True says of attn_mask.*generate_square_subsequent_mask"),
]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(("masks", "error", "says"), REFUSED)
def test_refused_masks(masks, error, says, need_weights):
    build = lambda nn: nn.MultiheadAttention(6, H)  # noqa: E731
    check_refused(build, *inputs(), error=error, match=says, need_weights=need_weights, **masks)


def test_masks_have_the_dtype_of_the_inputs():
    layer = nn.MultiheadAttention(6, H, dtype=np.float64)
    with pytest.raises(TypeError, match=r"attn_mask of bools, or of float64.*float32.*astype\(np.float64\)"):
        layer(*inputs(), attn_mask=numbers(ATTN).astype(F32))
    with pytest.raises(TypeError, match=r"key_padding_mask as a numpy.ndarray, not list"):
        layer(*inputs(), key_padding_mask=PADDING.tolist())
    with pytest.raises(ValueError, match=r"key_padding_mask of shape \(4,\)"):
        layer(*(x[:, 0] for x in inputs()), key_padding_mask=PADDING)


SHAPES = [
    (((2, 3, 6), (4, 3, 6), (5, 3, 6)), r"a value for every key"),
    (((2, 3, 6), (4, 2, 6), (4, 2, 6)), r"as many samples of keys as of queries, on axis 1"),
    (((2, 3, 6), (4, 6), (4, 6)), r"three axes, or two without samples"),
    (((2, 6), (4, 3, 6), (4, 3, 6)), r"three axes, or two"),
    (((2, 3, 6), (4, 3, 6), (4, 6)), r"three axes, or two"),
    (((2, 3, 6), (4, 6), (4, 3, 6)), r"three axes, or two"),
    (((6,), (6,), (6,)), r"query \(6,\)"),
    (((1, 2, 3, 6), (1, 4, 3, 6), (1, 4, 3, 6)), r"query \(1, 2, 3, 6\)"),
    (((2, 3, 5), (4, 3, 6), (4, 3, 6)), r"\(6, 6, 6\) features"),
    (((2, 3, 6), (4, 3, 5), (4, 3, 6)), r"\(6, 6, 6\) features"),
    (((2, 3, 6), (4, 3, 6), (4, 3, 5)), r"\(6, 6, 6\) features"),
]


@pytest.mark.parametrize(("shapes", "says"), SHAPES)
def test_refused_shapes(shapes, says):
    given = [normal(*shape) for shape in shapes]
    check_refused(lambda nn: nn.MultiheadAttention(6, H), *given, error=ValueError, match=says)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ((6, 4), "embed_dim / num_heads"),
        ((0, 1), "embed_dim=0"),
        ((6, 0), "num_heads=0"),
        ((6, -2), "num_heads=-2"),
        ((-6, 2), "embed_dim=-6"),
    ],
)
def test_refused_sizes(sizes, says):
    check_refused(lambda nn: nn.MultiheadAttention(*sizes), error=ValueError, match=says)


def test_refused_arguments():
    with pytest.raises(NotImplementedError, match="device"):
        nn.MultiheadAttention(6, H, device="cpu")
    for p in (-0.1, 1.5):
        with pytest.raises(ValueError, match=f"dropout is the probability.*{p}"):
            nn.MultiheadAttention(6, H, dropout=p)
    with pytest.raises(ValueError, match="on axis 0"):
        nn.MultiheadAttention(6, H, batch_first=True).forward(*(x.astype(F32) for x in inputs()))
    layer = nn.MultiheadAttention(6, H)
    for i, name in enumerate(("query", "key", "value")):
        given = [x.astype(F32) for x in inputs()]
        given[i] = given[i].astype(np.float64)
        with pytest.raises(TypeError, match=rf"MultiheadAttention \({name}\) has parameters of float32.*float64"):
            layer(*given)
        first_wrong = [x.astype(F32 if k < i else np.float64) for k, x in enumerate(inputs())]
        with pytest.raises(TypeError, match=rf"MultiheadAttention \({name}\)"):
            layer(*first_wrong)
