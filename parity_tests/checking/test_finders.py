"""Causes beyond one operation's formula, on networks that the planted mistakes do not have."""

from typing import Any

import numpy as np
import torch

from handgrad import check

Arrays = dict[str, Any]
RNG = np.random.default_rng(8)
PARAMS = {"U": RNG.standard_normal((4, 4)), "V": RNG.standard_normal((4, 3))}
INPUTS = {"x": RNG.standard_normal((5, 6, 4)), "t": RNG.standard_normal((5, 3))}


def forward(params: Arrays, inputs: Arrays) -> Any:
    h = torch.zeros(5, 4, dtype=torch.float64)
    for step in range(6):
        h = torch.tanh(inputs["x"][:, step] + h @ params["U"])
    return ((h @ params["V"] - inputs["t"]) ** 2).sum(), {}


def found(wrong: str) -> tuple[str | None, list[str]]:
    """(first wrong tensor, ids of the causes) of the loop with one mistake in it."""

    def backward(params: Arrays, inputs: Arrays) -> Any:
        U, V, x, t = params["U"], params["V"], inputs["x"], inputs["t"]
        h = [np.zeros((5, 4))]
        for step in range(6):
            h.append(np.tanh(x[:, step] + h[-1] @ U))
        error = h[-1] @ V - t
        dV, dU, dh = h[-1].T @ (2 * error), np.zeros_like(U), 2 * error @ V.T
        if wrong == "samples in reverse":
            dV = h[-1][::-1].T @ (2 * error)
        for step in reversed(range(6)):
            read = h[-1] if wrong == "the last state at all steps" else h[step + 1]
            dz = dh * (1 - read**2)
            dU += h[step + 1 if wrong == "a step late" else step].T @ dz
            if wrong == "stopped early" and step == 3:
                break
            dh = np.zeros_like(dh) if wrong == "not carried" else dz @ (U - 0.01 * dU if wrong == "stepped" else U).T
        if wrong == "integers":
            dU = np.trunc(dU)
        return (error**2).sum(), {"U": dU, "V": dV}

    report = check(forward, backward, PARAMS, INPUTS)
    return report.first_wrong, [cause.id for cause in report.causes]


def test_right() -> None:
    assert found("") == (None, [])


def test_all_steps_of_a_loop_at_once() -> None:
    """No step has a name, so that only the sum over all shows."""
    assert found("a step late") == ("dU", ["BPTT-WRONG-STEP"])
    assert found("the last state at all steps") == ("dU", ["CACHE-STALE"])


def test_parts_of_a_sum() -> None:
    first, causes = found("stopped early")
    assert (first, causes[:1]) == ("dU", ["ACC-EARLY-RETURN"])
    first, causes = found("not carried")
    assert first == "dU"
    assert "BPTT-NO-CARRY" in causes


def test_order_and_precision() -> None:
    assert found("samples in reverse") == ("dV", ["LIN-SAMPLE-MISALIGNED"])
    assert found("integers") == ("dU", ["NUM-INT-TRUNC"])


def test_what_is_not_known_is_not_named() -> None:
    """A weight stepped anew at every step, with the sum so far, is no constant rate of the whole gradient."""
    assert found("stepped") == ("dU", [])
