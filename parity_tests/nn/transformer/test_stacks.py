"""TransformerEncoder and TransformerDecoder against torch: copies of a layer, one after the other."""

from functools import partial
from unittest import mock

import numpy as np
import pytest
import torch

from manual import nn
from parity_tests.parity import check, normal

# With parameters of size 1 every softmax is saturated, and what is left of the gradients is rounding on both sides.
parity = partial(check, spread=0.3)
SRC, TGT, MEMORY = normal(3, 4, 8), normal(2, 4, 8), normal(3, 4, 8, seed=1)
CAUSAL3, CAUSAL2 = (nn.Transformer.generate_square_subsequent_mask(n) for n in (3, 2))
PADDING = np.array([[False, False, True], [False] * 3, [False, True, True], [False] * 3])


def encoder(layers=2, norm=True, size=8, **options):
    def build(nn):
        layer = nn.TransformerEncoderLayer(size, 2, 5, **{"dropout": 0.0} | options)
        # torch warns where nothing can be nested
        return nn.TransformerEncoder(layer, layers, nn.LayerNorm(size) if norm else None, enable_nested_tensor=False)

    return build


def decoder(layers=2, norm=True, size=8, **options):
    def build(nn):
        layer = nn.TransformerDecoderLayer(size, 2, 5, **{"dropout": 0.0} | options)
        return nn.TransformerDecoder(layer, layers, nn.LayerNorm(size) if norm else None)

    return build


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("options", [{"norm_first": True}, {"dropout": 0.3}, {"dropout": 0.3, "norm_first": True}])
def test_stacks(options, layers, norm, training, device):
    """With dropout, each layer draws its own masks, in the order of the layers."""
    how = {"training": training, "dtype": "float32", "device": device}
    parity(encoder(layers, norm, **options), SRC, **how)
    parity(decoder(layers, norm, **options), TGT, MEMORY, **how)


def test_no_word_of_a_causal_mask_is_false():
    for stack, inputs, name in (
        (encoder()(nn), (SRC,), "is_causal"),
        (decoder()(nn), (TGT, MEMORY), "tgt_is_causal"),
    ):
        first = stack.layers[0]
        with mock.patch.object(first, "forward", wraps=first.forward) as forward:
            stack.forward(*(x.astype(np.float32) for x in inputs))
        assert forward.call_args.kwargs[name] is False


@pytest.mark.parametrize(
    ("layer", "inputs"), [("TransformerEncoderLayer", (SRC,)), ("TransformerDecoderLayer", (TGT, MEMORY))]
)
def test_the_first_norm_is_told_that_nobody_asks(layer, inputs):
    """Its gradient for the input, a third of its work, is not computed to be thrown away."""
    one = getattr(nn, layer)(8, 2, 5, norm_first=True)
    y, saved = one.forward(*(x.astype(np.float32) for x in inputs))
    with mock.patch.object(one.norm1, "backward", wraps=one.norm1.backward) as backward:
        for asked in (True, False):
            one.backward(y, saved, input_grad=asked)
            assert backward.call_args.kwargs == {"input_grad": asked}


def test_to_the_last_digit(device):
    parity(encoder(size=6, dropout=0.3), normal(2, 3, 6), device=device)
    parity(decoder(size=4, norm_first=True, dropout=0.3), normal(1, 3, 4), normal(2, 3, 4), device=device)


@pytest.mark.parametrize(
    "masks",
    [
        {"mask": CAUSAL3},
        {"mask": CAUSAL3, "is_causal": True},
        {"mask": CAUSAL3 < 0, "is_causal": False},
        {"src_key_padding_mask": PADDING},
        {"mask": CAUSAL3, "src_key_padding_mask": np.where(PADDING, -np.inf, 0)},
    ],
    ids=list,
)
def test_encoder_masks(masks):
    parity(encoder(), SRC, dtype="float32", **masks)


@pytest.mark.parametrize(
    "masks",
    [
        {"tgt_mask": CAUSAL2},
        {"tgt_mask": CAUSAL2, "tgt_is_causal": True},
        {"tgt_mask": CAUSAL2 < 0, "tgt_key_padding_mask": np.zeros((4, 2), bool)},
        {"memory_mask": CAUSAL3[:2] < 0, "memory_is_causal": True},
        {"memory_mask": normal(2, 3), "memory_key_padding_mask": np.where(PADDING, -np.inf, 0)},
        {"tgt_key_padding_mask": normal(4, 2), "memory_key_padding_mask": PADDING},
    ],
    ids=list,
)
def test_decoder_masks(masks):
    parity(decoder(), TGT, MEMORY, dtype="float32", **masks)


@pytest.mark.parametrize("build", [encoder(3, dropout=0.5), decoder(3, dropout=0.5)], ids=["encoder", "decoder"])
def test_copies_start_alike_and_draw_apart(build):
    """Parameters are copied, each its own; the generator is not, or every layer would draw the same masks."""
    stack = build(nn)
    first, *others = stack.layers
    for other in others:
        for (name, p), q in zip(first.named_parameters(), other.parameters(), strict=True):
            assert np.array_equal(p.data, q.data), name
            assert p.data is not q.data
            assert p is not q
    drawing = [part for _, part in stack.named_modules() if hasattr(part, "generator")]
    assert len(drawing) == 3 * len([part for _, part in first.named_modules() if hasattr(part, "generator")])
    assert len({id(part.generator) for part in drawing}) == 1
    inputs = [x.astype(np.float32) for x in ((SRC,) if isinstance(stack, nn.TransformerEncoder) else (TGT, MEMORY))]
    _, (saved, _) = stack.forward(*inputs)
    masks = [layer_saved[0][1] for layer_saved in saved]  # of dropout1
    assert not np.array_equal(masks[0], masks[1])


def test_the_layer_that_is_given_is_left_alone():
    layer = nn.TransformerEncoderLayer(4, 2, 5)
    stack = nn.TransformerEncoder(layer, 2)
    assert all(each is not layer for each in stack.layers)
    assert stack.norm is None
    assert stack.num_layers == 2


def test_the_memory_is_read_by_every_layer():
    """Its gradient is the sum of theirs."""
    stack, g = decoder(2, norm=False)(nn).double(), normal(2, 4, 8, seed=5)
    _, saved = stack.forward(TGT, MEMORY)
    _, grad_memory = stack.backward(g, saved)
    first, second = stack.layers
    grad, grad_second = second.backward(g, saved[0][1])
    _, grad_first = first.backward(grad, saved[0][0])
    np.testing.assert_allclose(grad_memory, grad_first + grad_second, rtol=1e-13)
    assert np.abs(grad_first).max() > 1e-3
    assert np.abs(grad_second).max() > 1e-3


@pytest.mark.cpu_only("which path torch takes depends on the device")
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("masks", [{}, {"mask": CAUSAL3}, {"src_key_padding_mask": PADDING}], ids=list)
def test_torchs_fast_path_gives_the_same(masks):
    """In evaluation without gradients; where torch skips padding, it leaves the norm of 0 there, and we do not."""

    def build(nn):
        return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 5, batch_first=True), 2, nn.LayerNorm(8))

    hand, theirs = build(nn).eval(), build(torch.nn).eval()
    theirs.load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    x = SRC.swapaxes(0, 1).astype(np.float32)
    with torch.no_grad():
        y_t = theirs(torch.tensor(x), **{name: torch.tensor(mask) for name, mask in masks.items()}).cpu().numpy()
    y = hand(x, **masks)
    there = ~masks.get("src_key_padding_mask", np.zeros((4, 3), bool))
    np.testing.assert_allclose(y[there], y_t[there], rtol=1e-4, atol=1e-5)
    assert not y_t[~there].any()
    assert (np.abs(y[~there]).sum(-1) > 0.1).all()


@pytest.mark.parametrize("number", [0, -1])
def test_bad_numbers_of_layers(number):
    with pytest.raises(ValueError, match=f"TransformerEncoder: num_layers is 1 or above, not {number}"):
        encoder(number)(nn)
    with pytest.raises(ValueError, match=f"TransformerDecoder: num_layers is 1 or above, not {number}"):
        decoder(number)(nn)
    with pytest.raises(IndexError):
        encoder(number)(torch.nn)(torch.tensor(SRC))


def test_the_layers_are_a_list():
    assert type(encoder()(nn).layers) is type(decoder()(nn).layers) is nn.ModuleList
