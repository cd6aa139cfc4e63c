"""Parameters, what is checked at every module's door, and what every backward has in common."""

import inspect

import numpy as np
import pytest

import manual.networks
import manual.nn
import manual.objective
from manual.module import Module, Parameter
from manual.networks import TwoTwoOne
from manual.networks.perceptron import DoubleSigmoid

MODULES = [
    Module,
    DoubleSigmoid,
    *(
        value
        for package in (manual.nn, manual.networks, manual.objective)
        for value in vars(package).values()
        if isinstance(value, type) and issubclass(value, Module)
    ),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_backward_gives_the_input_gradient_unless_told_otherwise(module):
    option = inspect.signature(module.backward).parameters["input_grad"]
    assert option.default is True
    assert option.kind is option.KEYWORD_ONLY


def test_a_list_becomes_an_array():
    p = Parameter([1.0, 2.0])
    assert isinstance(p.data, np.ndarray)
    assert p.shape == (2,)


def test_the_gradient_of_a_scalar_is_an_array():
    """A sum over a batch is one of NumPy's scalars, and so is the sum of two of them."""
    p = Parameter(np.array(1.0))
    for total in (2.0, 4.0):
        p.accumulate(np.float64(2.0))
        assert isinstance(p.grad, np.ndarray)
        assert p.grad == total
    p.grad = None
    p.accumulate(2.0)
    assert isinstance(p.grad, np.ndarray)


def test_missing_names_are_named():
    with pytest.raises(KeyError, match=r"missing \['bias'\], unknown none"):
        manual.nn.Linear(3, 2).load_state_dict({"weight": np.zeros((2, 3))})


def test_a_scalar_may_be_loaded_from_one_of_numpys():
    network = TwoTwoOne()
    network.load_state_dict({name: np.float64(0.5) for name in network.state_dict()})
    assert all(isinstance(p.data, np.ndarray) and p.data == 0.5 for p in network.parameters())


def test_complex_numbers_are_loaded_into_a_complex_module():
    linear = manual.nn.Linear(2, 1).to(complex)
    linear.load_state_dict({"weight": np.array([[1j, 2.0]]), "bias": np.array([3j])})
    assert linear.weight.data.tolist() == [[1j, 2.0]]


def test_the_remedy_names_a_dtype_where_the_layer_has_none():
    with pytest.raises(TypeError, match=r"write np\.asarray\(x, dtype=np\.float32\)"):
        manual.nn.Sigmoid().forward([1.0])
