"""values.json holds what torch gives for every class; run as a module, this file writes it anew."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import manual.nn
from parity_tests.commands.commands import ROOT, shell
from parity_tests.values.cases import CASES, excerpt, leaves, state, upstream

# Their targets, 1 or -1, tell two cases apart and are no numbers to be moved.
SIGNS = ("HingeEmbeddingLoss", "SoftMarginLoss", "CosineEmbeddingLoss")
VALUES = Path(__file__).with_name("values.json")


def torchs(name):
    """Return the excerpts of torch's outputs and gradients of one case, in float64."""
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = case.build(torch.nn).double()
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    module.load_state_dict({key: torch.tensor(value) for key, value in state(shapes).items()})
    inputs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in case.inputs]
    if name in SIGNS:
        inputs[-1].requires_grad_(False)
    outputs = leaves(module(*inputs))
    grads = upstream([y.detach().cpu().numpy() for y in outputs])
    if any(y.requires_grad for y in outputs):
        torch.autograd.backward(outputs, [torch.tensor(g) for g in grads])
    found = {f"output {i}": y.detach().cpu().numpy() for i, y in enumerate(outputs)}
    kept = [x.grad.cpu().numpy() for x in inputs if x.requires_grad]
    found |= {f"grad {i}": grad for i, grad in enumerate(kept)}
    found |= {f"grad of {key}": p.grad.cpu().numpy() for key, p in module.named_parameters()}
    return {key: excerpt(value) for key, value in found.items()}


@pytest.mark.parametrize("name", CASES)
def test_the_file_holds_what_torch_gives(name):
    kept = json.loads(VALUES.read_text())[name]
    given = torchs(name)
    assert kept.keys() == given.keys()
    for key, expected in given.items():
        np.testing.assert_allclose(kept[key], expected, rtol=1e-12, atol=1e-12 * max(1.0, expected[2]), err_msg=key)


def test_every_class_of_both_sides_has_a_case():
    both = {name for name in vars(manual.nn) if isinstance(getattr(torch.nn, name, None), type)}
    assert both - {"Module", "Parameter", "ModuleList"} == set(CASES)


def test_values_pass_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\nimport pytest\n"
        f"sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {str(ROOT / 'parity_tests/values/test_values.py')!r}]))"
    )
    done = shell("-c", code)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CASES) + 1} passed" in done.stdout


if __name__ == "__main__":
    rows = [f'"{name}": {json.dumps(torchs(name))}' for name in CASES]
    VALUES.write_text("{\n" + ",\n".join(rows) + "\n}\n")
