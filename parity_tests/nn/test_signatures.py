"""Every class that torch.nn has too takes torch's arguments: same names, same order, same defaults."""

import inspect

import pytest
import torch

import manual.nn
from manual.module import Module

# torch states the arguments of these in its documentation alone, or takes any.
ANY = {"Module", "Parameter", "Identity", "Sequential", "RNN", "LSTM", "GRU"}
CLASSES = [
    value
    for name, value in vars(manual.nn).items()
    if isinstance(value, type) and hasattr(torch.nn, name) and name not in ANY
]
# What our constructors take beside torch's arguments, by keyword alone.
OURS = {"dtype", "generator"}


def arguments(function):
    return [p for p in inspect.signature(function).parameters.values() if p.name != "self"]


@pytest.mark.parametrize("hand", CLASSES, ids=lambda hand: hand.__name__)
def test_the_constructor_is_torchs(hand):
    theirs = getattr(torch.nn, hand.__name__)
    mine = [(p.name, p.default) for p in arguments(hand.__init__) if p.name not in OURS]
    other = [(p.name, p.default) for p in arguments(theirs.__init__) if p.name not in OURS]
    if hand.__init__ is Module.__init__ or hand.__init__ is object.__init__:
        mine = []
    other = [(name, default) for name, default in other if name not in ("args", "kwargs")]
    assert [name for name, _ in mine] == [name for name, _ in other]
    for (name, default), (_, expected) in zip(mine, other, strict=True):
        same = default is expected or default == expected or (callable(default) and callable(expected))
        assert same, f"{name}={default!r}, torch has {expected!r}"
    for p in arguments(hand.__init__):
        if p.name in OURS:
            assert p.kind is p.KEYWORD_ONLY, f"{p.name} may be given by position"


@pytest.mark.parametrize("hand", CLASSES, ids=lambda hand: hand.__name__)
def test_forward_takes_torchs_arguments(hand):
    """In their order; where there is more than one, under their names as well."""
    theirs = [p.name for p in arguments(getattr(torch.nn, hand.__name__).forward)]
    mine = [p.name for p in arguments(hand.forward)]
    assert len(mine) >= len(theirs)
    if len(theirs) > 1:
        assert mine[: len(theirs)] == theirs


@pytest.mark.parametrize("hand", CLASSES, ids=lambda hand: hand.__name__)
def test_backward_is_the_contracts(hand):
    """(grad_output, saved, *, input_grad=True), whether it is used or not."""
    mine = [(p.name, p.kind, p.default) for p in arguments(hand.backward)]
    assert mine == [(p.name, p.kind, p.default) for p in arguments(Module.backward)]
