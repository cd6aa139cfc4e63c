"""Transformer against torch: encoder and decoder together."""

from functools import partial

import numpy as np
import pytest
import torch

from manual import nn
from parity_tests.parity import check, check_refused, normal

# torch warns where padding cannot be skipped, which is so unless batch_first is set.
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")

# With parameters of size 1 every softmax is saturated, and what is left of the gradients is rounding on both sides.
parity = partial(check, spread=0.3)
SRC, TGT = normal(3, 4, 8), normal(2, 4, 8, seed=1)
CAUSAL3, CAUSAL2 = (nn.Transformer.generate_square_subsequent_mask(n) for n in (3, 2))
PADDING3 = np.array([[False, False, True], [False] * 3, [False, True, True], [False] * 3])
PADDING2 = np.array([[False, True], [False] * 2, [False] * 2, [False, True]])


def transformer(features=8, **options):
    """2 heads, a layer on either side, 5 units; without dropout unless it is asked for."""
    sizes = {"num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 5, "dropout": 0.0}
    return lambda nn: nn.Transformer(features, 2, **sizes | options)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm_first": True},
        {"bias": False},
        {"dropout": 0.3},
        {"activation": "gelu"},
        {"layer_norm_eps": 0.2},
        {"num_encoder_layers": 2, "num_decoder_layers": 3},
        {"norm_first": True, "bias": False, "dropout": 0.3, "num_encoder_layers": 2, "num_decoder_layers": 2},
    ],
    ids=str,
)
def test_options(options, training, device):
    parity(transformer(**options), SRC, TGT, training=training, dtype="float32", device=device)


def test_to_the_last_digit(device):
    parity(transformer(4, dropout=0.3), normal(2, 3, 4), normal(1, 3, 4), device=device)


@pytest.mark.parametrize("samples", [(), (1,), (3,)])
@pytest.mark.parametrize("batch_first", [True, False])
def test_layouts(samples, batch_first):
    src, tgt = normal(3, *samples, 8), normal(2, *samples, 8)
    if batch_first and samples:
        src, tgt = src.swapaxes(0, 1), tgt.swapaxes(0, 1)
    parity(transformer(batch_first=batch_first), src, tgt, dtype="float32")


@pytest.mark.parametrize(
    "masks",
    [
        {"src_mask": CAUSAL3},
        {"tgt_mask": CAUSAL2},
        {"memory_mask": CAUSAL3[:2]},
        {"src_key_padding_mask": PADDING3},
        {"tgt_key_padding_mask": PADDING2},
        {"memory_key_padding_mask": PADDING3},
        {"src_mask": CAUSAL3, "src_is_causal": True},
        {"tgt_mask": CAUSAL2, "tgt_is_causal": True},
        {"tgt_mask": np.zeros((2, 2), bool), "tgt_is_causal": True},
        {"src_mask": np.zeros((3, 3), bool), "src_is_causal": True},
        {"memory_mask": np.zeros((2, 3), bool), "memory_is_causal": True},
        {"src_mask": CAUSAL3, "src_is_causal": False, "tgt_mask": CAUSAL2, "tgt_is_causal": False},
        {"src_key_padding_mask": PADDING3, "memory_key_padding_mask": PADDING3, "tgt_mask": CAUSAL2 < 0},
    ],
    ids=lambda masks: ", ".join(masks),
)
def test_masks(masks):
    parity(transformer(), SRC, TGT, dtype="float32", **masks)


def test_encoders_and_decoders_of_ones_own():
    def custom(nn):
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 1, 3, 0.0), 2)
        decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 4, 6, 0.0, norm_first=True), 1)
        return transformer(custom_encoder=encoder, custom_decoder=decoder)(nn)

    parity(custom, SRC, TGT, dtype="float32", tgt_mask=CAUSAL2)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 1, 3), 1)
    whole = transformer(custom_encoder=encoder)(nn)
    assert whole.encoder is encoder
    assert isinstance(whole.decoder, nn.TransformerDecoder)


@pytest.mark.parametrize("options", [{}, {"norm_first": True}])
def test_torchs_fast_path_gives_the_same(options):
    """In evaluation without gradients, torch runs fused kernels."""
    options = options | {"batch_first": True, "num_encoder_layers": 2}
    hand, theirs = transformer(**options)(nn).eval(), transformer(**options)(torch.nn).eval()
    theirs.load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    src, tgt = (x.swapaxes(0, 1).astype(np.float32) for x in (SRC, TGT))
    with torch.no_grad():
        y_t = theirs(torch.tensor(src), torch.tensor(tgt), tgt_mask=torch.tensor(CAUSAL2))
    np.testing.assert_allclose(hand(src, tgt, tgt_mask=CAUSAL2), y_t.cpu().numpy(), rtol=1e-4, atol=1e-5)


def test_all_matrices_are_drawn_anew():
    """By xavier_uniform_, in the order of parameters(): layers that were copies differ, custom ones are drawn too."""
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 5), 2, nn.LayerNorm(8))
    before = encoder.state_dict()
    hand = nn.Transformer(8, 2, 2, 2, 5, custom_encoder=encoder, dtype=np.float64, generator=np.random.default_rng(3))
    theirs = torch.nn.Transformer(8, 2, 2, 2, 5)
    assert list(hand.state_dict()) == list(theirs.state_dict())
    drawn = np.random.default_rng(3)
    nn.TransformerDecoderLayer(8, 2, 5, generator=drawn)  # what the layer drew before
    for name, parameter in hand.named_parameters():
        if parameter.data.ndim > 1:
            rows, columns = parameter.shape
            bound = np.sqrt(6 / (rows + columns))
            expected = drawn.uniform(-bound, bound, (rows, columns)).astype(parameter.dtype)
            np.testing.assert_allclose(parameter.data, expected, rtol=1e-6, err_msg=name)
    assert not np.array_equal(before["layers.0.linear1.weight"], encoder.layers[0].linear1.weight.data)
    first, second = hand.decoder.layers
    assert not np.array_equal(first.linear1.weight.data, second.linear1.weight.data)
    assert np.array_equal(first.linear1.bias.data, second.linear1.bias.data)
    assert first.linear1.weight.dtype == hand.decoder.norm.weight.dtype == np.float64
    assert {parameter.dtype for parameter in transformer(dtype=np.float64)(nn).parameters()} == {np.dtype("f8")}
    again = [transformer()(nn).encoder.layers[0].linear1.weight.data for _ in range(2)]
    assert not np.array_equal(*again), "a generator of its own"


def test_defaults():
    """torch's: 512 features, 8 heads, 6 and 6 layers, 2048 units; here of fewer features, to be quick."""
    hand, theirs = nn.Transformer(8), torch.nn.Transformer(8)
    assert [(k, v.shape) for k, v in hand.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    assert hand.nhead == hand.encoder.layers[0].self_attn.num_heads == theirs.nhead == 8
    assert {part.p for _, part in hand.named_modules() if isinstance(part, nn.Dropout)} == {0.1}
    assert {part.eps for _, part in hand.named_modules() if isinstance(part, nn.LayerNorm)} == {1e-5}
    assert hand.batch_first is theirs.batch_first is False
    assert hand.d_model == 8
    assert len({id(part.generator) for _, part in hand.named_modules() if hasattr(part, "generator")}) == 1


@pytest.mark.parametrize("sz", [0, 1, 4])
def test_the_causal_mask(sz):
    mask = nn.Transformer.generate_square_subsequent_mask(sz)
    assert mask.dtype == np.float32
    assert np.array_equal(mask, torch.nn.Transformer.generate_square_subsequent_mask(sz).cpu().numpy())
    for dtype in ("float64", "bool"):
        mask = nn.Transformer.generate_square_subsequent_mask(sz, dtype=np.dtype(dtype))
        theirs = torch.nn.Transformer.generate_square_subsequent_mask(sz, dtype=getattr(torch, dtype))
        assert mask.dtype == dtype
        assert np.array_equal(mask, theirs.cpu().numpy())
    with pytest.raises(NotImplementedError, match="device"):
        nn.Transformer.generate_square_subsequent_mask(sz, device="cpu")


def test_a_causal_transformer_does_not_look_ahead():
    """y[t] does not change with later targets, nor their gradient with y[t]."""
    hand = transformer(num_decoder_layers=2)(nn).double()
    tgt = normal(5, 4, 8)
    later = tgt.copy()
    later[2:] += normal(3, 4, 8, seed=3)
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=np.float64)
    y, saved = hand.forward(SRC, tgt, tgt_mask=mask)
    np.testing.assert_allclose(hand(SRC, later, tgt_mask=mask)[:2], y[:2], rtol=1e-12)
    g = normal(5, 4, 8, seed=4)
    g[2:] = 0
    _, grad_tgt = hand.backward(g, saved)
    assert not grad_tgt[2:].any()
    assert grad_tgt[:2].all()


@pytest.mark.parametrize(
    ("shapes", "options", "says"),
    [
        (((3, 3, 5), (2, 3, 4)), {}, r"of 4 features, but was given src \(3, 3, 5\)"),
        (((3, 3, 4), (2, 3, 5)), {}, r"of 4 features.*tgt \(2, 3, 5\)"),
        (((3, 3, 4), (2, 2, 4)), {}, r"as many samples"),
        (((3, 2, 4), (2, 2, 4)), {"batch_first": True}, r"as many samples"),
        (((3, 3, 4), (2, 4)), {}, r"three axes"),
        (((3, 4), (2, 3, 4)), {}, r"three axes"),
    ],
)
def test_refused_shapes(shapes, options, says):
    given = [normal(*shape) for shape in shapes]
    check_refused(transformer(4, **options), *given, error=ValueError, match=says)


def test_refused_arguments():
    with pytest.raises(NotImplementedError, match="device"):
        transformer(device="cpu")(nn)
    with pytest.raises(TypeError, match=r"Transformer \(src\) takes a numpy.ndarray, not list"):
        transformer()(nn).forward(SRC.tolist(), TGT)
    with pytest.raises(TypeError, match=r"Transformer \(tgt\) computes with floats, not int64"):
        transformer()(nn).forward(SRC.astype(np.float32), TGT.astype(int))
    for number in ("num_encoder_layers", "num_decoder_layers"):
        with pytest.raises(ValueError, match="num_layers is 1 or above, not 0"):
            transformer(**{number: 0})(nn)
