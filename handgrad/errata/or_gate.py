"""Part I's statements about OR: the bias, the printed error, the learning rate, the derivatives."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

import manual.nn
import manual.objective
import torch_impl.objective
from handgrad import experiments
from handgrad.both_sides import loss_arguments
from handgrad.errata.entry import PART_1, Erratum, Finding, both, each
from handgrad.errata.pair import HALF_SSE, SIGNED_SUM, Pair, or_gate, start, virus
from handgrad.experiment import Loss
from handgrad.loop import run

Array = np.ndarray[Any, np.dtype[Any]]
ORIGIN = [[0.0, 0.0]]
ROWS = ("0,0", "0,1", "1,0", "1,1")


def e13() -> list[Finding]:
    """The output for (0, 0) without a bias, before and after the training."""
    untrained, end = start(experiments.get("or_gate_no_bias").as_published()), or_gate(bias=False)
    by_hand = dict(end.hand.network.named_children())["0"]
    by_autograd = dict(end.autograd.network.named_children())["0"]
    sums = by_hand(np.array(ORIGIN)), by_autograd(torch.tensor(ORIGIN, dtype=torch.float64)).detach()
    return [
        both("weighted sum for (0, 0), trained", sums, 0.0),
        both("output for (0, 0), untrained", untrained.outputs(ORIGIN), 0.5, atol=0),
        both("output for (0, 0), trained", end.outputs(ORIGIN), 0.5, atol=0),
        *each(["w1", "w2"], end.weights(), [4.616930695878155, 4.619950227257939]),
        both("1/2 sum of squares, 1/8 of it of (0, 0)", end.losses(), 0.12509549215763358),
    ]


def error(loss: Loss, outputs: list[float], targets: list[float]) -> tuple[float, float]:
    """Return `loss` of these outputs on both sides."""
    arguments = loss_arguments(loss, False)
    hand = manual.objective.Objective(*arguments)(np.array(outputs), np.array(targets))
    tensors = (torch.tensor(side, dtype=torch.float64) for side in (outputs, targets))
    return float(hand), float(torch_impl.objective.Objective(*arguments)(*tensors))


def crossing() -> tuple[tuple[int, int], Array]:
    """Return the epoch before whose update each side's signed sum is first above 0, and 1/2 SSE there."""
    pair = start(replace(experiments.get("or_gate").as_published(), epochs=100, report_every=1))
    signed: list[tuple[float, float]] = []
    squared: list[tuple[float, float]] = []

    def report(epoch: int) -> None:
        signed.append(pair.losses(SIGNED_SUM))
        squared.append(pair.losses(HALF_SSE))

    run(pair.experiment, 4, pair.step, report)
    positive = np.array(signed) > 0
    hand, autograd = (int(np.argmax(positive[:, side])) for side in (0, 1))
    return (hand, autograd), np.array([squared[hand][0], squared[autograd][1]])


def e15() -> list[Finding]:
    """The signed sum where nothing is right, in the run of OR, and at the end of the virus case."""
    outputs, targets = [0.75] * 4, [0.0, 1.0, 1.0, 1.0]
    epochs, squared = crossing()
    return [
        "Outputs 0.75, 0.75, 0.75, 0.75 for OR:",
        both("signed sum, as printed", error(SIGNED_SUM, outputs, targets), 0.0),
        both("1/2 sum of squares", error(HALF_SSE, outputs, targets), 0.375),
        "OR as published, printed before each epoch's update:",
        both("epoch at which the signed sum passes 0", epochs, 93),
        both("1/2 sum of squares there", squared, 0.2582250221632588),
        "The virus case after 10,000 epochs:",
        both("signed sum", virus().losses(SIGNED_SUM), 0.007815803032337032),
        both("1/2 sum of squares", virus().losses(), 0.2528272919728902),
    ]


def e16() -> list[Finding]:
    """1/2 SSE of OR after one number of epochs at rates from too small to too large."""
    stated = {
        1e-5: 0.3723900698385325,
        0.05: 0.0012712443194169436,
        500.0: 9.046238956316919e-32,
    }
    published = [
        both(f"published rule, rate {rate:g}", or_gate(rate).losses(), end, rtol=1e-10, atol=0)
        for rate, end in stated.items()
    ]
    return [
        "1/2 sum of squares after 10,000 epochs:",
        *published,
        both("right gradient, rate 0.05", or_gate(published=False).losses(), 0.0058192905210488165),
        both("right gradient, rate 500: diverged", or_gate(500.0, published=False).losses(), 0.5),
    ]


def e17() -> list[Finding]:
    """Both derivatives for the four rows of OR, at the initial weights."""
    pair: Pair = start(experiments.get("or_gate"))
    out, y = pair.outputs(pair.hand.inputs)
    targets = pair.hand.targets.ravel()
    logits = pair.hand.inputs @ [0.1, 0.2] + 0.3
    sigmoid = manual.nn.Sigmoid()
    by_hand = sigmoid.backward(np.ones(4), sigmoid.forward(logits)[1])
    leaf = torch.tensor(logits, requires_grad=True)
    (by_autograd,) = torch.autograd.grad(torch.sigmoid(leaf), leaf, torch.ones(4, dtype=torch.float64))
    output = torch.tensor(y, requires_grad=True)
    (d_out,) = torch.autograd.grad(0.5 * ((output - torch.tensor(targets)) ** 2).sum(), output)
    untrained = np.array([0.574442516811659, 0.6224593312018546, 0.598687660112452, 0.6456563062257954])
    first, second = (
        [f"{name}, row {row}" for row in ROWS] for name in ("dE/dout = out - t", "dout/din = out (1 - out)")
    )
    return [
        *each(first, (out - targets, d_out), untrained - targets),
        *each(second, (by_hand, by_autograd), untrained * (1 - untrained)),
    ]


ERRATA = (
    Erratum(
        "E13",
        PART_1,
        "Without a bias the output for (0, 0) is not zero",
        says="With the input (0, 0) and no bias the output will always be zero.",
        right="The weighted sum is 0; the output is sigmoid(0) = 0.5.",
        effect="The row can never be learned: it stays at exactly 0.5, and 1/2 (0.5)^2 = 1/8 of error with it.",
        ran="OR without a bias, as published, 10,000 epochs at rate 0.05",
        run=e13,
    ),
    Erratum(
        "E15",
        PART_1,
        'The printed "error" is a signed sum, and the mean squared error is half a sum',
        says="The text has a mean squared error, its formula is 1/2 sum (target - out)^2, and the code prints the sum "
        "of out - target before each update.",
        right="Errors of opposite sign cancel in that sum; what the descent is meant to lower is 1/2 sum (out - t)^2.",
        effect="The printed number does not measure progress: it passes 0 early in OR, and it ends near 0 in the "
        "virus case, where the squares cannot fall below 0.25.",
        ran="100 epochs of OR, reported at each; the virus case for 10,000 epochs; both as published at rate 0.05",
        run=e15,
    ),
    Erratum(
        "E16",
        PART_1,
        "The learning rate should not be as low as possible",
        says="Keep the learning rate as low as possible, for the least error.",
        right="For one number of epochs there is a rate too small to arrive and one too large to converge.",
        effect="At 1e-5 OR has hardly begun after 10,000 epochs; the right gradient diverges at 500. Only the "
        "published rule, which hides saturation (E4), goes on falling there.",
        ran="10,000 epochs of OR at each rate",
        run=e16,
    ),
    Erratum(
        "E17",
        PART_1,
        "The first two derivatives do depend on the input",
        says="dE/dout and dout/din do not depend on the input, only the third derivative does.",
        right="Both are functions of out, and out is a function of the input.",
        effect="None in the code, which computes them row by row; by the text they could be computed once for all.",
        ran="both derivatives at the initial weights of OR",
        run=e17,
    ),
)
