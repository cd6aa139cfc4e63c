"""TransformerEncoderLayer and TransformerDecoderLayer against torch."""

from functools import partial

import numpy as np
import pytest
import torch

import manual.nn
from manual import nn
from manual.nn.activation import gelu, relu
from parity_tests.parity import check, normal

# With parameters of size 1 every softmax is saturated, and what is left of the gradients is rounding on both sides.
parity = partial(check, spread=0.3)
SRC, TGT, MEMORY = normal(3, 4, 8), normal(2, 4, 8), normal(3, 4, 8, seed=1)
SMALL = normal(3, 3, 4), normal(2, 3, 4)
OPTIONS = [
    {},
    {"norm_first": True},
    {"bias": False},
    {"dropout": 0.4},
    {"activation": "gelu"},
    {"layer_norm_eps": 0.3},
    {"norm_first": True, "bias": False, "activation": "gelu"},
    {"norm_first": True, "dropout": 0.3, "layer_norm_eps": 0.1},
    {"dropout": 0.3, "activation": "gelu", "bias": False},
]


def layer(kind, features=8, **options):
    """A layer of 2 heads and 5 units in between; without dropout unless it is asked for."""
    return lambda nn: getattr(nn, f"Transformer{kind}Layer")(features, 2, 5, **{"dropout": 0.0} | options)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_encoder_layer(options, training, device):
    parity(layer("Encoder", **options), SRC, training=training, dtype="float32", device=device)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_decoder_layer(options, training, device):
    parity(layer("Decoder", **options), TGT, MEMORY, training=training, dtype="float32", device=device)


@pytest.mark.parametrize("norm_first", [True, False])
def test_to_the_last_digit(norm_first, device):
    src, tgt = SMALL
    parity(layer("Encoder", 4, norm_first=norm_first, dropout=0.3), src, device=device)
    parity(layer("Decoder", 4, norm_first=norm_first, dropout=0.3), tgt, src, device=device)


@pytest.mark.parametrize("samples", [(), (1,), (0,)])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_layouts(samples, batch_first, norm_first):
    options = {"batch_first": batch_first, "norm_first": norm_first}
    src, tgt = normal(3, *samples, 8), normal(2, *samples, 8)
    if batch_first and samples:
        src, tgt = src.swapaxes(0, 1), tgt.swapaxes(0, 1)
    parity(layer("Encoder", **options), src, dtype="float32")
    parity(layer("Decoder", **options), tgt, src, dtype="float32")


CAUSAL3, CAUSAL2 = (nn.Transformer.generate_square_subsequent_mask(n) for n in (3, 2))
PADDING3 = np.array([[False, False, True], [False] * 3, [False, True, True], [False] * 3])
PADDING2 = np.array([[False, True], [False] * 2, [False] * 2, [False, True]])
HEADS = np.array([[False, True, False], [False, False, True], [False] * 3, [True, False, False]] * 4).reshape(8, 2, 3)
ENCODER_MASKS = [
    {"src_mask": CAUSAL3},
    {"src_mask": CAUSAL3, "is_causal": True},
    {"src_key_padding_mask": PADDING3},
    {"src_mask": CAUSAL3 < 0, "src_key_padding_mask": PADDING3, "is_causal": True},
    {"src_mask": np.concatenate([HEADS, HEADS[:, :1]], axis=1)},
    {"src_mask": normal(3, 3), "src_key_padding_mask": normal(4, 3)},
]
DECODER_MASKS = [
    {"tgt_mask": CAUSAL2},
    {"tgt_mask": CAUSAL2, "tgt_is_causal": True},
    {"memory_mask": HEADS[0]},
    {"memory_mask": HEADS},
    {"memory_mask": HEADS[0], "memory_is_causal": True},
    {"tgt_key_padding_mask": PADDING2},
    {"memory_key_padding_mask": PADDING3},
    {"tgt_mask": CAUSAL2 < 0, "tgt_key_padding_mask": PADDING2, "memory_key_padding_mask": PADDING3},
    {"tgt_mask": normal(2, 2), "memory_mask": normal(2, 3), "memory_key_padding_mask": normal(4, 3)},
]


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("masks", ENCODER_MASKS, ids=lambda masks: ", ".join(masks))
def test_encoder_masks(masks, norm_first):
    parity(layer("Encoder", norm_first=norm_first), SRC, dtype="float32", **masks)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("masks", DECODER_MASKS, ids=lambda masks: ", ".join(masks))
def test_decoder_masks(masks, norm_first):
    parity(layer("Decoder", norm_first=norm_first), TGT, MEMORY, dtype="float32", **masks)


def function(name):
    return lambda nn: {"relu": relu, "gelu": gelu}[name] if nn is manual.nn else getattr(torch.nn.functional, name)


ACTIVATIONS = {
    "relu()": function("relu"),
    "gelu()": function("gelu"),
    "Tanh": lambda nn: nn.Tanh(),
    "parameters of its own": lambda nn: nn.Sequential(nn.Linear(5, 5), nn.Tanh()),
}


@pytest.mark.parametrize("kind", ["Encoder", "Decoder"])
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations(activation, kind, monkeypatch):
    """By the function of that name, and as a module. torch's copies of a decoder layer compute with relu in its place:
    TransformerDecoderLayer.__setstate__ looks for a module where only functions are kept."""
    monkeypatch.setattr(torch.nn.TransformerDecoderLayer, "__setstate__", torch.nn.Module.__setstate__)
    inputs = (SRC,) if kind == "Encoder" else (TGT, MEMORY)
    parity(lambda nn: layer(kind, activation=activation(nn))(nn), *inputs, dtype="float32")


def test_copies_keep_the_activation():
    """In a stack as well, where torch's decoder computes with relu."""
    stack = nn.TransformerDecoder(layer("Decoder", activation=nn.Tanh())(nn), 2)
    assert [type(each.activation) for each in stack.layers] == [nn.Tanh, nn.Tanh]


@pytest.mark.parametrize("kind", ["Encoder", "Decoder"])
def test_other_activations_are_refused(kind):
    with pytest.raises(ValueError, match=rf"Transformer{kind}Layer: activation is 'relu', 'gelu'.*not 'selu'"):
        layer(kind, activation="selu")(nn)
    with pytest.raises(RuntimeError, match="relu/gelu"):
        layer(kind, activation="selu")(torch.nn)
    with pytest.raises(NotImplementedError, match=r"a function has no backward; give a module"):
        layer(kind, activation=np.tanh)(nn)
    with pytest.raises(NotImplementedError, match="device"):
        layer(kind, device="cpu")(nn)


@pytest.mark.parametrize("kind", ["Encoder", "Decoder"])
def test_defaults(kind):
    """2048 units, dropout 0.1, relu, norms at the end; float32."""
    hand, theirs = (getattr(each, f"Transformer{kind}Layer")(8, 2) for each in (nn, torch.nn))
    assert [(k, v.shape) for k, v in hand.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    assert {p.dtype for p in hand.parameters()} == {np.dtype(np.float32)}
    dropouts = [name for name, part in theirs.named_modules() if isinstance(part, torch.nn.Dropout)]
    assert {getattr(hand, name).p for name in dropouts} == {hand.self_attn.dropout} == {0.1}
    assert isinstance(hand.activation, nn.ReLU)
    assert not hand.norm_first
    assert hand.norm1.eps == 1e-5
    assert len({id(part.generator) for _, part in hand.named_modules() if hasattr(part, "generator")}) == 1
    wide = getattr(nn, f"Transformer{kind}Layer")(8, 2, dtype=np.float64)
    assert {p.dtype for p in wide.parameters()} == {np.dtype(np.float64)}


@pytest.mark.parametrize("kind", ["Encoder", "Decoder"])
def test_one_generator_draws_all(kind):
    """In the stated order: the attentions, linear1, linear2; then the masks."""
    hand = getattr(nn, f"Transformer{kind}Layer")(4, 2, 5, generator=np.random.default_rng(3))
    names = ["self_attn", *(["multihead_attn"] if kind == "Decoder" else []), "linear1", "linear2"]
    generator = np.random.default_rng(3)
    parts = [nn.MultiheadAttention(4, 2, generator=generator) for _ in names[:-2]]
    parts += [nn.Linear(4, 5, generator=generator), nn.Linear(5, 4, generator=generator)]
    for part, expected in zip(names, parts, strict=True):
        for (name, p), q in zip(getattr(hand, part).named_parameters(), expected.parameters(), strict=True):
            assert np.array_equal(p.data, q.data), f"{part}.{name}"
    drawing = [part for _, part in hand.named_modules() if hasattr(part, "generator")]
    assert len(drawing) == {"Encoder": 4, "Decoder": 6}[kind]
    assert len({id(part.generator) for part in drawing}) == 1
    assert not np.array_equal(hand.linear1.weight.data, layer(kind, 4)(nn).linear1.weight.data)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("masks", [{}, {"src_mask": CAUSAL3}, {"src_key_padding_mask": PADDING3[:3]}], ids=list)
def test_torchs_fast_path_gives_the_same(masks, activation, norm_first):
    """In evaluation without gradients, torch runs one fused kernel."""
    options = {"activation": activation, "norm_first": norm_first, "batch_first": True}
    hand, theirs = layer("Encoder", **options)(nn).eval(), layer("Encoder", **options)(torch.nn).eval()
    theirs.load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    x = SRC[:, :3].astype(np.float32)
    with torch.no_grad():
        y_t = theirs(torch.tensor(x), **{name: torch.tensor(mask) for name, mask in masks.items()})
    np.testing.assert_allclose(hand(x, **masks), y_t.cpu().numpy(), rtol=1e-4, atol=1e-5)


def test_the_gradient_is_a_sum_over_three_roles():
    """x is query, key and value: an encoder layer whose attention sees x elsewhere has the parts of its gradient."""
    hand = layer("Encoder")(nn).double()
    x, g = SRC, normal(3, 4, 8, seed=4)
    y, saved = hand.forward(x)
    grad_x = hand.backward(g, saved)
    (a, _), saved_a = hand.self_attn.forward(x, x, x)
    u, saved_1 = hand.norm1.forward(x + a)
    f, saved_f = hand.feed_forward.forward(u)
    expected, saved_2 = hand.norm2.forward(u + f)
    assert np.array_equal(y, expected)
    p = hand.norm2.backward(g, saved_2)
    q = hand.norm1.backward(p + hand.feed_forward.backward(p, saved_f), saved_1)
    np.testing.assert_allclose(grad_x, q + sum(hand.self_attn.backward((q, None), saved_a)), rtol=1e-12)
