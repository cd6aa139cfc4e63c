"""Accuracy and confusion matrix, counted by hand."""

import numpy as np
import pytest

from handgrad.metrics import accuracy, confusion_matrix, majority_share

OUTPUTS = np.array([0.9, 0.51, 0.2, 0.7, 0.1, 0.5, 0.3])[:, None]
TARGETS = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])[:, None]


def test_the_matrix_has_targets_in_rows_and_decisions_in_columns() -> None:
    assert confusion_matrix(OUTPUTS, TARGETS).tolist() == [[3, 1], [1, 2]]
    assert confusion_matrix(OUTPUTS[:3], TARGETS[:3]).tolist() == [[0, 0], [1, 2]]


def test_accuracy_is_correct_over_total() -> None:
    assert accuracy(OUTPUTS, TARGETS) == 5 / 7
    assert accuracy(OUTPUTS.ravel(), TARGETS.ravel()) == 5 / 7


def test_one_half_is_class_0_as_np_round_has_it() -> None:
    half, above = np.array([0.5]), np.array([np.nextafter(0.5, 1)])
    assert confusion_matrix(half, np.array([0.0])).tolist() == [[1, 0], [0, 0]]
    assert confusion_matrix(above, np.array([0.0])).tolist() == [[0, 1], [0, 0]]
    assert np.round(half) == 0


def test_nan_is_never_correct_and_never_counted() -> None:
    outputs = np.array([np.nan, np.nan, 0.9])
    targets = np.array([0.0, 1.0, 1.0])
    assert accuracy(outputs, targets) == 1 / 3
    assert confusion_matrix(outputs, targets).sum() == 1


def test_the_majority_is_the_larger_class_whichever_it_is() -> None:
    assert majority_share(TARGETS) == 4 / 7
    assert majority_share(1 - TARGETS) == 4 / 7


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (OUTPUTS, TARGETS.ravel(), "reshape"),  # NumPy would broadcast these to (7, 7)
        (OUTPUTS[:1], TARGETS, "reshape"),
        (OUTPUTS.T, TARGETS.T, "reshape"),
        (np.zeros((3, 2)), np.zeros((3, 2)), "reshape"),
        (np.zeros(()), np.zeros(()), "reshape"),
        (np.zeros((0, 1)), np.zeros((0, 1)), "no samples"),
        (OUTPUTS, TARGETS + 1, "neither 0 nor 1"),
        (OUTPUTS, TARGETS * np.nan, "neither 0 nor 1"),
    ],
)
def test_what_has_no_accuracy_is_refused(outputs: np.ndarray, targets: np.ndarray, message: str) -> None:
    for metric in (accuracy, confusion_matrix):
        with pytest.raises(ValueError, match=message):
            metric(outputs, targets)
