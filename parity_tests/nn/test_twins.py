"""Every layer beyond torch's has the arguments of its twin in torch_impl.nn: same names, same order, same defaults."""

import inspect

import pytest

from manual import nn
from torch_impl import nn as theirs

# What is said by keyword alone, and on each side in its own way.
OWN = {"self", "dtype", "generator"}


def arguments(function):
    return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values() if p.name not in OWN]


@pytest.mark.parametrize("name", theirs.__all__)
def test_the_arguments_are_the_twins(name):
    hand, other = getattr(nn, name), getattr(theirs, name)
    assert arguments(hand.__init__) == arguments(other.__init__)
    assert arguments(hand.forward) == arguments(other.forward)
    for p in inspect.signature(hand.__init__).parameters.values():
        assert p.name not in OWN - {"self"} or p.kind is p.KEYWORD_ONLY
    assert inspect.getdoc(hand).count("\n") > 20, "a page that derives everything"
    assert "Source: " in hand.__doc__
