"""ModuleList, and what lists can do in ModuleList and Sequential: the same modules under the same names as in torch."""

import operator
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check_module, normal


def layers(nn, *sizes):
    """Linear layers that are told apart by their sizes."""
    return [nn.Linear(size, size + 1) for size in sizes]


def module_list(nn):
    return nn.ModuleList(layers(nn, 1, 2, 3, 4))


def sequential(nn):
    return nn.Sequential(*layers(nn, 1, 2, 3, 4))


def named(nn):
    return nn.Sequential(OrderedDict(zip("abcd", layers(nn, 1, 2, 3, 4), strict=True)))


def found(module):
    """Return the names and what stands there, the keys and the shapes of the state."""
    children = [(name, repr(child)) for name, child in module.named_children()]
    return children, {name: tuple(value.shape) for name, value in module.state_dict().items()}


def delete(module, index):
    del module[index]
    return module


def put(module, index, new):
    module[index] = new
    return module


def plus(module, new):
    module += new
    return module


SAME = {
    "nothing": lambda nn, m: m,
    "append": lambda nn, m: m.append(nn.Sigmoid()),
    "append twice": lambda nn, m: m.append(nn.Sigmoid()).append(nn.Identity()),
    "extend": lambda nn, m: m.extend(layers(nn, 7, 8)),
    "extend by nothing": lambda nn, m: m.extend([]),
    "put": lambda nn, m: put(m, 1, nn.Sigmoid()),
    "put from the end": lambda nn, m: put(m, -1, nn.Sigmoid()),
    "delete": lambda nn, m: delete(m, 1),
    "delete the first": lambda nn, m: delete(m, 0),
    "delete from the end": lambda nn, m: delete(m, -1),
    "delete a slice": lambda nn, m: delete(m, slice(0, 4, 2)),
    "delete all": lambda nn, m: delete(m, slice(None)),
    "delete and append": lambda nn, m: delete(m, 0).append(nn.Sigmoid()),
    "slice": lambda nn, m: m[1:3],
    "slice backwards": lambda nn, m: m[::-2],
    "slice of nothing": lambda nn, m: m[4:],
    "put in what is cut out": lambda nn, m: put(m[1:], 0, nn.Sigmoid()),
    "pop": lambda nn, m: m.pop(1),
    "what pop leaves": lambda nn, m: (m.pop(-1), m)[1],
    "item": lambda nn, m: nn.Sequential(m[2], m[-4], m[np.int64(1)]),
}
NUMBERED = {
    "insert": lambda nn, m: (m.insert(2, nn.Sigmoid()), m)[1],
    "insert first": lambda nn, m: (m.insert(0, nn.Sigmoid()), m)[1],
    "insert before all": lambda nn, m: (m.insert(-4 if isinstance(m, nn.Sequential) else 0, nn.Sigmoid()), m)[1],
    "insert last": lambda nn, m: (m.insert(4, nn.Sigmoid()), m)[1],
    "plus in place": lambda nn, m: plus(
        m, type(m)(*([layers(nn, 7)] if isinstance(m, nn.ModuleList) else layers(nn, 7)))
    ),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
@pytest.mark.parametrize("build", [module_list, sequential, named])
def test_as_in_torch(build, change):
    assert found(change(nn, build(nn))) == found(change(torch.nn, build(torch.nn)))


@pytest.mark.parametrize("change", NUMBERED.values(), ids=NUMBERED)
@pytest.mark.parametrize("build", [module_list, sequential])
def test_as_in_torch_with_numbers(build, change):
    assert found(change(nn, build(nn))) == found(change(torch.nn, build(torch.nn)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(["append", "insert", "delete", "put"]), st.integers(-9, 9)), max_size=6))
def test_any_changes(changes):
    """Torch's insert takes no negative place in a list of modules, so it is counted from the start for both."""
    for build in (module_list, sequential):
        hand, theirs = build(nn), build(torch.nn)
        for size, (kind, index) in enumerate(changes, start=10):
            for side, m in ((nn, hand), (torch.nn, theirs)):
                new, place = side.Linear(size, 1), index % (len(m) + 1)
                if kind == "append":
                    m.append(new)
                elif kind == "insert":
                    m.insert(place, new)
                elif place < len(m):
                    delete(m, place) if kind == "delete" else put(m, place - len(m), new)
        assert found(hand) == found(theirs)
        assert len(hand) == len(theirs)


def test_insert_from_the_end_is_a_lists():
    """Sequential's in torch too; ModuleList's raises there, and damages the list."""
    for build in (module_list, sequential):
        assert [str(m) for m in build(nn).insert(-1, nn.Sigmoid())] == [
            str(m) for m in sequential(torch.nn).insert(-1, torch.nn.Sigmoid())
        ]


def test_insert_numbers_names_anew():
    assert [name for name, _ in named(nn).insert(1, nn.Sigmoid()).named_children()] == list("01234")


def test_sums():
    three = nn.Sequential(nn.Sigmoid()) + nn.Sequential({"a": nn.Identity(), "b": nn.Linear(2, 3)})
    assert [name for name, _ in three.named_children()] == ["0", "1", "2"]
    assert isinstance(three, nn.Sequential)
    both = operator.add(nn.ModuleList([nn.Sigmoid()]), [nn.Identity(), nn.Linear(2, 3)])
    assert isinstance(both, nn.ModuleList)
    assert [repr(m) for m in both] == [repr(m) for m in three]
    with pytest.raises(TypeError, match="unsupported operand"):
        operator.add(nn.Sequential(nn.Sigmoid()), [nn.Sigmoid()])


def test_a_module_is_moved_not_copied():
    m = sequential(nn)
    last, whole = m[3], list(m)
    assert m[-1:][0] is last
    assert m.pop(3) is last
    assert list(m.append(last)) == whole
    assert m.extend(m) is m
    assert list(m) == whole + whole


@pytest.mark.parametrize("build", [module_list, sequential])
@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda m: m[4], IndexError, "has 4 modules, and none is number 4"),
        (lambda m: m[-5], IndexError, "none is number -5"),
        (lambda m: m["0"], TypeError, "'str'.*as an integer"),
        (lambda m: m[1.0], TypeError, "'float'.*as an integer"),
        (lambda m: put(m, 4, m[0]), IndexError, "none is number 4"),
        (lambda m: put(m, slice(0, 1), m[0]), TypeError, "'slice'"),
        (lambda m: put(m, 0, 3), TypeError, "takes modules, not int for '0'"),
        (lambda m: delete(m, 4), IndexError, "none is number 4"),
        (lambda m: delete(m, -5), IndexError, "none is number -5"),
        (lambda m: m.pop(4), IndexError, "none is number 4"),
        (lambda m: m.append(None), TypeError, "takes modules, not NoneType for '4'"),
        (lambda m: m.extend([3]), TypeError, "takes modules, not int for '4'"),
        (lambda m: m.extend(3), TypeError, "not iterable"),
        (lambda m: m.insert(5, m[0]), IndexError, "has 4 modules: there is no place 5"),
        (lambda m: m.insert(-5, m[0]), IndexError, "no place -5"),
        (lambda m: m.insert(1, 3), TypeError, "takes modules, not int for '1'"),
    ],
)
def test_what_does_not_fit(build, change, error, says):
    m = build(nn)
    before = list(m)
    with pytest.raises(error, match=says):
        change(m)
    assert list(m) == before, "refused, but changed"


@pytest.mark.parametrize("name", ["", "a.b", "training", "forward"])
def test_names_that_would_hide_something(name):
    for side in (nn, torch.nn):
        with pytest.raises(KeyError, match=name or "empty|dots"):
            side.Sequential(OrderedDict({name: side.Sigmoid()}))


def test_append_replaces_nothing():
    """Torch's puts the new module in the place of the old one."""
    with pytest.raises(KeyError, match="already has a module '1'"):
        nn.Sequential({"1": nn.Sigmoid()}).append(nn.Sigmoid())


def test_module_list_is_bad_at_nothing_and_computes_nothing():
    assert found(nn.ModuleList()) == found(torch.nn.ModuleList())
    with pytest.raises(TypeError, match=r"ModuleList takes modules, not int for '0'"):
        nn.ModuleList([3])
    with pytest.raises(TypeError, match="not iterable"):
        nn.ModuleList(3)
    with pytest.raises(NotImplementedError, match="ModuleList has no forward"):
        nn.ModuleList([nn.Sigmoid()]).forward(np.ones(3))


def test_repr_counts_what_is_alike():
    def lists(nn):
        block = [nn.Sequential(nn.Sigmoid(), nn.Linear(2, 3)) for _ in range(3)]
        return nn.ModuleList([*block, nn.Sigmoid(), nn.ModuleList(), nn.ModuleList([nn.Sigmoid(), nn.Sigmoid()])])

    assert repr(lists(nn)) == repr(lists(torch.nn))
    assert repr(nn.ModuleList()) == repr(torch.nn.ModuleList())
    assert repr(nn.Sequential(lists(nn))) == repr(torch.nn.Sequential(lists(torch.nn)))


class Residual(nn.Module):
    """x + layer(x) for each layer of a list: the docstring's way to walk it."""

    def __init__(self):
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 4))])

    def forward(self, x):
        saved = []
        for layer in self.layers:
            y, saved_here = layer.forward(x)
            x = x + y
            saved.append(saved_here)
        return x, saved

    def backward(self, grad_output, saved, *, input_grad=True):
        grad, last_saved = grad_output, reversed(saved)
        for layer in reversed(self.layers):
            grad = grad + layer.backward(grad, next(last_saved))
        return grad if input_grad else None


class ResidualTwin(torch.nn.Module):
    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 4))])

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x)
        return x


def test_a_network_with_a_list(dtype, device):
    check_module(Residual(), ResidualTwin(), normal(5, 4), dtype=dtype, device=device)
