"""A user's table: what its target is, by a rule that is stated; how it is scaled; and what is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from handgrad.data import contradictions, describe
from handgrad.data.split import Shares, split
from handgrad.data.tasks import as_data, read_samples
from handgrad.errors import UsageError

SHARES = Shares(0.25, 0.25, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Eight rows whose columns are of several kinds."""
    path = tmp_path / "some.csv"
    rows = [
        "x,y,name,grade,price,flag,same",
        *(f"{i},{i * i},{'cab'[i % 3]},{'no' if i % 2 else 'yes'},{i / 2},{10 - i % 3},4" for i in range(8)),
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_text_is_classes_and_numbers_are_a_number(file):
    samples = read_samples(file, ("y", "x"), "name")
    assert (samples.features, samples.labels, samples.target) == (("y", "x"), ("a", "b", "c"), "name")
    assert samples.targets.tolist() == [2, 0, 1, 2, 0, 1, 2, 0]
    assert samples.inputs[3].tolist() == [9, 3]
    samples = read_samples(file, ("x",), "price")
    assert (samples.labels, samples.targets.tolist()) == ((), [i / 2 for i in range(8)])


def test_the_task_can_be_said(file):
    samples = read_samples(file, ("x",), "flag", task="classes")
    assert samples.labels == ("8", "9", "10")  # as numbers go, and not as an alphabet has them
    assert samples.targets[:3].tolist() == [2, 1, 0]
    assert read_samples(file, ("x",), "flag").labels == ()
    with pytest.raises(UsageError, match="line 2: grade is 'yes'; it must be a finite number"):
        read_samples(file, ("x",), "grade", task="number")


def test_the_labels_can_be_named_in_their_order(file):
    samples = read_samples(file, ("x",), "grade", labels=("yes", "no", "perhaps"))
    assert samples.labels == ("yes", "no", "perhaps")
    assert samples.targets[:2].tolist() == [0, 1]
    assert read_samples(file, ("x",), "flag", labels=("10", "9", "8")).targets[:3].tolist() == [0, 1, 2]
    with pytest.raises(UsageError, match="line 3: label out of range: grade is 'no', --classes has yes, maybe"):
        read_samples(file, ("x",), "grade", labels=("yes", "maybe"))
    with pytest.raises(UsageError, match="a number has none"):
        read_samples(file, ("x",), "price", task="number", labels=("1", "2"))


def test_all_columns_but_the_target_are_features_unless_they_are_named(file):
    file.write_text("b,a,t\n1,2,u\n3,4,v\n")
    assert read_samples(file, None, "t").features == ("b", "a")
    file.write_text("b,a,t\n1,2,u\n3,tall,v\n")
    with pytest.raises(UsageError, match="line 3: a is 'tall'"):
        read_samples(file, None, "t")


@pytest.mark.parametrize(
    ("content", "target", "says"),
    [
        ("x,t\n1,2\n3,n/a\n5,6\n", "t", "line 3: t is 'n/a', but elsewhere a number; mend it, or say --task classes"),
        ("x,t\n1,2\n3,\n", "t", "line 3: t is empty"),
        ("x,t\n,2\n3,4\n", "t", "line 2: x is empty"),
        ("x,t\n1,a\n2,a\n", "t", "a single class, a in all 2 rows"),
        ("x,t\n1,a\n2,b\n", "u", "has no column 'u'"),
        ("x,t\n1,a\n2,b\n", "x", "is one of --features"),
        ("x,t\n" + "".join(f"1,n{i}\n" for i in range(300)), "t", "300 different labels, and at most 256"),
    ],
)
def test_what_is_refused(file, content, target, says):
    file.write_text(content)
    with pytest.raises(UsageError, match=says):
        read_samples(file, ("x",), target)
    file.write_text("t\na\nb\n")
    with pytest.raises(UsageError, match="no column beside t"):
        read_samples(file, None, "t")


@pytest.mark.parametrize("scale", ["standardise", "shift", "none"])
def test_the_constants_are_the_training_parts_alone(file, scale):
    samples = read_samples(file, ("x", "y"), "price")
    data = as_data(samples, "number", scale, SHARES)
    rows = split(8, SHARES, "")
    train, target = samples.inputs[rows.train], samples.targets[rows.train]
    shift = np.zeros(2) if scale == "none" else train.mean(axis=0)
    by = train.std(axis=0) if scale == "standardise" else np.ones(2)
    np.testing.assert_array_equal(data.shift, shift)
    np.testing.assert_array_equal(data.scale, by)
    assert not np.array_equal(shift, samples.inputs.mean(axis=0))  # the whole table's would be others
    for chosen, (inputs, targets) in zip(rows, data.parts.values(), strict=True):
        np.testing.assert_array_equal(inputs, data.normalise(samples.inputs[chosen]))
        np.testing.assert_allclose(data.natural(targets)[:, 0], samples.targets[chosen], rtol=4e-16, atol=4e-16)
    assert data.target_shift == (0 if scale == "none" else target.mean())
    assert data.target_scale == (target.std() if scale == "standardise" else 1)


def test_a_column_without_spread(file):
    samples = read_samples(file, ("x", "same"), "price")
    with pytest.raises(UsageError, match=r"same is the same in every row to train on.*--scale shift"):
        as_data(samples, "number", "standardise", SHARES)
    assert as_data(samples, "number", "shift", SHARES).inputs[:, 1].tolist() == [0] * 4
    with pytest.raises(UsageError, match="same is the same"):
        as_data(read_samples(file, ("x",), "same"), "number", "standardise", SHARES)
    # 0.1 added up is not 0.1 times the count: the spread comes out as rounding, and not as 0
    assert np.full((3, 1), 0.1).std(axis=0) > 0
    file.write_text("x,t\n" + "".join(f"0.1,{i}\n" for i in range(3)))
    with pytest.raises(UsageError, match="x is the same"):
        as_data(read_samples(file, ("x",), "t"), "number", "standardise", Shares(0, 0, 0))


def test_numbers_beyond_scaling(file):
    file.write_text("x,t\n1e308,1\n-1e308,2\n1e308,3\n")
    with pytest.raises(UsageError, match="too large or too small to be scaled; say --scale none"):
        as_data(read_samples(file, ("x",), "t"), "number", "standardise", Shares(0, 0, 0))


def test_the_three_forms(file):
    two, three = (read_samples(file, ("x",), name) for name in ("grade", "name"))
    data = as_data(two, "probability", "none", Shares(0, 0, 0))
    assert (data.labels, data.classes) == (("no", "yes"), ())
    assert data.targets.tolist() == [[1.0], [0.0]] * 4
    data = as_data(two, "logits", "none", Shares(0, 0, 0))
    assert (data.labels, data.classes) == (None, ("no", "yes"))
    assert data.targets.dtype == np.int64
    assert as_data(three, "logits", "none", Shares(0, 0, 0)).targets.tolist() == [2, 0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("form", ["probability", "logits"])
def test_one_class_to_train_on(file, form):
    file.write_text("x,t\n1,a\n2,a\n3,b\n")
    rows = [s for s in range(50) if 2 in split(3, Shares(0, 0.34, s), "").test]
    with pytest.raises(UsageError, match=r"the training part of .* has a single class, a in all 2 rows"):
        as_data(read_samples(file, ("x",), "t"), form, "none", Shares(0, 0.34, rows[0]))


def test_the_source_says_how_to_read_it_again(file):
    data = as_data(read_samples(file, ("y", "x"), "name"), "logits", "shift", SHARES)
    assert data.source == {
        "kind": "csv",
        "path": str(file),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "features": ["y", "x"],
        "target": "name",
        "task": "classes",
        "classes": ["a", "b", "c"],
        "scale": "shift",
        "validation": 0.25,
        "test": 0.25,
        "seed": 2,
    }


def test_nothing_negative_is_nothing_as_well():
    """-0 and 0 are equal inputs, though their bits differ."""
    assert contradictions(np.array([[0.0], [-0.0], [1.0]]), np.array([[1.0], [0.0], [1.0]])) == [(1, 2)]
    assert contradictions(np.array([[0.0], [-0.0], [1.0]]), np.array([1, 1, 0])) == []


def test_one_line_says_what_was_read(file):
    file.write_text("x,kind\n" + "1,b\n1,a\n1,a\n2,a\n-0.0,a\n0,b\n4,c\n5,c\n")
    data = as_data(read_samples(file, None, "kind"), "logits", "standardise", SHARES)
    assert describe(data) == (
        "some.csv: 8 rows, 1 feature (x), 3 classes (a 4, b 2, c 2), 5 contradictory rows; "
        "4 to train, 2 to validate, 2 to test"
    )
    file.write_text("x,n\n" + "".join(f"{i},{i % 3}\n" for i in range(1200)))
    data = as_data(read_samples(file, None, "n"), "number", "standardise", Shares(0.1, 0, 0))
    assert describe(data) == (
        "some.csv: 1,200 rows, 1 feature (x), n a number from 0 to 2 (3 whole numbers; --task classes takes them for "
        "labels), no contradictory rows; 1,080 to train, 120 to validate"
    )
    file.write_text("x,n\n" + "".join(f"{i},{250000.5 + i % 3}\n" for i in range(12)))  # large, but not whole
    data = as_data(read_samples(file, None, "n"), "number", "standardise", Shares(0, 0, 0))
    assert "n a number from 250000 to 250002, no" in describe(data)
