"""A network on a user's table: one of our own choice, or that of a named experiment where it fits."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from handgrad.data.split import Shares
from handgrad.data.tasks import Form, Samples, Scale, as_data
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, Loss, Network, Optimizer
from handgrad.weights import by_network, layer_shapes, normal

if TYPE_CHECKING:
    from handgrad.comparison import Comparison

HIDDEN = 16
LOSSES = {"probability": Loss("cross_entropy"), "logits": Loss("classes"), "number": Loss("squared_error")}
TAKES_TABLES = ("perceptron", "two_two_one", "mlp")
ANSWERS = {
    "probability": "tells two classes apart",
    "logits": "tells classes apart",
    "number": "predicts a number",
}


def table(samples: Samples, scale: Scale, shares: Shares) -> Experiment:
    """Return a layered network on a table: a hidden layer of 16 sigmoids, and what the target asks for behind it.

    Two classes have one sigmoid and cross-entropy, more a logit each, a number a linear output and squared error. The
    weights start as torch's Linear draws them, within 1 / sqrt(inputs): on standardised inputs no sigmoid is saturated
    then, however many features there are. (N(0, 1), the tutorials' way, saturates with many.)
    """
    form = _form(samples)
    outputs = len(samples.labels) if form == "logits" else 1
    sizes = (len(samples.features), HIDDEN, outputs)
    data = as_data(samples, form, scale, shares)
    return Experiment(
        name="table",
        title=f"a layered network {ANSWERS[form]}: {samples.target} from {', '.join(samples.features)}",
        source=str(samples.path),
        kind="training",
        data=lambda: data,
        network=Network("mlp", sizes, output="sigmoid" if form == "probability" else "identity"),
        weights=by_network,
        loss=LOSSES[form],
        report=LOSSES[form],
        optimizer=Optimizer("Adam"),
        lr=0.01,
        epochs=100,
        batch_size=32,
        order="shuffle",
        seed=shares.seed,
        resizable=True,
        remarks=errors if form == "number" else None,
    )


def on_table(experiment: Experiment, samples: Samples, scale: Scale, shares: Shares) -> Experiment:
    """Return a named experiment's network, loss and training on a table; UsageError where they do not fit it.

    The weights are drawn as the experiment draws them; where it has the tutorial's constants, for another number of
    inputs, they are drawn from N(0, 1).
    """
    network, where = experiment.network, f"{experiment.name} on {samples.path}"
    if experiment.kind != "training" or network.name not in TAKES_TABLES:
        raise UsageError(f"{where}: it trains on no table; leave the name out, or give one of people, layered, mlp ...")
    takes: Form = "logits" if experiment.loss.kind == "classes" else "number"
    if network.output == "sigmoid":
        takes = "probability"
    if takes != _form(samples) and (takes, len(samples.labels)) != ("logits", 2):
        found = f"has {len(samples.labels)} classes" if samples.labels else "is a number"
        raise UsageError(f"{where}: it {ANSWERS[takes]}, but {samples.target} {found}; leave the name out")
    features = len(samples.features)
    if network.name == "two_two_one" and features != 2:
        raise UsageError(f"{where}: its network has 2 inputs, but the table gives {features}; name two --features")
    outputs = len(samples.labels) if takes == "logits" else 1
    fitted = replace(network, sizes=(features, *network.sizes[1:-1], outputs))
    shapes = {name: values.shape for name, values in experiment.weights(experiment.seed, fitted).items()}
    weights = experiment.weights if shapes == layer_shapes(fitted) else normal
    on_it = experiment.with_samples(as_data(samples, takes, scale, shares), fitted, str(samples.path))
    return replace(on_it, weights=weights, remarks=errors if takes == "number" else None)


def _form(samples: Samples) -> Form:
    if not samples.labels:
        return "number"
    return "probability" if len(samples.labels) == 2 else "logits"


def errors(comparison: "Comparison") -> list[str]:
    """Return both sides' error of a number in its own units, beside that of always giving one answer."""
    data = comparison.data
    mean = data.natural(data.targets).mean()
    lines = [f"Root mean square error of {data.target} in its own units, each side with its own weights"]
    for part, (inputs, targets) in data.parts.items():
        wanted = data.natural(targets)
        hand, autograd = (np.sqrt(((data.natural(y) - wanted) ** 2).mean()) for y in comparison.outputs(inputs))
        always = np.sqrt(((mean - wanted) ** 2).mean())
        lines.append(
            f"  to {part:8} ({len(inputs):,}): by hand {hand:.6g}, with autograd {autograd:.6g}; "
            f"always the mean to train on, {mean:.6g}: {always:.6g}"
        )
    return lines
