"""CharRNN against its twin, with every cell."""

import numpy as np
import pytest

import manual.networks as by_hand
import torch_impl.networks as with_autograd
from parity_tests.parity import check_module, integers


def twins(cell, vocabulary=5, embedding_dim=3, hidden_size=4):
    return [networks.CharRNN(vocabulary, embedding_dim, hidden_size, cell) for networks in (by_hand, with_autograd)]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (2, 7)], ids=str)
def test_char_rnn(cell, shape, dtype, device):
    """Tokens repeat in a row, so that rows of the table are met more than once."""
    check_module(*twins(cell), integers(*shape, below=5), dtype=dtype, device=device)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_state_dict_keys_are_torchs(cell):
    hand, theirs = twins(cell)
    assert {k: v.shape for k, v in hand.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }


def test_what_comes_later_changes_nothing_before():
    hand, _ = twins("gru")
    tokens = integers(3, 6, below=5)
    changed = tokens.copy()
    changed[:, 4:] = (changed[:, 4:] + 1) % 5
    assert np.array_equal(hand(tokens)[:, :4], hand(changed)[:, :4])
    assert not np.array_equal(hand(tokens)[:, 4:], hand(changed)[:, 4:])


def test_no_such_cell():
    for networks in (by_hand, with_autograd):
        with pytest.raises(ValueError, match="'elman'; use one of rnn, gru, lstm"):
            networks.CharRNN(5, 3, 4, "elman")
