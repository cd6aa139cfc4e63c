"""GPT against its twin: blocks, ties, positions."""

import numpy as np
import pytest
import torch

import manual.networks as by_hand
import manual.networks.gpt
import torch_impl.networks as with_autograd
import torch_impl.networks.gpt
from parity_tests.parity import check_module, integers, load, normal

SIZES = {"vocabulary": 5, "block_size": 6, "n_embd": 4, "n_head": 2, "n_layer": 2}


def twins(**changes):
    return [networks.GPT(**(SIZES | changes)) for networks in (by_hand, with_autograd)]


@pytest.mark.parametrize(
    "changes", [{}, {"n_head": 1, "n_layer": 1}, {"n_layer": 0}, {"n_embd": 6, "n_head": 3}], ids=str
)
@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (2, 6)], ids=str)
def test_gpt(shape, changes, device):
    """In float32, where the truth is autograd in float64; parameters of size 1 would saturate every softmax."""
    check_module(*twins(**changes), integers(*shape, below=5), dtype="float32", device=device, spread=0.3)


def test_gpt_in_float64(device):
    """Held against a complex step of the forward, entry by entry."""
    check_module(*twins(n_layer=1, vocabulary=3), integers(2, 3, below=3), dtype="float64", device=device, spread=0.3)


@pytest.mark.parametrize(("part", "heads"), [("MLP", []), ("Block", [2])])
def test_a_part_alone(part, heads, device):
    """Unlike the whole, it has an input with a gradient."""
    hand = getattr(manual.networks.gpt, part)(4, *heads, dtype=np.float32)
    theirs = getattr(torch_impl.networks.gpt, part)(4, *heads, dtype=torch.float32)
    check_module(hand, theirs, normal(2, 3, 4), dtype="float32", device=device, spread=0.3)


def test_scores_that_overflow_take_nothing():
    """Where every score of a query is -inf, it takes 0, as in torch without weights; with them all would be NaN."""
    hand, theirs = twins(n_layer=1)
    state = {name: (100 * value if value.ndim > 1 else value) for name, value in hand.state_dict().items()}
    state["h.0.attn.in_proj_bias"] = np.repeat([1e25, -1e25, 0.5], 4)  # of queries, keys and values
    load(hand, theirs, state, "float32")
    tokens, upstream = integers(2, 3, below=5), normal(2, 3, 5).astype(np.float32)
    logits, saved = hand.forward(tokens)
    hand.backward(upstream, saved)
    expected = theirs(torch.tensor(tokens))
    expected.backward(torch.tensor(upstream))
    np.testing.assert_allclose(logits, expected.detach().cpu().numpy(), rtol=1e-5, atol=1e-5)
    gradients = {name: parameter.grad.cpu().numpy() for name, parameter in theirs.named_parameters()}
    for name, parameter in hand.named_parameters():
        np.testing.assert_allclose(parameter.grad, gradients[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_the_table_is_one_with_the_head():
    hand, theirs = twins()
    assert hand.lm_head.weight is hand.wte.weight
    assert list(hand.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in hand.named_parameters()] == [name for name, _ in theirs.named_parameters()]


def test_both_uses_of_the_table_add_up():
    """The rows of tokens that are not read have the head's part alone, and it is not zero."""
    hand, _ = twins()
    tokens = np.zeros((2, 3), dtype=np.int64)
    logits, saved = hand.forward(tokens)
    hand.backward(normal(*logits.shape).astype(np.float32), saved)
    assert (np.abs(hand.wte.weight.grad).sum(axis=1) > 0).all()


def test_what_comes_later_changes_nothing_before():
    hand, _ = twins()
    tokens = integers(3, 6, below=5)
    changed = tokens.copy()
    changed[:, 4:] = (changed[:, 4:] + 1) % 5
    assert np.array_equal(hand(tokens)[:, :4], hand(changed)[:, :4])
    assert not np.array_equal(hand(tokens)[:, 4:], hand(changed)[:, 4:])


def test_initial_weights_are_gpt_2s():
    hand = by_hand.GPT(**(SIZES | {"n_embd": 64, "vocabulary": 50}), generator=np.random.default_rng(0))
    for name, parameter in hand.named_parameters():
        if name.endswith("bias"):
            assert (parameter.data == 0).all(), name
        elif parameter.data.ndim == 1:
            assert (parameter.data == 1).all(), name
        elif parameter.data.size > 1000:
            assert parameter.data.std() == pytest.approx(0.02, rel=0.05), name


def test_a_seed_means_the_same_weights_for_good():
    hand = by_hand.GPT(**SIZES, dtype=np.float64, generator=np.random.default_rng(3))
    generator = np.random.default_rng(3)
    for name, parameter in hand.named_parameters():
        if parameter.data.ndim > 1:
            assert np.array_equal(parameter.data, generator.normal(0.0, 0.02, parameter.shape)), name


def test_the_keys_bias_has_no_gradient_but_rounding():
    """softmax does not notice what all scores of a row share, and q . b_k is the same for every key."""
    hand, _ = twins(n_layer=1)
    hand.double()
    for name, parameter in hand.named_parameters():
        parameter.data = normal(*parameter.shape, seed=len(name))
    logits, saved = hand.forward(integers(3, 6, below=5))
    hand.backward(normal(*logits.shape), saved)
    query, key, value = np.split(np.abs(hand.h[0].attn.in_proj_bias.grad), 3)
    assert key.max() < 1e-13 * query.max()
    assert value.max() > 1e-3 * query.max()
