"""Part I's derivative of the sigmoid, taken at the output: what it is the gradient of, and what it changes.

For one layer, z = x W^T + b and a = s(z), the published delta is (a - t) s'(a). It is dG/dz of

    G = sum_i integral from 0 to z_i of (s(u) - t_i) s'(s(u)) du,

so that descent lowers G, a loss that nobody states. G is checked by quadrature: by hand with central
differences of it, on the other side by autograd through it. With a hidden layer there is no such G: a
gradient has a symmetric Jacobian, and the published rule's is not.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import manual.networks.perceptron
import manual.nn
import torch_impl.networks.perceptron
from handgrad import experiments
from handgrad.errata.entry import PART_1, Erratum, Finding, both, each
from handgrad.errata.pair import Pair, or_gate, start
from manual.nn.activation import sigmoid

Array = np.ndarray[Any, np.dtype[Any]]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)  # exact to rounding for integrals this smooth
STEP = 1e-5  # of the central differences
OR_WEIGHTS = np.array([0.1, 0.2, 0.3])  # w1, w2 and the bias
ASYMMETRY = 0.05353463914  # of the published rule in the network below


def e4() -> list[Finding]:
    """One step, the gradient at the start of OR, the loss that is behind it, and the trained outputs."""
    worked = {rule: first_step("or_worked", rule) for rule in ("published", "right")}
    gate = {rule: first_step("or_gate", rule) for rule in ("published", "right")}
    g = unstated_loss_differences(), unstated_loss_autograd()
    ends = {rule: or_gate(published=rule == "published") for rule in ("published", "right")}
    names = ["dE/dw1", "dE/dw2", "dE/db"]
    published = [-0.17180820272401937, -0.1657613850414471, -0.12522470653362205]
    right = [-0.17748785489739807, -0.16979171151537464, -0.12578406574887385]
    return [
        "The worked example, x = (0, 1), output 0.68997, target 1:",
        both("published: s(a) (1 - s(a))", slopes("published"), 0.22245686352248503),
        both("right: a (1 - a)", slopes("right"), 0.2139096965202944),
        both("published: dE/dw2", [side[1] for side in worked["published"]], -0.06896730454028231),
        both("right: dE/dw2", [side[1] for side in worked["right"]], -0.06631746465553921),
        "OR, at the initial weights:",
        *each([f"published: {name}" for name in names], gate["published"], published),
        *each([f"right: {name}" for name in names], gate["right"], right),
        "The gradient of the unstated loss G (central differences; autograd through the quadrature):",
        *each([f"of G: {name.replace('E', 'G')}" for name in names], g, published, atol=1e-9),
        "With a hidden layer, 2-2-1: how far the rule's Jacobian is from symmetric (0 for a gradient):",
        both("published", asymmetry("published"), ASYMMETRY, atol=1e-8),
        both("right", asymmetry("right"), 0.0, atol=1e-8),
        "OR after 10,000 epochs:",
        both("published: output for (0, 0)", ends["published"].outputs([[0, 0]]), 0.04112867409089018),
        both("right: output for (0, 0)", ends["right"].outputs([[0, 0]]), 0.08109225801062557),
        both("published: 1/2 sum of squares", ends["published"].losses(), 0.0012712443194169436),
        both("right: 1/2 sum of squares", ends["right"].losses(), 0.0058192905210488165),
    ]


def first_step(name: str, rule: str) -> tuple[Array, Array]:
    """Return both sides' gradients of the first step of a perceptron, the weights' and then the bias's."""
    experiment = experiments.get(name)
    pair: Pair = start(experiment.as_published() if rule == "published" else experiment)
    pair.step(np.arange(len(experiment.data().inputs)))
    hand, autograd = zip(*pair.gradients().values(), strict=True)
    return np.concatenate(hand), np.concatenate(autograd)


def slopes(rule: str) -> tuple[float, float]:
    """Return dout/din of the worked example, in = 0.8, on both sides."""
    by_hand, by_autograd = sigmoids(rule)
    total = np.array([0.8])
    hand = by_hand.backward(np.array([1.0]), by_hand.forward(total)[1])
    leaf = torch.tensor([0.8], dtype=torch.float64, requires_grad=True)
    (autograd,) = torch.autograd.grad(by_autograd(leaf), leaf, torch.ones_like(leaf))
    return float(hand.item()), float(autograd.item())


def sigmoids(rule: str) -> tuple[Any, Any]:
    """Return the sigmoid of both sides, with the published derivative or the right one."""
    if rule == "published":
        return manual.networks.perceptron.DoubleSigmoid(), torch_impl.networks.perceptron.DoubleSigmoid()
    return manual.nn.Sigmoid(), torch.nn.Sigmoid()


# ---------------------------------------------------------------------- one layer: the gradient of what


def unstated_loss_differences() -> Array:
    """Return the gradient of G for OR at its initial weights, by central differences of the quadrature."""
    data = experiments.get("or_gate").data()
    ones = np.column_stack([data.inputs, np.ones(4)])

    def loss(weights: Array) -> Any:
        z = ones @ weights[:, None]
        a = sigmoid(z / 2 * (NODES + 1))  # (4, nodes): s(u) at the nodes between 0 and z
        s = sigmoid(a)
        return ((z / 2) * WEIGHTS * (a - data.targets) * s * (1 - s)).sum()

    return np.array([(loss(OR_WEIGHTS + move) - loss(OR_WEIGHTS - move)) / (2 * STEP) for move in STEP * np.eye(3)])


def unstated_loss_autograd() -> Array:
    """Return the same by autograd through the quadrature."""
    data = experiments.get("or_gate").data()
    ones = torch.tensor(np.column_stack([data.inputs, np.ones(4)]))
    weights = torch.tensor(OR_WEIGHTS, requires_grad=True)
    z = ones @ weights[:, None]
    a = torch.sigmoid(z / 2 * torch.tensor(NODES + 1))
    s = torch.sigmoid(a)
    loss = ((z / 2) * torch.tensor(WEIGHTS) * (a - torch.tensor(data.targets)) * s * (1 - s)).sum()
    (gradient,) = torch.autograd.grad(loss, weights)
    return np.asarray(gradient.numpy())


# ---------------------------------------------------------------------- a hidden layer: of nothing


def asymmetry(rule: str) -> tuple[float, float]:
    """Return the largest |J - J^T| of a random 2-2-1 network's update rule on both sides.

    J is the Jacobian of the nine numbers that the rule takes for the gradient of 1/2 sum (y - t)^2.
    """
    return _asymmetry(_rule_by_hand(rule)), _asymmetry(_rule_by_autograd(rule))


def _asymmetry(field: Callable[[Array], Array]) -> float:
    at = np.random.RandomState(0).normal(size=9)
    jacobian = np.array([(field(at + move) - field(at - move)) / (2 * STEP) for move in STEP * np.eye(9)])
    return float(np.abs(jacobian - jacobian.T).max())


INPUTS = np.random.RandomState(1).normal(size=(4, 2))
TARGETS = np.array([[1.0], [0.0], [1.0], [0.0]])
SHAPES = ((2, 2), (2,), (1, 2), (1,))


def _rule_by_hand(rule: str) -> Callable[[Array], Array]:
    hidden, output = (sigmoids(rule)[0] for _ in range(2))
    nn = manual.nn
    network = nn.Sequential(nn.Linear(2, 2, dtype=np.float64), hidden, nn.Linear(2, 1, dtype=np.float64), output)
    parameters = list(network.parameters())

    def field(at: Array) -> Array:
        for parameter, part, shape in zip(parameters, np.split(at, [4, 6, 8]), SHAPES, strict=True):
            parameter.data, parameter.grad = part.reshape(shape), None
        y, saved = network.forward(INPUTS)
        network.backward(y - TARGETS, saved)
        return np.concatenate([np.ravel(parameter.grad) for parameter in parameters])  # type: ignore[arg-type]

    return field


def _rule_by_autograd(rule: str) -> Callable[[Array], Array]:
    hidden, output = (sigmoids(rule)[1] for _ in range(2))
    nn = torch.nn
    network = nn.Sequential(nn.Linear(2, 2), hidden, nn.Linear(2, 1), output).double()
    parameters = list(network.parameters())

    def field(at: Array) -> Array:
        torch.nn.utils.vector_to_parameters(torch.tensor(at), parameters)
        y = network(torch.tensor(INPUTS))
        gradients = torch.autograd.grad(0.5 * ((y - torch.tensor(TARGETS)) ** 2).sum(), parameters)
        return np.concatenate([gradient.numpy().ravel() for gradient in gradients])

    return field


ERRATA = (
    Erratum(
        "E4",
        PART_1,
        "The sigmoid's derivative is taken at its output",
        says="sigmoid_der(out), with out already the sigmoid of the sum: the factor is s(a) (1 - s(a)), 0.197 to 0.25.",
        right="The factor is a (1 - a), from 0 to 0.25. The page derives it so, and its code does not follow.",
        effect="For one layer it is descent on another loss that is stated nowhere; it hides saturation and so ends "
        "nearer to the targets. With a hidden layer it is the gradient of nothing.",
        ran="one step of the worked example and of OR, both rules; OR for 10,000 epochs at rate 0.05, both rules",
        run=e4,
    ),
)
