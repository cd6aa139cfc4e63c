"""What the tests of an explanation share: the tutorial's exact factors, and every experiment that has a chain."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from handgrad import experiments
from handgrad.experiment import Experiment, Loss, Network
from handgrad.explaining import Explanation, Step
from handgrad.explaining.step import explainable
from handgrad.weights import normal

# The exact values of the tutorial's example: Alice, all weights 1, all biases 0.
D_L_D_YPRED, D_YPRED_D_H, D_YPRED_D_W = -0.9526096518320006, 0.24943853872512894, 0.011829840503175546
D_H_D_FIRST, D_H_D_SECOND, D_H_D_B = -0.09035331946182427, -0.04517665973091214, 0.04517665973091214
ALICE = {
    "w1": ("h1", D_H_D_FIRST, 0.02146953526581111),
    "w2": ("h1", D_H_D_SECOND, 0.010734767632905555),
    "w3": ("h2", D_H_D_FIRST, 0.02146953526581111),
    "w4": ("h2", D_H_D_SECOND, 0.010734767632905555),
    "w5": ("", D_YPRED_D_W, -0.011269220242958155),
    "w6": ("", D_YPRED_D_W, -0.011269220242958155),
    "b1": ("h1", D_H_D_B, -0.010734767632905555),
    "b2": ("h2", D_H_D_B, -0.010734767632905555),
    "b3": ("", D_YPRED_D_H, -0.23761755952842809),
}


def explained(experiment: Experiment, parameter: str, number: int = 0) -> Explanation:
    step = Step(experiment, number)
    return step.explain(step.find(parameter))


def close(value: object, exact: float) -> None:
    np.testing.assert_allclose(np.asarray(value), exact, rtol=4e-16 * 8, atol=0)


def several_outputs() -> Experiment:
    """Three layers, two outputs, three samples, no two sizes alike but where the data has them so."""
    random = np.random.default_rng(5)
    inputs, targets = random.normal(size=(3, 4)), random.uniform(size=(3, 2))
    layered = experiments.get("layered")
    data = replace(layered.data(), inputs=inputs, targets=targets, features=("x1", "x2", "x3", "x4"), rows=())
    network = Network("mlp", (4, 3, 5, 2))
    return replace(layered, data=lambda: data, network=network, weights=normal, loss=Loss("squared_error", 0.5, "mean"))


def all_cases() -> Iterator[tuple[str, Experiment]]:
    for name in experiments.names():
        experiment = experiments.get(name)
        if explainable(experiment):
            yield name, experiment
            if experiment.published:
                yield f"{name} published", experiment.as_published()
            for inputs in experiment.inputs:
                yield f"{name} {inputs}", experiment.with_inputs(inputs)
    layered, xor = experiments.get("layered"), experiments.get("xor")
    yield "layered 2,3,4,1", layered.resized((2, 3, 4, 1))
    yield "layered 2,3,1,4,1", layered.resized((2, 3, 1, 4, 1))
    yield "layered 2,1,1,1,1,1", layered.resized((2, 1, 1, 1, 1, 1))
    yield "layered published 2,3,1", layered.as_published().resized((2, 3, 1))
    yield "xor 2,4,1", xor.resized((2, 4, 1))
    yield "people float32", replace(experiments.get("people"), dtype="float32")
    yield "several outputs", several_outputs()


CASES = dict(all_cases())
