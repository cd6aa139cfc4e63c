"""What is said of a trained network, beside scikit-learn's figures and numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, root_mean_squared_error

from handgrad import experiments
from handgrad.data import IGNORED
from handgrad.metrics import class_confusion
from handgrad.sides import ManualSide
from handgrad.summary import lines, summary
from handgrad.torch_side import TorchSide


def sides_of(name, **changes):
    experiment = replace(experiments.get(name), **changes)
    data, state = experiment.data(), experiment.weights(5, experiment.network)
    return data, [kind(experiment, data, state) for kind in (ManualSide, TorchSide)]


@pytest.mark.parametrize("name", ["mlp", "adults"])
def test_classes_have_an_accuracy_and_a_confusion_matrix(name):
    data, sides = sides_of(name)
    for side in sides:
        found = summary(side, data)
        assert list(found) == ["train", "test"]
        for part, (inputs, targets) in data.parts.items():
            outputs = side.predict(inputs)
            guess = outputs.argmax(axis=1) if name == "mlp" else outputs[:, 0] > 0.5
            assert found[part]["samples"] == len(targets)
            assert found[part]["accuracy"] == accuracy_score(targets.reshape(-1), guess)
            assert found[part]["confusion"] == confusion_matrix(targets.reshape(-1), guess).tolist()


def test_texts_have_a_perplexity():
    """exp of the mean cross-entropy of the tokens that count; two sides say the same."""
    data, sides = sides_of("char_rnn", dtype="float64")
    found = [summary(side, data)["test"] for side in sides]
    logits = sides[0].predict(data.test_inputs)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    counted = data.test_targets != IGNORED
    entropy = -np.take_along_axis(log_p, np.where(counted, data.test_targets, 0)[..., None], -1)[..., 0][counted].mean()
    for part in found:
        assert part["perplexity"] == pytest.approx(np.exp(entropy), rel=1e-12)
        assert "confusion" not in part
    assert 20 < found[0]["perplexity"] < 35  # 27 letters, untrained


def test_numbers_have_the_root_of_their_mean_square():
    data, sides = sides_of("trial_and_error")
    for side in sides:
        wanted = root_mean_squared_error(data.targets, side.predict(data.inputs))
        assert summary(side, data)["train"]["root_mean_square"] == pytest.approx(wanted, rel=1e-14)


def test_what_does_not_count_is_not_counted():
    outputs = np.array([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0], [0.0, np.nan, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    targets = np.array([1, 2, 0, 2, IGNORED])
    assert class_confusion(outputs, targets).tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_the_text_shows_the_part_that_training_has_not_seen():
    data, (side, _) = sides_of("adults")
    text = "\n".join(lines(summary(side, data), data))
    (m_m, m_f), (f_m, f_f) = summary(side, data)["test"]["confusion"]
    assert "test: rows are the true classes" in text
    assert [row.split() for row in text.splitlines()[-2:]] == [["M", str(m_m), str(m_f)], ["F", str(f_m), str(f_f)]]
    assert text.splitlines()[-3].split() == ["M", "F"]
