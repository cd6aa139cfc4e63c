"""MLP against its twin, for any layer sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manual.networks as by_hand
import torch_impl.networks as with_autograd
from parity_tests.parity import check_module, normal


@pytest.mark.parametrize("sizes", [(1, 1), (2, 2, 1), (5, 4, 3), (3, 7, 2, 6, 4), (1, 9, 1)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("logits", [True, False])
def test_mlp(sizes, bias, logits, dtype, device):
    twins = [networks.MLP(sizes, bias, logits=logits) for networks in (by_hand, with_autograd)]
    check_module(*twins, normal(4, sizes[0]), dtype=dtype, device=device)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=5), st.integers(1, 5), st.integers(0, 999))
def test_any_sizes(sizes, samples, seed):
    twins = [networks.MLP(sizes) for networks in (by_hand, with_autograd)]
    check_module(*twins, normal(samples, sizes[0], seed=seed), seed=seed)


def test_state_dict_keys_are_torchs():
    hand, theirs = by_hand.MLP((3, 4, 2)), with_autograd.MLP((3, 4, 2))
    assert {name: value.shape for name, value in hand.state_dict().items()} == {
        name: tuple(value.shape) for name, value in theirs.state_dict().items()
    }


def test_a_network_needs_two_sizes():
    for networks in (by_hand, with_autograd):
        with pytest.raises(ValueError, match="two sizes"):
            networks.MLP((3,))


def test_default_dtype_is_float32():
    assert by_hand.MLP((3, 2)).state_dict()["0.weight"].dtype == np.float32
