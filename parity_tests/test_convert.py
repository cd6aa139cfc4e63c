"""from_torch and to_torch: every class there and back, with its options, weights and modes."""

import numpy as np
import pytest
import torch
from torch import nn

import handgrad
import manual.nn
from manual.module import Module

# One of each class, with options that are not the default.
MODULES = [
    nn.Linear(3, 2, bias=False),
    nn.Bilinear(2, 3, 4),
    nn.Identity(),
    nn.Flatten(0, 1),
    nn.Unflatten(1, (2, 3)),
    nn.Embedding(5, 3, padding_idx=1),
    nn.Dropout(0.3),
    *(nn.Conv1d(4, 6, 3, 2, 1, 1, 2), nn.Conv2d(2, 3, (3, 2), bias=False), nn.Conv3d(1, 2, 2, padding_mode="circular")),
    *(nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2), nn.ConvTranspose2d(2, 3, 3), nn.ConvTranspose3d(1, 2, 2, bias=False)),
    *(nn.MaxPool1d(3, 2), nn.MaxPool2d(2, ceil_mode=True), nn.MaxPool3d(2, padding=1)),
    *(nn.AvgPool1d(3, 2), nn.AvgPool2d(2, count_include_pad=False), nn.AvgPool3d(2, divisor_override=3)),
    *(nn.AdaptiveAvgPool1d(3), nn.AdaptiveAvgPool2d((None, 2)), nn.AdaptiveAvgPool3d(2)),
    *(nn.AdaptiveMaxPool1d(3), nn.AdaptiveMaxPool2d((None, 2)), nn.AdaptiveMaxPool3d(2)),
    *(nn.ConstantPad1d(2, 1.5), nn.ConstantPad2d((1, 0, 2, 1), -1.0), nn.ConstantPad3d(1, 0.5)),
    *(nn.ZeroPad1d(2), nn.ZeroPad2d((1, 0, 2, 1)), nn.ZeroPad3d(1)),
    *(nn.ReflectionPad1d(2), nn.ReflectionPad2d((1, 0, 2, 1)), nn.ReflectionPad3d(1)),
    *(nn.ReplicationPad1d(2), nn.ReplicationPad2d((1, 0, 2, 1)), nn.ReplicationPad3d(1)),
    *(nn.CircularPad1d(2), nn.CircularPad2d((1, 0, 2, 1)), nn.CircularPad3d(1)),
    *(nn.BatchNorm1d(3), nn.BatchNorm2d(3, momentum=None), nn.BatchNorm3d(3, affine=False)),
    *(nn.InstanceNorm1d(3), nn.InstanceNorm2d(3, affine=True), nn.InstanceNorm3d(3, track_running_stats=True)),
    *(nn.LayerNorm((2, 3), eps=1e-3), nn.LayerNorm(3, bias=False), nn.LayerNorm(3, elementwise_affine=False)),
    *(nn.GroupNorm(2, 4), nn.RMSNorm(4), nn.RMSNorm(4, eps=1e-3), nn.LocalResponseNorm(3, alpha=0.1)),
    *(nn.RNN(2, 3, nonlinearity="relu"), nn.GRU(2, 3, 2, bias=False, dropout=0.2), nn.LSTM(2, 3, bidirectional=True)),
    *(nn.RNNCell(2, 3, nonlinearity="relu"), nn.GRUCell(2, 3, bias=False), nn.LSTMCell(2, 3)),
    *(
        nn.ReLU(),
        nn.ReLU(inplace=True),
        nn.RReLU(0.1, 0.2),
        nn.LeakyReLU(0.2),
        nn.PReLU(3),
        nn.ELU(0.7),
        nn.CELU(0.7),
        nn.SELU(),
    ),
    *(
        nn.GELU(),
        nn.GELU("tanh"),
        nn.SiLU(),
        nn.Softplus(2.0, 3.0),
        nn.Mish(),
        nn.LogSigmoid(),
        nn.Sigmoid(),
        nn.Tanh(),
    ),
    *(nn.Softmax(1), nn.LogSoftmax(-1), nn.Softmin(0), nn.Softmax2d(), nn.GLU(0), nn.ReLU6(), nn.Hardtanh(-2.0, 3.0)),
    *(nn.Hardsigmoid(), nn.Hardswish(), nn.Hardshrink(0.3), nn.Softshrink(0.3), nn.Softsign(), nn.Tanhshrink()),
    nn.Threshold(0.3, -2.0),
    *(nn.MSELoss(reduction="sum"), nn.L1Loss(), nn.SmoothL1Loss(beta=0.5), nn.HuberLoss(delta=0.5)),
    *(nn.BCELoss(torch.rand(3)), nn.BCEWithLogitsLoss(pos_weight=torch.rand(3)), nn.KLDivLoss(log_target=True)),
    *(nn.CrossEntropyLoss(torch.rand(3), ignore_index=1, label_smoothing=0.1), nn.NLLLoss(torch.rand(3))),
    *(nn.HingeEmbeddingLoss(0.5), nn.MultiMarginLoss(p=2), nn.MarginRankingLoss(0.5), nn.SoftMarginLoss()),
    *(nn.CosineEmbeddingLoss(0.5), nn.GaussianNLLLoss(full=True), nn.PoissonNLLLoss(log_input=False)),
    *(nn.MultiLabelMarginLoss(), nn.MultiLabelSoftMarginLoss(torch.rand(3)), nn.TripletMarginLoss(2.0, p=1.0)),
    *(nn.MultiheadAttention(4, 2, kdim=3, vdim=5), nn.MultiheadAttention(4, 2, bias=False, batch_first=True)),
    *(nn.TransformerEncoderLayer(4, 2, 5, 0.2, "gelu"), nn.TransformerDecoderLayer(4, 2, 5, norm_first=True)),
    nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 5), 2, nn.LayerNorm(4), enable_nested_tensor=False),
    nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 5, bias=False), 2),
    nn.Transformer(4, 2, 1, 2, 5, activation="gelu", layer_norm_eps=1e-3, batch_first=True),
    nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 2))),
    nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 2)]),
]


def options(module):
    """Return what a module was built with, as far as both sides keep it under one name."""
    plain = (bool, int, float, str, tuple)
    return {k: v for k, v in vars(module).items() if isinstance(v, plain) and not k.startswith("_") and k != "inplace"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: repr(module).split("\n")[0][:60])
def test_there_and_back(module):
    hand = handgrad.from_torch(module)
    assert type(hand) is getattr(manual.nn, type(module).__name__)
    back = handgrad.to_torch(hand)
    assert type(back) is type(module)
    assert options(back) == options(module)
    mine, theirs = hand.state_dict(), module.state_dict()
    assert list(mine) == list(theirs) == list(back.state_dict())
    for name, value in theirs.items():
        assert np.array_equal(mine[name], value.cpu().numpy()), name
        assert torch.equal(back.state_dict()[name], value), name


def test_every_class_is_among_them():
    both = {name for name in vars(manual.nn) if isinstance(getattr(torch.nn, name, None), type)}
    assert both - {"Module", "Parameter"} == {type(module).__name__ for module in MODULES}


def network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
def test_the_twin_computes_the_same(dtype, training):
    theirs = network().to(dtype).train(training)
    hand = handgrad.from_torch(theirs)
    x = torch.randn(3, 1, 4, 4, dtype=dtype, requires_grad=True)
    y, saved = hand.forward(x.detach().cpu().numpy())
    upstream = np.random.default_rng(0).normal(size=y.shape).astype(y.dtype)
    grad = hand.backward(upstream, saved)
    theirs(x).backward(torch.tensor(upstream))
    tolerance = 2e3 * torch.finfo(dtype).eps  # batch norm divides by a small spread
    np.testing.assert_allclose(grad, x.grad.cpu().numpy(), rtol=tolerance, atol=tolerance)
    for (name, p), q in zip(hand.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.cpu().numpy(), rtol=tolerance, atol=tolerance, err_msg=name)
    for (name, p), q in zip(hand.named_buffers(), theirs.buffers(), strict=True):
        np.testing.assert_allclose(p, q.cpu().numpy(), rtol=tolerance, err_msg=name)


def test_no_memory_is_shared():
    theirs = nn.Linear(3, 2)
    hand = handgrad.from_torch(theirs)
    hand.weight.data[:] = 7
    assert not (theirs.weight == 7).any()
    back = handgrad.to_torch(hand)
    hand.weight.data[:] = 8
    assert (back.weight == 7).all()


def test_modes_are_kept_part_by_part():
    theirs = network().train()
    theirs[1].eval()
    hand = handgrad.from_torch(theirs)
    assert [module.training for module in hand] == [True, False, True, True, True, True]
    assert [module.training for module in handgrad.to_torch(hand)] == [True, False, True, True, True, True]


def test_what_is_shared_stays_shared():
    layer, table = nn.Linear(3, 3), nn.Embedding(4, 3)
    head = nn.Linear(3, 4, bias=False)
    head.weight = table.weight
    theirs = nn.Sequential(table, layer, nn.Tanh(), layer, head)
    hand = handgrad.from_torch(theirs)
    assert hand[1] is hand[3]
    assert hand[0].weight is hand[4].weight
    back = handgrad.to_torch(hand)
    assert back[1] is back[3]
    assert back[0].weight is back[4].weight
    assert len(list(back.parameters())) == len(list(hand.parameters())) == len(list(theirs.parameters()))


def test_names_of_a_sequential_are_kept():
    theirs = nn.Sequential()
    theirs.add_module("first", nn.Linear(2, 3))
    theirs.add_module("then", nn.Tanh())
    assert list(handgrad.from_torch(theirs).state_dict()) == ["first.weight", "first.bias"]
    assert list(handgrad.to_torch(handgrad.from_torch(theirs)).state_dict()) == ["first.weight", "first.bias"]


class Own(nn.Module):
    def forward(self, x):
        return x


class OwnSequential(nn.Sequential):
    """Keeps Sequential's forward."""


class Backwards(nn.Sequential):
    def forward(self, x):
        for module in reversed(self):
            x = module(x)
        return x


def test_every_submodule_without_a_twin_is_named():
    theirs = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Own(), nn.PixelShuffle(2)), Backwards(nn.Tanh()))
    with pytest.raises(NotImplementedError, match=r"no twin of 1\.0 \(Own\), 1\.1 \(PixelShuffle\), 2 \(Backwards\)"):
        handgrad.from_torch(theirs)
    with pytest.raises(NotImplementedError, match=r"the module itself \(Own\)"):
        handgrad.from_torch(Own())
    assert isinstance(handgrad.from_torch(OwnSequential(nn.Tanh())), manual.nn.Sequential)

    class OwnByHand(Module):
        pass

    with pytest.raises(NotImplementedError, match=r"the module itself \(OwnByHand\)"):
        handgrad.to_torch(OwnByHand())


class Halved(nn.Linear):
    def forward(self, x):
        return super().forward(x) / 2


class Called(nn.Sequential):
    def __call__(self, x):
        return 2 * super().__call__(x)


def test_what_computes_otherwise_than_its_class_is_refused():
    """Each of these gives other numbers than a twin that is built from the whole's arguments."""
    hooked = nn.Sequential(nn.Linear(2, 2))
    hooked[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    instance = nn.Linear(2, 2)
    instance.forward = lambda x: x
    layer, stack = nn.TransformerEncoderLayer(4, 2, 5), nn.TransformerEncoder
    inside = nn.TransformerEncoderLayer(4, 2, 5)
    inside.linear1 = Halved(4, 5)
    norms = nn.TransformerEncoderLayer(4, 2, 5)
    norms.norm2.eps = 0.1
    dropped = nn.TransformerEncoderLayer(4, 2, 5)
    dropped.self_attn.dropout = 0.7
    uneven = stack(layer, 2, enable_nested_tensor=False)
    uneven.layers[1].norm1.eps = 0.1
    mixed = stack(layer, 2, enable_nested_tensor=False)
    mixed.layers[1].activation = torch.nn.functional.gelu
    extra = nn.Linear(2, 2)
    extra.register_buffer("more", torch.zeros(2))
    for module, says in [
        (hooked, r"0 \(Linear with a hook\)"),
        (instance, r"the module itself \(Linear\)"),
        (Called(nn.Tanh()), r"the module itself \(Called\)"),
        (inside, r"linear1 \(Halved\)"),
        (norms, r"norm2 \(LayerNorm\)"),
        (dropped, r"self_attn \(MultiheadAttention\)"),
        (uneven, r"layers\.1\.norm1 \(LayerNorm\)"),
        (mixed, r"layers\.1 \(TransformerEncoderLayer\)"),
        (extra, "more"),
    ]:
        with pytest.raises(NotImplementedError, match=says):
            handgrad.from_torch(module)


def test_an_option_that_is_not_written_by_hand_is_named():
    with pytest.raises(NotImplementedError, match="max_norm"):
        handgrad.from_torch(nn.Embedding(3, 2, max_norm=1.0))


def test_other_dtypes():
    with pytest.raises(NotImplementedError, match=r"NumPy has no torch\.bfloat16; call \.float\(\)"):
        handgrad.from_torch(nn.Linear(2, 2).bfloat16())
    mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    with pytest.raises(NotImplementedError, match="convert it to one dtype"):
        handgrad.from_torch(mixed)
    with pytest.raises(NotImplementedError, match="torch has no"):
        handgrad.to_torch(manual.nn.Linear(2, 2).to(np.longdouble))


@pytest.mark.parametrize("turn", [handgrad.from_torch, handgrad.to_torch])
def test_what_is_no_module(turn):
    with pytest.raises(TypeError, match="not list"):
        turn([1])
