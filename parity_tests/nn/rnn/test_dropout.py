"""Dropout between the layers: masks that both sides are given, where they come from, and when there are none.

torch's RNN, LSTM and GRU draw their masks inside one fused operation. `with_masks` runs them layer by layer instead,
on the same parameters, with torch.nn.functional.dropout between, whose masks the tests share.
"""

import copy
from unittest import mock

import numpy as np
import pytest
import torch

from manual import nn
from parity_tests.nn.rnn.cases import check, check_module, half_normal

NAMES = ["RNN", "LSTM", "GRU"]
names = pytest.mark.parametrize("name", NAMES)


def with_masks(cls):
    class WithMasks(cls):
        def forward(self, input, hx=None):
            directions = 2 if self.bidirectional else 1
            x = input.transpose(0, 1) if self.batch_first else input
            parts = None if hx is None else hx if isinstance(hx, tuple) else (hx,)
            last = []
            for layer in range(self.num_layers):
                if layer:
                    x = torch.nn.functional.dropout(x, self.dropout, self.training)
                single = cls(x.shape[-1], self.hidden_size, bias=self.bias, bidirectional=self.bidirectional)
                own = {
                    name.replace(f"_l{layer}", "_l0"): p for name, p in self.named_parameters() if f"_l{layer}" in name
                }
                part = slice(layer * directions, (layer + 1) * directions)
                state = None if parts is None else tuple(p[part] for p in parts)
                state = state[0] if state and not isinstance(hx, tuple) else state
                x, h_n = torch.func.functional_call(single, own, (x, state))
                last.append(h_n if isinstance(h_n, tuple) else (h_n,))
            h_n = tuple(torch.cat(p) for p in zip(*last, strict=True))
            return x.transpose(0, 1) if self.batch_first else x, h_n if len(h_n) > 1 else h_n[0]

    return WithMasks


@names
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
@pytest.mark.parametrize(("num_layers", "p"), [(2, 0.3), (3, 0.4), (2, 1.0), (2, 0.0)])
def test_the_masks_between_the_layers(name, bidirectional, batch_first, num_layers, p, dtype, device):
    options = {"num_layers": num_layers, "dropout": p, "bidirectional": bidirectional, "batch_first": batch_first}
    h = half_normal(num_layers * (2 if bidirectional else 1), 3, 2)
    check_module(
        getattr(nn, name)(2, 2, **options),
        with_masks(getattr(torch.nn, name))(2, 2, **options),
        half_normal(3, 2, 2) if batch_first else half_normal(2, 3, 2),
        (h, h[::-1].copy()) if name == "LSTM" else h,
        dtype=dtype,
        device=device,
    )


@names
@pytest.mark.parametrize("training", [True, False])
def test_all_dropped_or_evaluation(name, training, dtype, device):
    """torch's own modules: what p = 1 leaves in training, and dropout in evaluation, which is none."""
    p = 1.0 if training else 0.5
    build = lambda nn: getattr(nn, name)(5, 2, 2, dropout=p)  # noqa: E731
    check(build, half_normal(4, 3, 5), training=training, dtype=dtype, device=device)


@names
def test_what_a_mask_is(name):
    """0 with probability p, else 1 / (1 - p), drawn layer by layer with time first, also for a batch-first input."""
    layer = getattr(nn, name)(5, 2, 3, batch_first=True, bidirectional=True, dropout=0.25)
    layer.generator = np.random.default_rng(3)
    _, saved = layer.forward(half_normal(40, 30, 5).astype(np.float32))
    random = np.random.default_rng(3)
    assert saved.layers[0].mask is None
    for one in saved.layers[1:]:
        assert one.mask.dtype == np.float32
        assert np.array_equal(one.mask, (random.random((30, 40, 4)) >= 0.25) / np.float32(0.75))
        assert (one.mask == 0).mean() == pytest.approx(0.25, abs=0.02)


def test_a_number_that_is_p_keeps():
    """As in Dropout: numbers are drawn from [0, 1), and those below p have probability p."""
    layer = nn.GRU(5, 2, 2, dropout=0.25)
    layer.generator = mock.Mock(random=lambda shape: np.full(shape, 0.25))
    _, saved = layer.forward(half_normal(4, 3, 5).astype(np.float32))
    assert (saved.layers[1].mask == np.float32(1) / np.float32(0.75)).all()


@names
def test_no_batch_axis_draws_as_a_batch_of_one(name):
    layer = getattr(nn, name)(5, 2, 2, dropout=0.5, generator=np.random.default_rng(4))
    x = half_normal(6, 5).astype(np.float32)
    first, second = copy.deepcopy(layer), copy.deepcopy(layer)
    assert np.array_equal(first(x)[0], second(x[:, np.newaxis])[0][:, 0])


@names
@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_nothing_is_drawn_where_nothing_drops(name, p, training):
    layer = getattr(nn, name)(5, 2, 2, dropout=p).train(training)
    before = copy.deepcopy(layer.generator.bit_generator.state)
    _, saved = layer.forward(half_normal(4, 3, 5).astype(np.float32))
    assert layer.generator.bit_generator.state == before
    assert saved.layers[1].mask is None


@names
@pytest.mark.parametrize("layers", [1, 2])
def test_dropout_between_layers_wants_two(name, layers, recwarn):
    """A warning as torch's, at the line that makes the layer; the masks are none with one layer."""
    for side in (nn, torch.nn):
        layer = getattr(side, name)(5, 2, layers, dropout=0.5)
        getattr(side, name)(5, 2, layers)
    if layers == 2:
        assert not recwarn
        return
    ours, theirs = list(recwarn)
    assert ours.category is theirs.category is UserWarning
    assert f"{name}: dropout=0.5 acts between layers" in str(ours.message)
    assert ours.filename == __file__
    assert layer.dropout == 0.5
