"""Part I's worked examples: trial and error, the 0.68997 step, shapes, and the sigmoid's curves."""

from dataclasses import replace

import numpy as np
import pytest

from handgrad import experiments
from manual.nn.activation import sigmoid
from parity_tests.golden.golden import HALF_SSE, MSE, NUMBERS, SIDES, close, expected, side_of


@pytest.mark.parametrize("which", SIDES)
def test_trial_and_error(which, device):
    experiment = experiments.get("trial_and_error")
    data, losses = experiment.data(), expected("part1_trial_losses")
    errors = {}
    for index, weight in enumerate(NUMBERS["part1_trial_losses"]["inputs"]["W"]):
        side = side_of(
            which, replace(experiment, weights=lambda *_, w=weight: {"0.weight": np.array([[float(w)]])}), device
        )
        predictions = side.predict(data.inputs)[:, 0]
        errors[weight] = np.abs(predictions - data.targets[:, 0])
        close("part1_trial_losses", errors[weight].sum(), losses["abs_sum"][index])
        close("part1_trial_losses", side.report(HALF_SSE), losses["half_sse"][index])
        close("part1_trial_losses", side.report(MSE), losses["mse"][index])
        name = f"part1_trial_W{weight}"
        if name in NUMBERS:
            close(name, predictions, expected(name)["pred"])
            close(name, errors[weight], expected(name)["error"])
    claims = expected("part1_trial_claims")
    assert (errors[3] > 0).sum() == claims["wrong_of_4_with_W3"]
    assert (errors[4].sum() > errors[3].sum()) == claims["error_W4_larger_than_W3"]
    assert errors[2].sum() == claims["errors_with_W2"]


@pytest.mark.parametrize("which", SIDES)
def test_trial_and_error_by_descent(which, device):
    """From 3 with gradient 14 (W - 2) and rate 0.05: W - 2 shrinks by 0.3 a step."""
    side, seen = side_of(which, experiments.get("trial_and_error"), device), []
    for _ in range(20):
        side.step(np.arange(4))
        seen.append(side.flat_parameters().item())
    np.testing.assert_allclose(seen[:4], [2.3, 2.09, 2.027, 2.0081], rtol=1e-12)
    assert seen[-1] == pytest.approx(2.0000000000348677, rel=1e-15)


@pytest.mark.parametrize("which", SIDES)
def test_worked_example(which, device):
    experiment, wanted = experiments.get("or_worked"), expected("part1_worked_setup")
    state, data = experiment.weights(0, experiment.network), experiment.data()
    assert state["0.weight"].tolist() == [[wanted["w1"], wanted["w2"]]]
    assert state["0.bias"].tolist() == [wanted["w_bias"] * wanted["bias_input"]]
    close("part1_worked_setup", data.inputs[0], wanted["x"])
    side = side_of(which, experiment, device)
    output = side.predict(data.inputs).item()
    close("part1_worked_setup", output, wanted["outo1"])
    close("part1_worked_output", output, expected("part1_worked_output"))
    close("part1_worked_setup", side.report(HALF_SSE), wanted["E"])
    before = side.flat_parameters()[1]
    side.step(np.array([0]))
    exact = {"rel": 1e-12, "abs": 1e-13}
    assert side.flat_gradients() == pytest.approx([0.0, -0.06631746465553921, -0.06631746465553921], **exact)
    assert side.flat_parameters() == pytest.approx([0.2, 0.3033158732327769, 0.5033158732327769], **exact)
    assert (side.flat_parameters()[1] > before) == expected("part1_worked_claim_w2")["w2_increases"]
    published = side_of(which, experiment.as_published(), device)
    published.step(np.array([0]))
    assert published.flat_gradients()[1] == pytest.approx(-0.06896730454028231, **exact)
    assert published.flat_parameters()[1] == pytest.approx(0.3034483652270141, **exact)


def test_worked_sum_is_0_8():
    assert sigmoid(np.array(NUMBERS["part1_worked_output"]["inputs"]["ino1"])) == pytest.approx(
        0.6899744811276125, rel=1e-15
    )


def test_shapes():
    """The shapes that part I states, with its (in, out) weights as the transpose of ours."""
    wanted, experiment = expected("part1_shapes"), experiments.get("or_gate")
    side = side_of("manual", experiment)
    x, w = side.inputs, side.state()["0.weight"].T
    assert list(x.shape) == wanted["input_features"]
    assert list(w.shape) == wanted["weights"]
    assert list((x @ w).shape) == wanted["in_o"] == wanted["deriv"]
    assert list(x.T.shape) == wanted["input_features_T"]
    side.step(np.arange(4))
    assert list(side.parameters[0].grad.T.shape) == wanted["deriv_final"]


@pytest.mark.parametrize("name", ["part1_sigmoid_curve_green", "part1_sigmoid_curve_green_shift"])
def test_sigmoid_curves(name):
    given, wanted = NUMBERS[name]["inputs"], expected(name)
    z = given["w"] * np.array(given["x"], float) + given["b"]
    close(name, sigmoid(z), wanted["y"])
    middle = np.array(-given["b"] / given["w"])
    close(name, middle, wanted["midpoint"])
    y = sigmoid(given["w"] * middle + given["b"])
    close(name, given["w"] * y * (1 - y), wanted["slope_at_midpoint"])
