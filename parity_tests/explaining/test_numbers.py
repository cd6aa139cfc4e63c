"""Every factor and every sum is what the tutorial, or autograd, has for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handgrad import experiments
from handgrad.explaining import Step
from handgrad.loop import Order
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from parity_tests.explaining.cases import ALICE, CASES, D_L_D_YPRED, D_YPRED_D_H, close, explained, several_outputs


@pytest.mark.parametrize("parameter", ALICE)
def test_alice_has_the_tutorials_factors(parameter: str) -> None:
    hidden, last, gradient = ALICE[parameter]
    found = explained(experiments.get("alice"), parameter)
    names = ["d_L_d_ypred", *([f"d_ypred_d_{hidden}"] if hidden else []), f"d_{hidden or 'ypred'}_d_{parameter}"]
    values = [D_L_D_YPRED, *([D_YPRED_D_H] if hidden else []), last]
    assert [factor.name for factor in found.chain.factors] == names
    for factor, value in zip(found.chain.factors, values, strict=True):
        close(factor.values, value)
    for value in (found.gradient, found.by_hand, found.autograd):
        close(value, gradient)
    assert found.ok


@pytest.mark.parametrize(
    ("published", "slope", "gradient"),
    [(False, 0.2139096965202944, -0.06631746465553921), (True, 0.22245686352248503, -0.06896730454028231)],
)
def test_the_worked_perceptron(published: bool, slope: float, gradient: float) -> None:
    experiment = experiments.get("or_worked")
    found = explained(experiment.as_published() if published else experiment, "w2")
    assert found.chain.name == "dE/dw2"
    assert [factor.name for factor in found.chain.factors] == ["dE/dout", "dout/din", "din/dw2"]
    for factor, value in zip(found.chain.factors, (-0.3100255188723875, slope, 1.0), strict=True):
        close(factor.values, value)
    close(found.gradient, gradient)
    formula = "sigmoid(out) * (1 - sigmoid(out))" if published else "out * (1 - out)"
    assert found.chain.factors[1].formula == formula
    assert (
        found.chain.factors[1].line.path
        == f"manual/{'networks/perceptron' if published else 'nn/activation/sigmoid'}.py"
    )


@pytest.mark.parametrize("case", CASES)
def test_every_sum_of_products_is_autograds_gradient(case: str) -> None:
    step = Step(CASES[case])
    found = [step.explain(entry) for entry in step.entries()]
    reference = TorchSide(step.experiment, step.data, step.initial)
    reference.step(step.rows)
    expected = reference.flat_gradients()
    tolerance = {"float64": 1e-13, "float32": 1e-5}[step.experiment.dtype]
    # Near a saturated sigmoid, 1 - a has lost its digits on both sides: hence the absolute part.
    np.testing.assert_allclose(
        [each.gradient for each in found], expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
    )
    assert all(each.ok for each in found)
    assert max(each.units for each in found) < 1  # far from the limit, so that the limit means something


def test_factors_of_a_three_layer_network_are_autograds_partials() -> None:
    step = Step(several_outputs())
    side = TorchSide(step.experiment, step.data, step.initial)
    values = [side.inputs]
    for module in side.network:  # type: ignore[attr-defined]
        values.append(module(values[-1]))
        values[-1].retain_grad()
    side.objective(values[-1], side.targets).backward()
    x, _, a1, z2, a2, z3, a3 = (value.detach().numpy() for value in values)
    d_a1, d_a2, d_a3 = (values[n].grad.numpy() for n in (2, 4, 6))  # type: ignore[union-attr]

    def check(parameter: str, *expected: tuple[str, np.ndarray]) -> None:
        factors = step.explain(step.find(parameter)).chain.factors
        assert [factor.name for factor in factors] == [name for name, _ in expected]
        for factor, (_, partial) in zip(factors, expected, strict=True):
            np.testing.assert_allclose(factor.values, partial, rtol=1e-13)

    slope = a1[:, 2] * (1 - a1[:, 2])
    check(
        "0.weight[2,1]",
        ("dL/da1[2]", d_a1[:, 2]),
        ("da1[2]/dz1[2]", slope),
        ("dz1[2]/d(0.weight[2,1])", x[:, 1]),
    )
    check(
        "2.weight[4,0]",
        ("dL/da2[4]", d_a2[:, 4]),
        ("da2[4]/dz2[4]", a2[:, 4] * (1 - a2[:, 4])),
        ("dz2[4]/d(2.weight[4,0])", a1[:, 0]),
    )
    check(
        "4.bias[1]",
        ("dL/da3[1]", d_a3[:, 1]),
        ("da3[1]/dz3[1]", a3[:, 1] * (1 - a3[:, 1])),
        ("dz3[1]/d(4.bias[1])", np.ones(3)),
    )
    assert z2.shape != z3.shape
    first = step.explain(step.find("0.weight[2,1]")).chain.factors[0]
    assert first.formula == "sum over j of dL/dz2[j] * 2.weight[j,2]   (10 paths to the loss)"
    assert step.explain(step.find("4.bias[1]")).chain.factors[0].formula == "0.5 * 2 * (a3[1] - t) / 6"


def test_one_path_is_shown_weight_by_weight() -> None:
    experiment = experiments.get("layered").resized((2, 3, 1, 1))
    step = Step(experiment)
    factors = step.explain(step.find("0.weight[2,1]")).chain.factors
    assert [factor.name for factor in factors] == [
        *("dL/da3", "da3/dz3", "dz3/da2", "da2/dz2", "dz2/da1[2]", "da1[2]/dz1[2]", "dz1[2]/d(0.weight[2,1])")
    ]
    assert factors[2].formula == "4.weight[0,0]"
    assert factors[4].formula == "2.weight[0,2]"
    np.testing.assert_array_equal(factors[4].values, [step.initial["2.weight"][0, 2]] * 2)


@pytest.mark.parametrize("order", ["fixed", "shuffle", "replacement"])
def test_step_k_comes_after_k_steps_by_hand(order: str) -> None:
    experiment = replace(experiments.get("people"), order=order, epochs=3)  # type: ignore[arg-type]
    following = Order(experiment, 4)
    rows = [following.next().rows for _ in range(12)]
    data = experiment.data()
    side = ManualSide(experiment, data, experiment.weights(experiment.seed, experiment.network))
    for batch in rows[:6]:
        side.step(batch)
    step = Step(experiment, 6)
    np.testing.assert_array_equal(step.rows, rows[6])
    for key, value in side.state().items():
        np.testing.assert_array_equal(step.state[key], value)
    assert all(step.explain(entry).ok for entry in step.entries())


def test_autograd_is_not_given_the_hand_written_gradient() -> None:
    """The value that is called autograd's is torch's own: it is what a network built here gives."""
    step = Step(experiments.get("alice"))
    parameters = {name: torch.tensor(1.0 if name[0] == "w" else 0.0, dtype=torch.float64) for name in ALICE}
    p = {name: value.requires_grad_() for name, value in parameters.items()}
    h1 = torch.sigmoid(-2 * p["w1"] - p["w2"] + p["b1"])
    h2 = torch.sigmoid(-2 * p["w3"] - p["w4"] + p["b2"])
    ((torch.sigmoid(p["w5"] * h1 + p["w6"] * h2 + p["b3"]) - 1) ** 2).backward()
    for entry in step.entries():
        gradient = p[entry.name].grad
        assert gradient is not None
        close(step.explain(entry).autograd, gradient.item())
