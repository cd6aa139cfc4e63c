"""Running text and lists of names as sequences of characters: what follows what, and what is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from handgrad.data import IGNORED, describe, names
from handgrad.data.split import Shares
from handgrad.data.text import name_list, read_names, running_text
from handgrad.errors import UsageError

WHOLE = Shares(0, 0, 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.txt"


def read(data):
    """Return the samples as text: (what is given, what should follow) of each row."""
    rows = zip(data.inputs, data.targets, strict=True)
    return [tuple("".join(data.classes[token] for token in row if token != IGNORED) for row in pair) for pair in rows]


def test_the_target_of_each_character_is_the_next(file):
    file.write_bytes(b"hold the line\r\nno")
    data = running_text(file, 4, WHOLE)
    assert data.classes == tuple(sorted(set("hold the line\nno")))
    assert data.features == ("character",)
    # of 16 characters the last is nothing's input, and so three whole sequences are left
    assert read(data) == [("hold", "old "), (" the", "the "), (" lin", "line")]
    assert data.inputs.dtype == data.targets.dtype == np.int64


def test_letters_of_any_script_are_characters(file):
    file.write_text("\ufeffžluťoučký kůň 馬", encoding="utf-8")
    data = running_text(file, 3, WHOLE)
    assert "".join(given for given, _ in read(data)) == "žluťoučký kůň "[: 3 * len(data.inputs)]
    assert {"ž", "馬"} <= set(data.classes)
    assert "\ufeff" not in data.classes


def test_text_is_taken_apart_by_the_seed(file):
    file.write_text("".join(map(chr, range(48, 48 + 61))))
    data = running_text(file, 3, Shares(0.2, 0.1, 5))
    assert [len(x) for x, _ in data.parts.values()] == [14, 4, 2]
    assert len(np.unique(np.concatenate([x for x, _ in data.parts.values()]))) == 60
    for inputs, targets in data.parts.values():
        np.testing.assert_array_equal(inputs + 1, targets)
    assert data.source == {
        "kind": "text",
        "path": str(file),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "block": 3,
        "validation": 0.2,
        "test": 0.1,
        "seed": 5,
    }
    assert describe(data) == (
        "some.txt: 60 characters in 20 sequences of 3, 61 distinct ones; 14 to train, 4 to validate, 2 to test"
    )


def test_names_are_read_as_the_census_has_them(file):
    """The same file gives the same tokens; only the end is called a line's end there, and a point here."""
    file.write_text("\n".join(names.read()) + "\n\n", encoding="utf-8")
    data = name_list(file, WHOLE)
    inputs, targets = names.encode(names.read())
    np.testing.assert_array_equal(data.inputs, inputs)
    np.testing.assert_array_equal(data.targets, targets)
    assert data.classes == ("\n", *names.ALPHABET[1:])
    assert describe(data) == "some.txt: 5,163 names, 26 distinct letters, the longest of 11; 5,163 to train"


def test_names_have_any_letters_and_may_hold_spaces_and_points(file):
    file.write_text(" St. John \r\nÅsa\r\n", encoding="utf-8")
    data = name_list(file, WHOLE)
    assert read(data) == [("\nSt. John", "St. John\n"), ("\nÅsa" + 5 * "\n", "Åsa\n")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "--text .* is empty"),
        (b" \n\n", "--text .* is empty"),
        (b"aaaaaaaaaaaa", "a single character, 'a'"),
        (b"abcdefg", "has 7 characters, less than two of 4"),
        (b"abcd\nabcd\nab\xe9d\n", "line 3: found the byte 0xe9; the file must be UTF-8"),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 1100))).encode(), "1,100 different characters; fewer than 1,024"),
    ],
)
def test_text_that_is_refused(file, content, says):
    file.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        running_text(file, 4, WHOLE)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\n", "--names .* is empty"),
        (b"a\naa\n", "a single character, 'a'"),
        (b"ann\n\nbob\n", "line 2: found no name"),
        (b"ann\nb\xffb\n", "line 2: found the byte 0xff"),
        (b"ann\n" + 101 * b"b", "line 2: the name 'bbbbbbbbbbbbbbbbbbbb'... has 101 letters, of at most 100"),
    ],
)
def test_names_that_are_refused(file, content, says):
    file.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        name_list(file, WHOLE)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"--text .*nowhere cannot be read \(No such file"):
        running_text(tmp_path / "nowhere", 4, WHOLE)
    with pytest.raises(UsageError, match="Is a directory"):
        name_list(tmp_path, WHOLE)


def test_names_with_the_line_ends_of_old_macintoshes(tmp_path):
    (tmp_path / "names.txt").write_bytes(b"Ann\rBob\rCy\r")
    assert read_names(tmp_path / "names.txt") == ["Ann", "Bob", "Cy"]
