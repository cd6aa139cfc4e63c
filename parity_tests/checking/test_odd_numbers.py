"""Odd numbers, handed in or handed back: infinities, zeros, other types; and whether what is said of them is true."""

import numpy as np
import pytest
import torch

from handgrad import check
from handgrad.errors import UsageError


def root(p, i):
    return torch.sqrt(i["x"] @ p["w"]).sum()


def root_by_hand(p, i):
    y = np.sqrt(i["x"] @ p["w"])
    with np.errstate(all="ignore"):
        return y.sum(), {"w": i["x"].T @ (0.5 / y)}


def test_infinities_and_nan_on_both_sides_are_no_mistake():
    """The root's slope at 0 is infinite on both sides, and 0 times it NaN."""
    found = check(root, root_by_hand, {"w": np.zeros(3)}, {"x": np.array([[1.0, 2, 0], [0.5, 3, 1], [1, 1, 1]])})
    assert found.ok, str(found)


def test_a_value_that_overflows_gets_no_invented_cause():
    def by_hand(p, i):
        loss, grads = root_by_hand(p, i)
        return loss * np.inf, grads

    found = check(root, by_hand, {"w": np.array([0.3, 0.2, 0.7])}, {"x": np.array([[1.0, 2, 1], [0.5, 3, 1]])})
    assert (found.first_wrong, found.causes) == ("loss", []), str(found)
    assert not any("gradients are" in fact for fact in found.facts), str(found)


def test_a_stub_is_not_told_that_its_gradients_are_right():
    found = check(root, lambda p, i: (0.0, {"w": np.zeros(3)}), {"w": np.ones(3)}, {"x": np.eye(3) + 0.2})
    assert found.first_wrong == "loss"
    assert not any("gradients are right" in fact for fact in found.facts), str(found)


def test_a_gradient_that_is_not_computed_holds_no_part_of_the_right_one():
    def by_hand(p, i):
        return root_by_hand(p, i)[0], {"w": np.zeros(3)}

    found = check(root, by_hand, {"w": np.ones(3)}, {"x": np.eye(3) + 0.2})
    assert "it is 0 everywhere" in found.facts
    assert not {"ACC-OVERWRITE", "NUM-INT-TRUNC"} & {c.id for c in found.causes}, str(found)


def test_facts_are_true():
    """No multiple where entries stand that should be 0; of many wrong rows the number of those not listed."""

    def theirs(p, i):
        return (torch.relu(i["x"] @ p["w"]) * i["up"]).sum(), {}

    x, w = np.random.default_rng(0).normal(size=(20, 3)), np.array([0.4, -1.0, 0.3])
    inputs = {"x": x, "up": np.random.default_rng(1).normal(size=20)}

    def by_hand(p, i):
        z = i["x"] @ p["w"]
        return (
            (np.maximum(z, 0) * i["up"]).sum(),
            {"w": i["x"].T @ (i["up"] * (z > 0))},
            {"dx": np.outer(i["up"], p["w"])},
        )

    found = check(theirs, by_hand, {"w": w}, inputs)
    assert not any("times" in fact for fact in found.facts), found.facts
    wrong = int((x @ w <= 0).sum())
    assert any(fact.endswith(f"and {wrong - 8} more are wrong") for fact in found.facts), found.facts


@pytest.mark.parametrize(
    "drawn", [({"w": [1.0, 2, 3]}, {"x": [[1.0, 2, 3]]}), ({"w": np.ones(3)}, {"x": [[1], [2, 3]]})]
)
def test_later_draws_are_looked_at_as_the_first(drawn):
    def make_inputs(rng):
        return drawn

    case = {"w": np.ones(3)}, {"x": np.ones((2, 3))}
    if isinstance(drawn[0]["w"], list):
        assert check(root, root_by_hand, *case, make_inputs).ok
    else:
        with pytest.raises(UsageError, match="is no array"):
            check(root, root_by_hand, *case, make_inputs)


def test_a_forward_that_torch_cannot_differentiate():
    def theirs(p, i):
        y = torch.tanh(i["x"] @ p["w"])
        y += 1
        return y.sum()

    with pytest.raises(UsageError, match="torch cannot differentiate this forward"):
        check(theirs, root_by_hand, {"w": np.ones(3)}, {"x": np.ones((2, 3))})


@pytest.mark.parametrize("kind", [bool, complex])
def test_gradients_that_are_no_floats(kind):
    def by_hand(p, i):
        loss, grads = root_by_hand(p, i)
        return loss, {"w": grads["w"].astype(kind)}

    with pytest.raises(UsageError, match="return floats"):
        check(root, by_hand, {"w": np.ones(3)}, {"x": np.ones((2, 3))})


def test_numbers_of_another_byte_order():
    case = {"w": np.ones(3, ">f8")}, {"x": np.ones((2, 3), ">f8"), "unused": np.arange(2, dtype=">i8")}
    assert check(root, lambda p, i: root_by_hand(p, i), *case).ok


def test_what_is_zero_on_both_sides_is_not_called_judged():
    """At x = 0 any formula for dw gives 0: the report says so, and other inputs are what finds the mistake."""

    def by_hand(p, i):
        z = i["x"] @ p["w"]
        return torch.tanh(torch.tensor(z)).sum().item(), {"w": i["x"].T @ np.ones_like(z)}

    found = check(lambda p, i: torch.tanh(i["x"] @ p["w"]).sum(), by_hand, {"w": np.ones(3)}, {"x": np.zeros((4, 3))})
    assert found.ok
    assert found.not_judged == ["dw: it is 0 on both sides at these numbers, as many formulas have it"]
    assert "not judged" in str(found)
