"""Every number of Shukla and Iriondo's part I, and of part II's hidden layer."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from handgrad import experiments
from handgrad.data import contradictions
from handgrad.experiments.virus import SYMPTOMS, patients
from handgrad.metrics import accuracy
from parity_tests.golden.golden import (
    CE_SUM,
    HALF_SSE,
    NUMBERS,
    SIDES,
    close,
    expected,
    side_of,
    snapshots,
    train,
)

TESTED = {name for name in NUMBERS if name.startswith(("part1_", "part2_"))}
CASES = {"or": "or_gate", "or_nobias": "or_gate_no_bias", "virus": "virus"}
STEPS = (0, 1, 10, 100, 1000, 5000, 9999, 10_000)


def experiment_of(case, rule):
    """Return the experiment of a case under one of the three rules: published, half_se or bce."""
    experiment = experiments.get(CASES[case])
    if rule == "published":
        return experiment.as_published()
    return replace(experiment, loss=CE_SUM) if rule == "bce" else experiment


@cache
def trained(which, case, rule, device="cpu"):
    return snapshots(which, experiment_of(case, rule), STEPS, device)


def weights(state):
    return state["0.weight"][0], state["0.bias"].item() if "0.bias" in state else None


@pytest.mark.parametrize("case", CASES)
def test_data(case):
    experiment, wanted = experiments.get(CASES[case]), expected(f"part1_{case}_data")
    data = experiment.data()
    close(f"part1_{case}_data", data.inputs, wanted["X"])
    close(f"part1_{case}_data", data.targets[:, 0], wanted["t"])
    w, b = weights(experiment.weights(0, experiment.network))
    assert (w.tolist(), b) == (wanted["w0"], wanted["bias0"])
    assert (experiment.lr, experiment.epochs, experiment.batch_size) == (wanted["lr"], wanted["epochs"], None)


TRAINED = [name.removeprefix("part1_") for name in sorted(NUMBERS) if "_trained_" in name]


@pytest.mark.parametrize("which", SIDES)
@pytest.mark.parametrize("name", TRAINED)
def test_trained(name, which, device):
    case, rule = name.split("_trained_")
    at, wanted, name = trained(which, case, rule, device), expected(f"part1_{name}"), f"part1_{name}"
    end = at[10_000]
    w, b = weights(end["state"])
    close(name, w, wanted["w"])
    assert (b is None) == (wanted["bias"] is None)
    close(name, at[1]["state"]["0.weight"][0], wanted["w_after_1"])
    if b is not None:
        close(name, b, wanted["bias"])
        close(name, at[1]["state"]["0.bias"].item(), wanted["bias_after_1"])
    close(name, end["outputs"][:, 0], wanted["outs"])
    reported = {
        "err_sum_first": at[0]["signed"], "err_sum_second": at[1]["signed"],
        "err_sum_last_printed": at[9999]["signed"], "err_sum_after": end["signed"],
        "half_sse": end["half_sse"], "mse": end["mse"], "bce_sum": end["ce_sum"],
    }  # fmt: skip
    for key, value in reported.items():
        close(name, value, wanted[key])
    for step, numbers in wanted["trace"].items():
        w, b = weights(at[int(step)]["state"])
        close(name, w, numbers["w"])
        if b is not None:
            close(name, b, numbers["bias"])
        close(name, at[int(step)]["signed"], numbers["err_sum"])
        close(name, at[int(step)]["half_sse"], numbers["half_sse"])
    predictions = dict(zip(map(tuple, experiments.get(CASES[case]).data().inputs), end["outputs"][:, 0], strict=True))
    predictions |= {tuple(float(x) for x in key.split(",")): value for key, value in end["asked"].items()}
    for key, value in wanted["pred"].items():
        close(name, predictions[tuple(float(x) for x in key.strip("()").split(","))], value)


FIRST = [name for name in sorted(NUMBERS) if "_first_gradient_" in name]


@pytest.mark.parametrize("which", SIDES)
@pytest.mark.parametrize("name", FIRST)
def test_first_gradient(name, which, device):
    case, rule = name.removeprefix("part1_").split("_first_gradient_")
    side = side_of(which, experiment_of(case, rule), device)
    side.step(np.arange(len(side.inputs)))
    gradient, wanted = side.flat_gradients(), expected(name)
    close(name, gradient[: len(wanted["gw"])], wanted["gw"])
    if wanted["gb"] is None:
        assert len(gradient) == len(wanted["gw"])
    else:
        close(name, gradient[-1], wanted["gb"])


VARIANTS = [name for name in sorted(NUMBERS) if name.startswith("part1_virus") and "_without_" in name]


@pytest.mark.parametrize("which", ["manual", pytest.param("torch", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", VARIANTS)
def test_virus_with_a_row_or_a_column_less(name, which, device):
    rule, what = name.removeprefix("part1_virus_").split("_without_")
    experiment, given, wanted = experiment_of("virus", rule), NUMBERS[name]["inputs"], expected(name)
    if "rows" in given:
        experiment = replace(experiment, data=lambda: patients(tuple(given["rows"])))
    else:
        columns = given["columns"]
        data = replace(patients(), inputs=patients().inputs[:, columns], asked=())
        state = {"0.weight": np.array([given["w0"]]), "0.bias": np.array([given["b0"]])}
        network = replace(experiment.network, sizes=(3, 1))
        experiment = replace(experiment, data=lambda: data, weights=lambda *_: state, network=network)
    side = train(which, experiment, device)
    w, b = weights(side.state())
    close(name, w, wanted["w"])
    close(name, b, wanted["bias"])
    close(name, side.report(HALF_SSE), wanted["half_sse"])
    close(name, side.predict(experiment.data().inputs)[:, 0], wanted["outs"])
    assert what in ("row3", "row6", "weight_loss")


def test_rows_3_and_6_contradict_each_other():
    data = patients()
    assert contradictions(data.inputs, data.targets) == [(3, 6)]
    assert contradictions(*(array[[0, 1, 3, 4, 5, 6, 7]] for array in (data.inputs, data.targets))) == []


@pytest.mark.parametrize("which", SIDES)
def test_virus_claims(which, device):
    """The largest weight is loss of smell, the smallest weight loss, under each of the three rules."""
    claims = expected("part1_virus_claims")
    for rule in ("published", "half_se", "bce"):
        end = trained(which, "virus", rule, device)[10_000]
        w, _ = weights(end["state"])
        assert SYMPTOMS[int(np.argmax(w))] in claims["largest_weight"].lower()
        assert SYMPTOMS[int(np.argmin(w))] in claims["smallest_weight"].lower()
        for inputs, label in claims["labels"].items():
            assert (end["asked"][inputs.strip("()").replace(" ", "")] > 0.5) == bool(label)


@pytest.mark.parametrize("which", SIDES)
def test_or_claims(which, device):
    claims = expected("part1_or_claims")
    for rule in ("published", "half_se", "bce"):
        outputs = trained(which, "or", rule, device)[10_000]["outputs"][:, 0]
        assert abs(outputs[2] - claims["pred_10_close_to"]) < 0.06
        assert abs(outputs[3] - claims["pred_11_close_to"]) < 0.06
        assert abs(outputs[0] - claims["pred_00_close_to"]) < 0.1
    for rule in ("published", "half_se"):
        # Without a bias the sum at (0, 0) is 0, whatever the weights: the output is one half, exactly.
        output = trained(which, "or_nobias", rule, device)[10_000]["outputs"][0, 0]
        assert output == 0.5
        assert abs(output - claims["nobias_00_far_from"]) > 0.4


RATES = [name for name in sorted(NUMBERS) if name.startswith("part1_or_lr_")]


@pytest.mark.parametrize("which", ["manual", pytest.param("torch", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", RATES)
def test_learning_rates(name, which, device):
    rate = NUMBERS[name]["inputs"]["lr"]
    for rule, value in zip(NUMBERS[name]["inputs"]["rule"], expected(name)["half_sse"], strict=True):
        side = train(which, replace(experiment_of("or", rule), lr=rate), device)
        close(name, side.report(HALF_SSE), value)


@pytest.mark.parametrize("which", SIDES)
def test_xor_with_one_layer(which, device):
    experiment = replace(experiments.get("xor"), loss=CE_SUM)
    side = train(which, experiment, device)
    close(
        "part1_xor_single_layer_bce",
        side.predict(experiment.data().inputs)[:, 0],
        expected("part1_xor_single_layer_bce")["outs"],
    )
    close("part1_xor_single_layer_bce", side.report(HALF_SSE), expected("part1_xor_single_layer_bce")["half_sse"])


@pytest.mark.parametrize("which", SIDES)
def test_xor_with_a_hidden_layer(which, device):
    experiment = replace(experiments.get("xor").resized((2, 4, 1)), lr=1.0, epochs=6000)
    outputs = train(which, experiment, device).predict(experiment.data().inputs)
    assert accuracy(outputs, experiment.data().targets) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("which", SIDES)
def test_part_2_or_with_a_hidden_layer(which, device):
    name, experiment = "part2_or_hidden3_nobias", experiments.get("or_hidden")
    wanted, side = expected(name), side_of(which, experiment, device)
    assert side.state()["0.weight"].T.tolist() == NUMBERS[name]["inputs"]["wh"]
    assert side.state()["2.weight"].T.tolist() == NUMBERS[name]["inputs"]["wo"]
    for step in range(experiment.epochs):
        if step == experiment.epochs - 1:
            close(name, side.report(HALF_SSE), wanted["last_half_sse"])  # printed before the last update
        side.step(np.arange(4))
    close(name, side.state()["0.weight"].T, wanted["wh"])
    close(name, side.state()["2.weight"].T, wanted["wo"])
    for inputs, value in wanted["pred"].items():
        x = np.array([[float(number) for number in inputs.strip("()").split(",")]])
        close(name, side.predict(x).item(), value)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_part_2_xor_with_a_hidden_layer(seed):
    experiment = replace(experiments.get("xor_hidden"), seed=seed)
    side = train("manual", experiment)
    assert 5e-4 < side.report(HALF_SSE) < 8e-4
    assert accuracy(side.predict(experiment.data().inputs), experiment.data().targets) == 1.0
