"""How good a classifier is: accuracy and confusion matrix, by hand in NumPy.

A class is an output above one half. np.round would decide the same, but rounds halves to the even neighbour
(0.5 to 0, 1.5 to 2), so that its 0 at exactly one half is a side effect; `> 0.5` states it.
"""

from typing import Any

import numpy as np

from handgrad.data import IGNORED

Array = np.ndarray[Any, np.dtype[Any]]


def confusion_matrix(outputs: Array, targets: Array) -> Array:
    """Return M (2, 2), where M[t, p] counts the samples of class t that are taken for class p.

    `outputs` are probabilities of class 1 and `targets` classes, 0 or 1; both (N, 1) or both (N,). An output
    of NaN decides for neither class and is not counted, so that the entries then sum to less than N.

    Raises ValueError for unequal shapes (NumPy would broadcast (N, 1) == (N,) to (N, N)), for no samples and
    for targets other than 0 and 1.
    """
    _check(outputs, targets)
    matrix = np.zeros((2, 2), dtype=np.int64)
    for t in (0, 1):
        matrix[t, 0] = ((targets == t) & (outputs <= 0.5)).sum()
        matrix[t, 1] = ((targets == t) & (outputs > 0.5)).sum()
    return matrix


def accuracy(outputs: Array, targets: Array) -> float:
    """Return correct / total, as the tutorial has it: the share of samples on the confusion matrix's diagonal.

    Arguments and errors are those of `confusion_matrix`; an output of NaN is never correct.
    """
    return float(np.trace(confusion_matrix(outputs, targets)) / targets.size)


def class_accuracy(outputs: Array, targets: Array) -> float:
    """Return the share of targets whose class has the largest logit; of equal ones the first counts.

    `outputs` (..., classes), `targets` (...) classes; a target of IGNORED (-100) is left out. Raises ValueError for
    shapes that do not fit and where no target counts.
    """
    if outputs.shape[:-1] != targets.shape:
        raise ValueError(f"outputs {outputs.shape} need targets {outputs.shape[:-1]}, but have {targets.shape}")
    counted = targets != IGNORED
    if not counted.any():
        raise ValueError("there are no targets, so there is no accuracy; pass at least one")
    return float((outputs.argmax(axis=-1) == targets)[counted].mean())


def class_confusion(outputs: Array, targets: Array) -> Array:
    """Return M (classes, classes), where M[t, p] counts the targets of class t whose largest logit is that of class p.

    Arguments are those of `class_accuracy`; outputs with a NaN decide for no class and are not counted.
    """
    counted = (targets != IGNORED) & ~np.isnan(outputs).any(axis=-1)
    classes = outputs.shape[-1]
    pairs = targets[counted] * classes + outputs[counted].argmax(axis=-1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def majority_share(targets: Array) -> float:
    """Return the share of the larger class: the accuracy of always giving the same answer.

    `targets` are classes, 0 or 1, of shape (N, 1) or (N,); ValueError otherwise.
    """
    _check(targets, targets)
    share = float(targets.mean())
    return max(share, 1 - share)


def _check(outputs: Array, targets: Array) -> None:
    if outputs.shape != targets.shape or outputs.shape not in ((targets.size, 1), (targets.size,)):
        raise ValueError(
            f"outputs {outputs.shape} and targets {targets.shape} must be both (N, 1) or both (N,): reshape one"
        )
    if targets.size == 0:
        raise ValueError("there are no samples, so there is no accuracy; pass at least one")
    if not ((targets == 0) | (targets == 1)).all():
        raise ValueError("a target is neither 0 nor 1; only classes have an accuracy, numbers have a loss")
