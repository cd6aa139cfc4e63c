"""What a network's outputs say: the probability of a class, a number in its units, and a label."""

from typing import Any

import numpy as np

from handgrad.data import Data

Array = np.ndarray[Any, np.dtype[Any]]

SHOWN = 10  # classes that a line of text has, the likeliest first


def answers(data: Data, outputs: Array) -> Array:
    """Return what outputs (N, outputs) stand for, in float64.

    Of classes their probabilities (N, classes), softmax of the logits; of a number (N, 1) in the target's units; of two
    classes with one output, which is the probability of the second, that output (N, 1).
    """
    outputs = outputs.astype(np.float64)
    if data.classes:
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
    return data.natural(outputs)


def label(data: Data, answer: Array) -> str:
    """Return the class that one answer is for, of equal probabilities the first; an empty text where it is a number."""
    return data.classes[int(answer.argmax())] if data.classes else data.label(float(answer[0]))


def plain(data: Data, answer: Array) -> Any:
    """Return one answer for JSON: a number, or each class's probability by its label."""
    return dict(zip(data.classes, answer, strict=True)) if data.classes else float(answer[0])


def shown(data: Data, answer: Array) -> str:
    """Return one answer as text, in full precision where it is a single number."""
    if not data.classes:
        return f"{answer[0]:.17g}"
    order = np.argsort(-answer, kind="stable")
    listed = ", ".join(f"{data.classes[place]} {answer[place]:.6f}" for place in order[:SHOWN])
    return listed + (f" and {len(order) - SHOWN} more" if len(order) > SHOWN else "")
