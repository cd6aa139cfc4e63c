"""Names and text that a network writes: the same on both sides, drawn as the probabilities say."""

import numpy as np
import pytest

import manual.networks as by_hand
import torch_impl.networks as with_autograd
from handgrad.data.names import ALPHABET, LENGTH
from handgrad.sampling import Writer

WRITER = Writer(tuple(ALPHABET), LENGTH, False)
sample = WRITER.names


def always(token):
    """Return a network that is sure of one token."""

    def logits(tokens):
        scores = np.zeros((*tokens.shape, len(ALPHABET)))
        scores[..., token] = 1e4
        return scores

    return logits


def test_a_name_ends_at_the_first_end():
    assert sample(always(0), 3, seed=0) == ["", "", ""]


def test_a_name_that_does_not_end_is_cut():
    assert sample(always(2), 2, seed=0) == ["b" * (LENGTH - 1)] * 2


def test_letters_come_as_often_as_their_probability_says():
    """8,000 first letters from p = (1/2, 1/4, 1/4); three standard deviations are 1.5 %."""
    p = np.zeros(27)
    p[[1, 5, 26]] = [0.5, 0.25, 0.25]
    with np.errstate(divide="ignore"):
        scores = np.log(p)
    first = [name[0] for name in sample(lambda tokens: np.broadcast_to(scores, (*tokens.shape, 27)), 8000, seed=3)]
    shares = [first.count(letter) / 8000 for letter in "aez"]
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.017)


def test_temperature():
    """Near 0 the likeliest letter each time; at temperature 2 the ratio of two letters is its square root."""
    scores = np.full(27, -1e9)
    scores[[1, 2]] = [np.log(9.0), 0.0]

    def logits(tokens):
        return np.broadcast_to(scores, (*tokens.shape, 27))

    assert set("".join(sample(logits, 50, seed=0, temperature=0.01))) == {"a"}
    letters = "".join(sample(logits, 2000, seed=0, temperature=2.0))
    assert letters.count("a") / letters.count("b") == pytest.approx(3, rel=0.1)


def test_logits_that_are_huge_do_not_overflow():
    assert sample(lambda tokens: 1e30 * always(3)(tokens), 1, seed=0) == ["c" * 11]


def test_the_network_sees_what_was_drawn_so_far():
    seen = []

    def logits(tokens):
        seen.append(tokens.copy())
        return always(1 + len(seen))(tokens)

    sample(logits, 2, seed=0)
    assert [tokens.shape for tokens in seen] == [(2, k) for k in range(1, LENGTH + 1)]
    assert seen[-1][0].tolist() == [0, *range(2, LENGTH + 1)]


def test_the_same_seed_the_same_names():
    def flat(tokens):
        return np.zeros((*tokens.shape, 27))

    assert sample(flat, 5, seed=1) == sample(flat, 5, seed=1)
    assert sample(flat, 5, seed=1) != sample(flat, 5, seed=2)
    assert sample(flat, 3, seed=1) == sample(flat, 5, seed=1)[:3], "a name depends on how many are asked for"


@pytest.mark.parametrize("build", [lambda n: n.CharRNN(27, 4, 6), lambda n: n.GPT(27, LENGTH, 8, 2, 1)])
def test_both_sides_write_the_same_names(build):
    import torch

    hand, theirs = build(by_hand), build(with_autograd)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    with torch.no_grad():
        other = sample(lambda tokens: theirs(torch.tensor(tokens)).cpu().numpy(), 20, seed=5)
    assert sample(hand, 20, seed=5) == other


# ---------------------------------------------------------------------- running text


CHARACTERS = ("\n", " ", "a", "b", "c")


def counting(seen):
    """Return a network that is sure of the next token, counted round and round; `seen` keeps what it was given."""

    def logits(tokens):
        seen.append(tokens.copy())
        return 1e4 * np.eye(5)[(tokens + 1) % 5]

    return logits


def test_text_has_the_length_asked_for_and_begins_behind_the_end_of_a_line():
    assert Writer(CHARACTERS, 3, False).text(counting([]), 2, 0, 7) == [" abc\n a"] * 2


def test_text_that_has_a_start():
    assert Writer(CHARACTERS, 3, False).text(counting([]), 1, 0, 4, "bcb") == ["bcbc\n a"]


def test_text_without_lines_or_spaces_begins_behind_another_character():
    scores = counting([])
    assert Writer(("x", " ", "a", "b", "c"), 3, False).text(scores, 1, 0, 3) == ["abc"]
    assert Writer(("x", "y", "a", "b", "c"), 3, False).text(scores, 1, 0, 3) == ["yab"]


def test_a_window_slides_over_the_text_where_the_network_has_one():
    for windowed, longest in ((True, 3), (False, 6)):
        seen = []
        Writer(CHARACTERS, 3, windowed).text(counting(seen), 1, 0, 6)
        assert max(tokens.shape[1] for tokens in seen) == longest
        assert seen[-1][0].tolist() == [0, 1, 2, 3, 4, 0][-longest:]


def test_a_start_that_is_longer_than_the_window():
    seen = []
    assert Writer(CHARACTERS, 3, True).text(counting(seen), 1, 0, 1, "abcabc") == ["abcabc\n"]
    assert seen[0].tolist() == [[2, 3, 4]]


def test_names_of_another_alphabet_end_as_well():
    writer = Writer(CHARACTERS, 4, True)
    assert writer.names(counting([]), 1, 0) == [" ab"]  # cut at the longest name of the training
    assert Writer(CHARACTERS, 6, True).names(counting([]), 1, 0) == [" abc"]  # and ended by its end
