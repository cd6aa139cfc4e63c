"""Zhou's building blocks as they are retold: one neuron, three of them, the loss, and Alice's partials."""

from dataclasses import replace

import numpy as np
import torch

import manual.networks
import manual.nn
import torch_impl.networks
from handgrad import experiments
from handgrad.errata.entry import RETOLD, ZHOU, Erratum, Finding, Value, both, each, raised
from handgrad.errata.pair import Pair, start, trained
from handgrad.experiments._people import people

X = [2.0, 3.0]
FRANK = [[20.0, 2.0]]


def neuron(bias: float) -> tuple[float, float]:
    """Return the output of a neuron with w = [0, 1] for x = [2, 3] on both sides."""
    hand = manual.networks.Neuron([0.0, 1.0], bias)(np.array(X))
    autograd = torch_impl.networks.Neuron([0.0, 1.0], bias)(torch.tensor(X, dtype=torch.float64))
    return float(hand.item()), float(autograd.item())


def three_neurons(bias: float) -> tuple[float, float]:
    """Return the output of three neurons, all with w = [0, 1] and this bias, for x = [2, 3] on both sides."""
    hand = manual.networks.NeuronNetwork((0, 1), bias)(np.array(X))
    autograd = torch_impl.networks.NeuronNetwork((0.0, 1.0), bias)(torch.tensor(X, dtype=torch.float64))
    return float(hand.item()), float(autograd.item())


def e2() -> list[Finding]:
    """The neuron with the bias of the text and that of the code."""
    return [
        both("bias 1, as the text has it: f(4)", neuron(1.0), 0.9820137900379085),
        both("bias 4, as the code has it: f(7)", neuron(4.0), 0.9990889488055994),
    ]


def e10() -> list[Finding]:
    """The network with the bias of the text and that of the code."""
    return [
        both("b = 4, as the text has it", three_neurons(4.0), 0.9933010896328802),
        both("b = 0, as the code has it", three_neurons(0.0), 0.7216325609518421),
    ]


def mean_squared_error(true: list[float], predicted: list[float]) -> tuple[float, float]:
    """Return the mean squared error on both sides."""
    hand = manual.nn.MSELoss()(np.array(predicted), np.array(true))
    tensors = (torch.tensor(side, dtype=torch.float64) for side in (predicted, true))
    return float(hand), float(torch.nn.MSELoss()(*tensors))


def e9() -> list[Finding]:
    """What becomes of three of the published lines without their commas."""
    weights, inputs = [0.0, 1.0], [23.0]  # [2, 3] without its comma
    by_hand = raised(ValueError, lambda: np.dot(weights, inputs))
    tensors = [torch.tensor(side, dtype=torch.float64) for side in (weights, inputs)]
    by_autograd = raised(RuntimeError, lambda: torch.dot(*tensors))
    return [
        "np.array([01]): " + raised(SyntaxError, lambda: compile("np.array([01])", "lesson", "eval")),
        "np.dot([0, 1], [23]): " + by_hand,
        "The same in torch: " + by_autograd,
        both("that product", ("refused" if "Error" in text else "taken" for text in (by_hand, by_autograd)), "refused"),
        both("the loss of [1001] and [0000]", mean_squared_error([1001.0], [0.0]), 1002001.0),
        both("the loss of [1, 0, 0, 1] and [0, 0, 0, 0]", mean_squared_error([1, 0, 0, 1.0], [0, 0, 0, 0.0]), 0.5),
    ]


def e11() -> list[Finding]:
    """The network trained on what is left of the table."""
    alone = replace(experiments.get("people"), data=lambda: people("Alice"))
    seeds = range(5)
    outputs = np.array([trained(replace(alone, seed=seed)).outputs(FRANK) for seed in seeds])[:, :, 0]
    left = start(alone)
    taken_for_female = (outputs > 0.5).sum(axis=0)
    return [
        both("samples left of 4", [len(side.inputs) for side in (left.hand, left.autograd)], 1),
        *each([f"Frank's output, seed {seed}" for seed in seeds], outputs.T),
        both("Frank is taken for female, of 5", taken_for_female, 5),
    ]


def e24() -> list[Finding]:
    """Alice's first partial, exact and from factors rounded before they are multiplied."""
    alice = start(experiments.get("alice"))
    hand, autograd = factors_by_hand(alice), factors_by_autograd()
    alice.step(np.array([0]))
    d_w1 = [float(side[0]) for side in alice.gradients()["w1"]]
    stated = [-0.9526096518320006, 0.24943853872512894, -0.09035331946182427]
    return [
        *each(["dL/dypred", "dypred/dh1", "dh1/dw1"], (hand, autograd), stated),
        both("their product, dL/dw1", d_w1, 0.02146953526581111),
        Value("the product of -0.952, 0.249 and -0.0904", -0.952 * 0.249 * -0.0904, None, 0.0214291392),
        both("dL/dw1 to four places, printed 0.0214", [f"{side:.4f}" for side in d_w1], "0.0215"),
        both("dL/dypred to three places, printed -0.952", [f"{side[0]:.3f}" for side in (hand, autograd)], "-0.953"),
    ]


def factors_by_hand(alice: Pair) -> list[float]:
    """Return dL/dypred, dypred/dh1 and dh1/dw1 from what the network saved; w5 = 1."""
    _, saved = alice.hand.network.forward(alice.hand.inputs)
    x1, h1, y = (saved[name].item() for name in ("x1", "h1", "ypred"))
    return [-2 * (1 - y), y * (1 - y), x1 * h1 * (1 - h1)]


def factors_by_autograd() -> list[float]:
    """Return the same three, each differentiated by itself."""
    w1 = torch.ones((), dtype=torch.float64, requires_grad=True)
    h1 = torch.sigmoid(-2 * w1 - 1)
    y = torch.sigmoid(h1 + h1.detach())  # h2 has the same value, but does not depend on w1
    chain = (((1 - y) ** 2, y), (y, h1), (h1, w1))
    return [float(torch.autograd.grad(of, by, retain_graph=True)[0]) for of, by in chain]


ERRATA = (
    Erratum(
        "E2",
        RETOLD,
        "The neuron has one bias in the text and another in the code",
        says="The text of the first example has a bias of 1, its code a bias of 4; the page prints 0.9990889488055994.",
        right="The printed number belongs to b = 4, as the original has it.",
        effect="Whoever follows the text gets 0.982 instead of 0.999. Nothing later uses this neuron.",
        ran="one forward of the neuron for each bias",
        run=e2,
    ),
    Erratum(
        "E9",
        RETOLD,
        "The commas in the arrays are lost",
        says="np.array([1, 0, 0, 1]) has become np.array([1001]), [0, 1] has become [01], [2, 3] has become [23].",
        right="With the commas the loss of the tutorial's example is 0.5.",
        effect="Two of the three lines stop with an error, but the loss gives 1002001 without a word.",
        ran="each of the three lines, and the loss with and without commas",
        run=e9,
    ),
    Erratum(
        "E10",
        RETOLD,
        "The network has one bias in the text and another in the code",
        says="Three neurons under the conditions of the example before, which had b = 4; the code has b = 0.",
        right="The printed output, 0.7216325609518421, belongs to b = 0.",
        effect="Whoever follows the text gets 0.9933 instead of 0.7216.",
        ran="one forward of the network for each bias",
        run=e10,
    ),
    Erratum(
        "E11",
        RETOLD,
        "The line breaks in the table are lost, and three of four people with them",
        says="The rows stand behind the comment of the first, so Bob, Charlie and Diana are part of that comment.",
        right="The table has four rows. With Alice alone every sample is a woman.",
        effect="The loss falls as it should, and the network calls Frank a woman: from all 5 seeds here,"
        " from 96 of seeds 0 to 99 (a count that the tests repeat by hand).",
        ran="1,000 epochs on Alice alone at rate 0.1 from each of seeds 0 to 4",
        run=e11,
    ),
    Erratum(
        "E24",
        ZHOU,
        "The worked partial derivative is a product of rounded factors",
        says="dL/dw1 = -0.952 * 0.249 * -0.0904 = 0.0214.",
        right="dL/dw1 = 0.02146953526581111, which rounds to 0.0215; dL/dypred rounds to -0.953.",
        effect="A check against the printed digits must allow 7e-4, which hides small mistakes; against these 1e-12.",
        ran="one step on Alice, all weights 1 and all biases 0",
        run=e24,
    ),
)
