"""Every hand-written class gives the values that torch gave. Needs NumPy alone: torch is not imported."""

import json
from pathlib import Path

import numpy as np
import pytest

import manual.nn
from manual.module import Module
from parity_tests.values.cases import CASES, excerpt, leaves, state, upstream

VALUES = json.loads(Path(__file__).with_name("values.json").read_text())


def structured(like, flat):
    """Return the arrays of `flat` in the structure of `like`."""
    if isinstance(like, tuple):
        return tuple(structured(part, flat) for part in like)
    return None if like is None else next(flat)


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    case = CASES[name]
    module: Module = case.build(manual.nn).double()
    module.load_state_dict(state({key: value.shape for key, value in module.state_dict().items()}))
    y, saved = module.forward(*case.inputs)
    outputs = leaves(y)
    grads = module.backward(structured(y, iter(upstream(outputs))), saved)
    found = {f"output {i}": output for i, output in enumerate(outputs)}
    found |= {f"grad {i}": grad for i, grad in enumerate(leaves(grads))}
    found |= {f"grad of {key}": parameter.grad for key, parameter in module.named_parameters()}
    assert found.keys() == VALUES[name].keys()
    for key, expected in VALUES[name].items():
        # The largest tensors sum some 200 products: 1e-12 of their size is 20 units of rounding each.
        tolerance = 3e-8 if name == "Hardsigmoid" else 1e-12  # torch's slope there is float32's 1/6
        scale = max(1.0, expected[2])
        np.testing.assert_allclose(excerpt(found[key]), expected, rtol=tolerance, atol=tolerance * scale, err_msg=key)


def test_every_case_has_values():
    assert list(VALUES) == list(CASES)
