"""check.module on layers of every form: this project's, torch's own behind the contract, and what is none."""

import numpy as np
import pytest
import torch

import manual.nn
from handgrad.checking.modules import check_module
from handgrad.errors import UsageError
from parity_tests.checking.layers import BatchNorm, Embedding, LayerNorm, Linear, Softmax
from parity_tests.checking.test_module import TorchLinear, X
from parity_tests.checking.wrapped import Wrapped

HAND = {
    "linear": (lambda nn: nn.Linear(4, 3), (X,)),
    "network": (lambda nn: nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2)), (X,)),
    "mse": (lambda nn: nn.MSELoss(), (X, X[::-1].copy())),
    "mse, none": (lambda nn: nn.MSELoss(reduction="none"), (X, X[::-1].copy())),
    "bce with logits": (lambda nn: nn.BCEWithLogitsLoss(), (X, (X > 0).astype(float))),
    "identity": (lambda nn: nn.Identity(), (X,)),
    "flatten": (lambda nn: nn.Flatten(), (X.reshape(5, 2, 2),)),
}


@pytest.mark.parametrize("name", HAND)
def test_the_layers_of_this_project(name):
    build, inputs = HAND[name]
    found = check_module(build(manual.nn), build(torch.nn), *inputs)
    assert found.ok, str(found)
    assert not found.not_judged


RNG = np.random.default_rng(5)
FORMS = {
    "nested state, outputs made of each other": (lambda: torch.nn.LSTMCell(3, 4), (X[:, :3], (X, 2 * X))),
    "sequence and state": (lambda: torch.nn.RNN(3, 4), (RNG.normal(size=(3, 2, 3)),)),
    "three inputs": (lambda: torch.nn.MultiheadAttention(4, 2), (X[:, None], X[:3, None], X[1:4, None])),
    "images": (lambda: torch.nn.BatchNorm2d(3), (RNG.normal(size=(4, 3, 2, 5)),)),
    "padding index": (lambda: torch.nn.Embedding(7, 3, padding_idx=2), (RNG.integers(0, 7, (4, 5)),)),
    "lengths": (
        lambda: torch.nn.CTCLoss(),
        (np.log(RNG.dirichlet(np.ones(5), (6, 2))), RNG.integers(1, 5, (2, 3)), np.array([6, 5]), np.array([3, 2])),
    ),
    "a parametrization": (lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 3)), (X,)),
}


@pytest.mark.parametrize("form", FORMS)
def test_modules_of_any_form(form):
    """torch's own modules behind the contract agree with themselves."""
    build, inputs = FORMS[form]
    found = check_module(Wrapped(build()), build(), *inputs)
    assert found.ok, str(found)
    assert not found.not_judged


FUSED = {
    "mean path": (lambda w: LayerNorm(4, w), torch.nn.LayerNorm(4), "NORM-NO-MEAN-PATH"),
    "variance path": (lambda w: LayerNorm(4, w), torch.nn.LayerNorm(4), "NORM-NO-VAR-PATH"),
    "gamma": (lambda w: LayerNorm(4, w), torch.nn.LayerNorm(4), "NORM-GAMMA-DROPPED"),
    "diagonal": (Softmax, torch.nn.Softmax(1), "SOFTMAX-DIAG"),
    "row sum": (Softmax, torch.nn.Softmax(1), "SOFTMAX-NO-ROWSUM"),
}


@pytest.mark.parametrize("wrong", FUSED)
def test_known_wrong_formulas_inside_an_operation_that_torch_fuses(wrong):
    build, module, cause = FUSED[wrong]
    found = check_module(build(wrong), module, X)
    assert found.first_wrong == "dinput"
    assert [c.id for c in found.causes] == [cause], str(found)
    assert found.causes[0].place.endswith(f"in torch's {type(module).__name__}")


@pytest.mark.parametrize(("layer", "module"), [(LayerNorm(4), torch.nn.LayerNorm(4)), (Softmax(), torch.nn.Softmax(1))])
def test_the_same_layers_right(layer, module):
    assert check_module(layer, module, X).ok


def test_what_a_layer_saves_may_be_of_any_kind():
    """Only numbers are looked at: the layer itself may be kept, or what cannot be copied."""

    class Keeps(Linear):
        def forward(self, x):
            y, saved = super().forward(x)
            return y, {"saved": saved, "layer": self, "generator": (i for i in saved), "length": 5}

        def backward(self, grad_output, saved, input_grad=True):
            return super().backward(grad_output, saved["saved"], input_grad)

    assert check_module(Keeps(4, 3), TorchLinear(4, 3), X).ok
    found = check_module(Keeps(4, 3, "saved overwritten"), TorchLinear(4, 3), X)
    assert found.first_wrong == "saved", str(found)


class SingleLinear(Linear):
    def forward(self, x):
        for own in (self.weight, self.bias):
            own.data = own.data.astype(np.float32)
        return super().forward(x.astype(np.float32))

    def backward(self, grad_output, saved, input_grad=True):
        return super().backward(grad_output.astype(np.float32), saved, input_grad)


def test_a_layer_that_computes_in_single_precision_is_fine():
    found = check_module(SingleLinear(4, 3), TorchLinear(4, 3), X)
    assert found.ok, str(found)
    assert any("float32" in note for note in found.fine)
    assert not check_module(SingleLinear(4, 3, "bias mean"), TorchLinear(4, 3), X).ok


class NoTuple(Linear):
    def forward(self, x):
        return x


class Forgets(Linear):
    def backward(self, grad_output, saved, input_grad=True):
        super().backward(grad_output, saved)


class Several(Linear):
    def backward(self, grad_output, saved, input_grad=True):
        return super().backward(grad_output, saved), None


class Modeless(BatchNorm):
    def __init__(self, n):
        super().__init__(n)
        del self.training


class Extra(Linear):
    def named_parameters(self):
        return [("weight", self.weight), ("bias", self.bias), ("scale", self.bias)]


WRONG_USE = {
    "no torch module": (lambda: check_module(Linear(), np.tanh, X), "give a torch.nn module"),
    "no inputs": (lambda: check_module(Linear(), TorchLinear(4, 3)), "no inputs"),
    "no backward": (lambda: check_module(object(), TorchLinear(4, 3), X), "object has no forward"),
    "another name": (lambda: check_module(Embedding(3, 4), TorchLinear(4, 3), X), "no parameter 'bias'"),
    "another shape": (lambda: check_module(Linear(3, 4), TorchLinear(4, 3), X), r"weight is of shape \(4, 3\)"),
    "a parameter more": (lambda: check_module(Extra(4, 3), TorchLinear(4, 3), X), "no parameter scale"),
    "no saved": (lambda: check_module(NoTuple(4, 3), TorchLinear(4, 3), X), r"return two things, \(y, saved\)"),
    "returns nothing": (lambda: check_module(Forgets(4, 3), TorchLinear(4, 3), X), "None as the gradient of 'input'"),
    "two for one": (lambda: check_module(Several(4, 3), TorchLinear(4, 3), X), "2 gradients for 1 inputs"),
    "no mode": (lambda: check_module(Modeless(4), torch.nn.BatchNorm1d(4), X), "differs between training"),
    "random": (
        lambda: check_module(Linear(4, 3), torch.nn.Sequential(TorchLinear(4, 3)), X),
        "no parameter '0.weight'",
    ),
    "dropout": (
        lambda: check_module(manual.nn.Identity(), torch.nn.Dropout(0.3), X, training=True),
        "draws random numbers",
    ),
    "a string": (lambda: check_module(Linear(4, 3), TorchLinear(4, 3), "x"), "input 'input' is a str"),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use(case):
    run, message = WRONG_USE[case]
    with pytest.raises(UsageError, match=message):
        run()
