"""How good a trained network is, on every part of its samples: accuracy, confusion matrix, perplexity."""

from typing import TYPE_CHECKING, Any

import numpy as np

from handgrad.data import Data
from handgrad.experiment import Experiment
from handgrad.metrics import accuracy, class_accuracy, class_confusion, confusion_matrix

if TYPE_CHECKING:
    from handgrad.sides import ManualSide
    from handgrad.torch_side import TorchSide

Array = np.ndarray[Any, np.dtype[Any]]

SHOWN = 12  # classes whose confusion is printed


def summary(side: "ManualSide | TorchSide", data: Data) -> dict[str, dict[str, Any]]:
    """Return, of each part of the samples, how many there are, the loss, and what else can be said of it.

    Classes have an accuracy and a confusion matrix, M[t][p] of class t taken for class p; of the tokens of a text it
    is the share that is guessed right, and the perplexity exp(loss): the network is as unsure as one that draws blindly
    among so many tokens. Numbers have the root of their mean squared error, in
    their own units.
    """
    return {name: _of(side, data, *part) for name, part in data.parts.items()}


def _of(side: "ManualSide | TorchSide", data: Data, inputs: Array, targets: Array) -> dict[str, Any]:
    experiment: Experiment = side.experiment
    found: dict[str, Any] = {"samples": len(targets), "loss": side.evaluate(inputs, targets, experiment.report)}
    outputs = side.predict(inputs)
    if data.classes and targets.ndim > 1:
        same = experiment.loss == experiment.report
        mean = found["loss"] if same else side.evaluate(inputs, targets, experiment.loss)
        with np.errstate(over="ignore"):  # a loss above 709 has a perplexity that no float holds
            found |= {"perplexity": float(np.exp(mean)), "accuracy": class_accuracy(outputs, targets)}
    elif data.classes:
        found |= {"accuracy": class_accuracy(outputs, targets), "confusion": class_confusion(outputs, targets).tolist()}
    elif data.labels or (not data.target and set(np.unique(targets)) <= {0.0, 1.0} and targets.shape[1:] == (1,)):
        found |= {"accuracy": accuracy(outputs, targets), "confusion": confusion_matrix(outputs, targets).tolist()}
    else:
        apart = data.natural(outputs) - data.natural(targets)
        found["root_mean_square"] = float(np.sqrt((apart**2).mean()))
    return found


def lines(found: dict[str, dict[str, Any]], data: Data) -> list[str]:
    """Return the summary as text; the confusion of the last part alone, which is unseen where there is one."""
    shown = []
    for name, part in found.items():
        numbers = [f"loss {part['loss']:.6g}"]
        numbers += [f"accuracy {part['accuracy']:.4f}"] if "accuracy" in part else []
        numbers += [f"perplexity {part['perplexity']:.4g}"] if "perplexity" in part else []
        numbers += [f"off by {part['root_mean_square']:.4g} (root mean square)"] if "root_mean_square" in part else []
        shown.append(f"  {name:10}  {part['samples']:>7,} samples  {', '.join(numbers)}")
    name, last = list(found.items())[-1]
    labels = data.classes or data.labels or ("0", "1")
    if "confusion" in last and len(labels) <= SHOWN:
        shown += ["", f"  {name}: rows are the true classes, columns what they are taken for", *_matrix(last, labels)]
    return shown


def _matrix(part: dict[str, Any], labels: tuple[str, ...]) -> list[str]:
    width = max(6, *(len(label) for label in labels), *(len(f"{n:,}") for row in part["confusion"] for n in row)) + 1
    head = "".join(f"{label:>{width}}" for label in labels)
    rows = zip(labels, part["confusion"], strict=True)
    return [f"  {'':{width}}{head}", *(f"  {k:>{width}}" + "".join(f"{n:>{width},}" for n in row) for k, row in rows)]
