"""Every number of the CSDN lesson on layered networks."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from handgrad import experiments
from handgrad.metrics import accuracy
from parity_tests.golden.golden import (
    CE_MEAN,
    CE_SUM,
    HALF_MEAN,
    HALF_SSE,
    MSE,
    NUMBERS,
    SIDES,
    close,
    expected,
    side_of,
    snapshots,
)

TESTED = {name for name in NUMBERS if name.startswith("csdn")}
RULES = {"bce_sum": CE_SUM, "bce_mean": CE_MEAN, "half_mean": HALF_MEAN, "mean": MSE, "half_sum": HALF_SSE}
REPORTED = {"bce_sum": "ce_sum", "bce_mean": "ce_mean", "half_mean": "half_mean", "mean": "mse", "half_sum": "half_sse"}
TRAINED = [name for name in sorted(NUMBERS) if "_after_" in name and name.startswith("csdn")]


def experiment_of(rule):
    return replace(experiments.get("layered"), loss=RULES[rule])


@cache
def trained(which, rule, device="cpu"):
    return snapshots(which, experiment_of(rule), (1, 10, 100, 1000, 10_000), device)


def layers(name, state, wanted, prefix=""):
    """Compare with the lesson's layout: weights (in, out) as the transpose of ours."""
    close(name, state["0.weight"].T, wanted[f"{prefix}W1"])
    close(name, state["2.weight"].T, wanted[f"{prefix}W2"])
    close(name, state["0.bias"], wanted[f"{prefix}b1"])
    close(name, state["2.bias"], wanted[f"{prefix}b2"])


def test_constants():
    experiment, wanted = experiments.get("layered"), expected("csdn_code_constants")
    data = experiment.data()
    layers("csdn_code_constants", experiment.weights(0, experiment.network), wanted)
    pairs = [(data.inputs, "X"), (data.targets, "y"), (data.test_inputs, "X_test"), (data.test_targets, "y_test")]
    for array, key in pairs:
        close("csdn_code_constants", array, wanted[key])
    assert experiment.lr == wanted["lr"]


def test_forward():
    side, wanted = side_of("manual", experiments.get("layered")), expected("csdn_forward")
    x = side.inputs
    for module, key in zip(side.network, ("z1", "a1", "z2", "output"), strict=True):
        x = module(x)
        close("csdn_forward", x, wanted[key])


@pytest.mark.parametrize("which", SIDES)
def test_prediction_and_accuracy_untrained(which, device):
    experiment, wanted = experiments.get("layered"), expected("csdn_eval_untrained")
    data, side = experiment.data(), side_of(which, experiment, device)
    output = side.predict(data.test_inputs)
    close("csdn_eval_untrained", output, wanted["prob"])
    close("csdn_eval_untrained", np.round(output), wanted["predictions"])
    close("csdn_eval_untrained", accuracy(output, data.test_targets), wanted["accuracy"])


@pytest.mark.parametrize("which", SIDES)
@pytest.mark.parametrize("rule", ["bce_sum", "half_mean", "mean", "half_sum"])
def test_first_gradient(rule, which, device):
    name, side = f"csdn_grad_{rule}", side_of(which, experiment_of(rule), device)
    wanted = expected(name)
    close(name, side.report(RULES[rule]), wanted["loss"])
    side.step(np.arange(2))
    flat = side.flat_gradients()
    state = {
        "0.weight": flat[:4].reshape(2, 2),
        "0.bias": flat[4:6],
        "2.weight": flat[6:8].reshape(1, 2),
        "2.bias": flat[8:],
    }
    layers(name, state, wanted, "g")


@pytest.mark.parametrize("which", SIDES)
@pytest.mark.parametrize("name", TRAINED)
def test_trained(name, which, device):
    rule, steps = name.removeprefix("csdn_").split("_after_")
    at, wanted = trained(which, rule, device)[int(steps)], expected(name)
    layers(name, at["state"], wanted)
    close(name, at[REPORTED[rule]], wanted["loss"])
    close(name, at["mse"], wanted["mse_mean"])
    close(name, at["outputs"][:, 0], wanted["out"])
    data = experiments.get("layered").data()
    close(name, accuracy(at["outputs"], data.targets), wanted["train_acc"])
    side = side_of(which, experiment_of(rule), device)
    side.load(at["state"])
    test = side.predict(data.test_inputs)
    close(name, test[:, 0], wanted["test"])
    close(name, accuracy(test, data.test_targets), wanted["acc"])


@pytest.mark.parametrize("which", SIDES)
def test_mean_cross_entropy_is_half_the_sum(which, device):
    """The gradient of the mean over two samples is half that of the sum."""
    flat = []
    for rule in ("bce_sum", "bce_mean"):
        side = side_of(which, experiment_of(rule), device)
        side.step(np.arange(2))
        flat.append(side.flat_gradients())
    np.testing.assert_allclose(flat[1], flat[0] / 2, rtol=1e-14)
