"""What all losses share: how they reduce, and what they refuse."""

import numpy as np
import pytest
import torch

from manual import nn
from manual.objective import SignedError
from parity_tests.parity import normal, probabilities


@pytest.mark.parametrize("name", ["MSELoss", "BCELoss", "BCEWithLogitsLoss"])
class TestBadInput:
    def test_shapes_are_never_broadcast(self, name):
        with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\)"):
            getattr(nn, name)().forward(np.full((4, 1), 0.5), np.full(4, 0.5))

    def test_dtypes(self, name):
        with pytest.raises(TypeError, match="float32"):
            getattr(nn, name)().forward(np.full(4, 0.5), np.full(4, 0.5, dtype=np.float32))
        with pytest.raises(TypeError, match="floats, not int64"):
            getattr(nn, name)().forward(np.full(4, 0.5), np.ones(4, dtype=int))
        with pytest.raises(TypeError, match=f"{name} computes with floats, not int64"):
            getattr(nn, name)().forward(np.ones(4, dtype=int), np.full(4, 0.5))

    def test_arguments(self, name):
        with pytest.raises(ValueError, match="'avg' is not a reduction"):
            getattr(nn, name)(reduction="avg")
        for argument in ("size_average", "reduce"):
            with pytest.raises(NotImplementedError, match=argument):
                getattr(nn, name)(**{argument: True})

    def test_mean_of_nothing_is_nan_as_in_torch(self, name):
        empty = np.empty((0, 2))
        loss = getattr(nn, name)()(empty, empty)
        assert np.isnan(loss)
        assert np.isnan(getattr(torch.nn, name)()(torch.tensor(empty), torch.tensor(empty)).item())


def test_the_gradient_of_a_mean_of_nothing_is_empty():
    empty = np.empty((0, 2))
    for name in ("MSELoss", "BCELoss", "BCEWithLogitsLoss"):
        module = getattr(nn, name)()
        _, saved = module.forward(empty, empty)
        assert [grad.shape for grad in module.backward(1.0, saved)] == [(0, 2), (0, 2)]


@pytest.mark.parametrize("name", ["MSELoss", "BCELoss", "BCEWithLogitsLoss"])
@pytest.mark.parametrize("upstream", [0.7, np.float64(0.7), np.array(0.7)], ids=["Python's", "NumPy's", "an array"])
def test_gradients_have_the_inputs_dtype_whatever_is_handed_down(name, upstream):
    input, target = (probabilities(3, 2, seed=seed).astype(np.float32) for seed in (0, 1))
    module = getattr(nn, name)()
    _, saved = module.forward(input, target)
    assert [grad.dtype for grad in module.backward(upstream, saved)] == [np.float32, np.float32]


def test_the_signed_error_is_an_array():
    value, _ = SignedError().forward(normal(4, 2), normal(4, 2, seed=1))
    assert isinstance(value, np.ndarray)


TWO_FLOATS = ["L1Loss", "HuberLoss", "SmoothL1Loss", "KLDivLoss", "PoissonNLLLoss", "GaussianNLLLoss"]


def call(name, *inputs):
    """Return the module and what its forward gives; GaussianNLLLoss has a variance too."""
    module = getattr(nn, name)()
    return module, module.forward(*inputs, **({"var": 0.5} if name == "GaussianNLLLoss" else {}))


@pytest.mark.parametrize("name", TWO_FLOATS)
class TestTwoFloats:
    def test_shapes_are_never_broadcast(self, name):
        with pytest.raises(ValueError, match=r"\(4,\).*\(4, 1\)|\(4, 1\).*\(4,\)"):
            call(name, np.full((4, 1), 0.5), np.full(4, 0.5))

    def test_dtypes(self, name):
        with pytest.raises(TypeError, match="float32"):
            call(name, np.full(4, 0.5), np.full(4, 0.5, dtype=np.float32))
        with pytest.raises(TypeError, match=f"{name}'s target computes with floats, not bool"):
            call(name, np.full(4, 0.5), np.ones(4, dtype=bool))
        with pytest.raises(TypeError, match=f"{name} computes with floats, not int64"):
            call(name, np.ones(4, dtype=int), np.full(4, 0.5))

    def test_upstream_gradients_of_any_kind(self, name):
        inputs = (probabilities(3, 2, seed=seed).astype(np.float32) for seed in (0, 1))
        module, (_, saved) = call(name, *inputs)
        for upstream in (0.7, np.float64(0.7), np.array(0.7)):
            assert {grad.dtype for grad in module.backward(upstream, saved) if grad is not None} == {np.dtype("f4")}

    def test_mean_of_nothing(self, name):
        module, (loss, saved) = call(name, np.empty((0, 2)), np.empty((0, 2)))
        assert np.isnan(loss)
        assert [grad.shape for grad in module.backward(1.0, saved) if grad is not None] == [(0, 2), (0, 2)]

    def test_reduction(self, name):
        with pytest.raises(ValueError, match=r"'avg' is not a reduction; use 'none', 'mean'.* or '"):
            getattr(nn, name)(reduction="avg")


DEPRECATED = [name for name in nn.loss.__all__ if name not in ("HuberLoss", "GaussianNLLLoss")]


@pytest.mark.parametrize("argument", ["size_average", "reduce"])
@pytest.mark.parametrize("name", DEPRECATED)
def test_deprecated_arguments_are_named(name, argument):
    with pytest.raises(NotImplementedError, match=f"{name} does not support {argument}= here"):
        getattr(nn, name)(**{argument: True})


@pytest.mark.parametrize("name", nn.loss.__all__)
def test_the_mean_is_the_default(name):
    assert getattr(nn, name)().reduction == "mean"
    with pytest.raises(ValueError, match="'avg' is not a reduction"):
        getattr(nn, name)(reduction="avg")


ARGUMENTS = {
    "HuberLoss": {"delta": 0.5},
    "SmoothL1Loss": {"beta": 0.5},
    "CrossEntropyLoss": {"label_smoothing": 0.5},
    "GaussianNLLLoss": {"eps": 0.5},
    "PoissonNLLLoss": {"eps": 0.5, "log_input": False},
    "MarginRankingLoss": {"margin": 0.5},
    "MultiMarginLoss": {"margin": 0.5},
    "HingeEmbeddingLoss": {"margin": 0.5},
    "CosineEmbeddingLoss": {"margin": 0.5},
    "TripletMarginLoss": {"margin": 0.5, "p": 1.5, "eps": 0.5},
}
IN = {"MarginRankingLoss": 3, "GaussianNLLLoss": 3, "TripletMarginLoss": 3, "CosineEmbeddingLoss": 2}
LABELS = {"CrossEntropyLoss", "MultiMarginLoss", "HingeEmbeddingLoss", "CosineEmbeddingLoss"}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_float64_leave_float32_alone(name):
    arguments = {key: np.float64(a) if isinstance(a, float) else a for key, a in ARGUMENTS[name].items()}
    inputs = [probabilities(3, seed=seed).astype(np.float32) for seed in range(IN.get(name, 2 - (name in LABELS)))]
    if name in LABELS:
        inputs.append(np.ones(3 if name == "HingeEmbeddingLoss" else (), int))
    module = getattr(nn, name)(**arguments)
    loss, saved = module.forward(*inputs)
    grads = module.backward(1.0, saved)
    assert {each.dtype for each in (loss, *grads) if each is not None} == {np.dtype("f4")}


@pytest.mark.parametrize("name", ["PoissonNLLLoss", "SoftMarginLoss", "HingeEmbeddingLoss"])
def test_numpys_number_is_a_label_or_a_count(name):
    x, module = normal(), getattr(nn, name)()
    assert module(x, np.int64(1)) == module(x, np.array(1.0))


def test_batchmean_is_kl_div_alone():
    with pytest.raises(ValueError, match="'batchmean' is not a reduction; use 'none', 'mean' or 'sum'"):
        nn.MSELoss(reduction="batchmean")
    assert nn.KLDivLoss(reduction="batchmean").reduction == "batchmean"
    with pytest.raises(ValueError, match="use 'none', 'mean', 'sum' or 'batchmean'"):
        nn.KLDivLoss(reduction="avg")
