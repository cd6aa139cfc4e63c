"""The CSV reader: what it reads, and in one sentence why it refuses all else."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handgrad.data.csv_file import classes, read, refuse_one_class
from handgrad.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


@pytest.mark.parametrize(
    "content",
    [
        b"w,h,sex\n133,65.5,F\n-1.6e2,.72,M\n",
        b"w,h,sex\n133,65.5,F\n-1.6e2,.72,M",
        b"w,h,sex\r\n133,65.5,F\r\n-1.6e2,.72,M\r\n\r\n\r\n",
        b"\xef\xbb\xbfw,h,sex\n133,65.5,F\n-1.6e2,.72,M\n  \n",
        b'"w","h","sex"\n"133","65.5","F"\n"-1.6e2",".72","M"\n',
        b" w , h , sex\n 133 , 65.5 , F \n -1.6e2 , +.72 , M \n",
        b"sex,h,also,w\nF,65.5,not a number,133.\nM,.72,,-160\n",
    ],
    ids=["plain", "no newline at the end", "windows", "byte order mark", "quoted", "spaces", "other order and columns"],
)
def test_the_same_table_in_many_forms(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    table = read(file, ("w", "h"), texts=("sex",))
    assert table.numbers.dtype == np.float64
    np.testing.assert_array_equal(table.numbers, [[133, 65.5], [-160, 0.72]], strict=True)
    assert table.texts == {"sex": ("F", "M")}
    assert (table.columns, table.lines, table.path) == (("w", "h"), (2, 3), file)


def test_the_columns_come_in_the_order_asked_for_and_none_asks_for_all_numbers(file: Path) -> None:
    file.write_text("a,name,b\n1,x,2\n")
    assert read(file, ("b", "a")).numbers.tolist() == [[2, 1]]
    found = read(file, texts=("name",))
    assert (found.columns, found.numbers.tolist()) == (("a", "b"), [[1, 2]])
    assert read(file, (), texts=("name",)).numbers.shape == (1, 0)


def test_a_quoted_field_may_hold_commas_quotes_and_lines_and_the_count_of_lines_stays_right(file: Path) -> None:
    file.write_text('name,a\n"Smith, ""Jo""\nand others",1\nx,2\n')
    table = read(file, ("a",), texts=("name",))
    assert table.texts["name"] == ('Smith, "Jo"\nand others', "x")
    assert table.lines == (2, 4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_every_float64_survives_its_way_through_a_file(tmp_path: Path, values: list[float]) -> None:
    path = tmp_path / "any.csv"
    path.write_text("x\n" + "".join(f"{value!r}\n" for value in values))
    found = read(path).numbers[:, 0]
    np.testing.assert_array_equal(found.view(np.int64), np.array(values).view(np.int64))  # the sign of 0 as well


# content, the line that is named (None: the file as a whole), and what else the message says
REFUSED = {
    "empty file": (b"", None, "is empty"),
    "empty lines alone": (b"\n\r\n  \n", None, "is empty"),
    "header only": (b"a,b\n", None, "no rows"),
    "header without newline": (b"a,b", None, "no rows"),
    "header and empty lines": (b"a,b\n\n\n", None, "no rows"),
    "empty first line": (b"\na,b\n1,2\n", 1, "empty line"),
    "empty line in the middle": (b"a,b\n1,2\n\n3,4\n", 3, "empty line"),
    "white space in the middle": (b"a,b\n1,2\n \t\n3,4\n", 3, "empty line"),
    "missing column": (b"a,c\n1,2\n", None, "has no column 'b': it has 'a', 'c'"),
    "other capitals": (b"a,B\n1,2\n", None, "has no column 'b': it has 'a', 'B'"),
    "semicolons": (b"a;b\n1;2\n", None, "separated by ';'"),
    "tabs": (b"a\tb\n1\t2\n", None, "separated by '\\t'"),
    "duplicate column": (b"a,b,a\n1,2,3\n", 1, "'a' stands there twice"),
    "duplicate column that is not asked for": (b"a,b,c,c\n1,2,3,4\n", 1, "'c' stands there twice"),
    "column without a name": (b"a,,b\n1,2,3\n", 1, "column 2 has no name"),
    "text": (b"a,b\n1,2\n3,tall\n", 3, "b is 'tall'; it must be a finite number"),
    "NaN": (b"a,b\n1,nan\n", 2, "b is 'nan'; it must be a finite number"),
    "NA": (b"a,b\nNA,1\n", 2, "a is 'NA'; it must be a finite number"),
    "infinity": (b"a,b\n1,-inf\n", 2, "b is '-inf'; it must be a finite number"),
    "overflow": (b"a,b\n1,1e999\n", 2, "b is '1e999'; it must be a finite number"),
    "decimal comma": (b'a,b\n"1,5",2\n', 2, "a is '1,5'; it must be a finite number such as 61.5"),
    "underscore": (b"a,b\n1,1_0\n", 2, "b is '1_0'"),
    "hexadecimal": (b"a,b\n1,0x1\n", 2, "b is '0x1'"),
    "digits of another script": ("a,b\n1,١\n".encode(), 2, "b is '١'"),
    "NUL": (b"a,b\n1,2\0\n", 2, "b is '2\\x00'"),
    "empty field": (b"a,b\n1,\n", 2, "b is empty"),
    "field of spaces": (b"a,b\n  ,1\n", 2, "a is empty"),
    "too few fields": (b"a,b\n1,2\n3\n", 3, "found 1 field; the first line names 2: 'a', 'b'"),
    "too many fields": (b"a,b\n1,2,3\n", 2, "found 3 fields; the first line names 2"),
    "a comma at the end": (b"a,b\n1,2,\n", 2, "found 3 fields"),
    "quote left open": (b'a,b\n1,2\n"3,4\n5,6\n', 3, "cannot be split into fields"),
    "text after a quote": (b'a,b\n"1"x,2\n', 2, "cannot be split into fields"),
    "Latin-1": (b"a,b\n1,2\n3,\xe9\n", 3, "found the byte 0xe9; the file must be UTF-8"),
    "UTF-16": (b"\xff\xfe" + "a,b\n1,2\n".encode("utf-16-le"), 1, "must be UTF-8"),
}


@pytest.mark.parametrize(("content", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_without_guessing_is_refused(
    file: Path, content: bytes, line: int | None, message: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read(file, ("a", "b"))
    text = str(caught.value)
    assert text.startswith(f"{file}, line {line}: " if line else f"{file} ")
    assert message in text
    assert "\n" not in text
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_first_line_of_numbers_is_a_row_and_no_header(file: Path) -> None:
    file.write_text("1,2\n3,4\n")
    with pytest.raises(UsageError, match="line 1: found only numbers; the first line names the columns"):
        read(file)
    assert read(file, ("1", "2")).numbers.tolist() == [[3, 4]]  # unless they were asked for by these names


def test_an_empty_text_is_refused_like_an_empty_number(file: Path) -> None:
    file.write_text("sex,a\nF,1\n,2\n")
    with pytest.raises(UsageError, match="line 3: sex is empty"):
        read(file, ("a",), texts=("sex",))
    with pytest.raises(UsageError, match="has no column 'gender'"):
        read(file, ("a",), texts=("gender",))


def test_a_long_field_is_not_quoted_in_full(file: Path) -> None:
    file.write_text("a\n" + 5000 * "9" + "\n")
    with pytest.raises(UsageError) as caught:
        read(file)
    assert len(str(caught.value)) < len(str(file)) + 120


def test_a_path_that_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read(tmp_path / "missing.csv")
    with pytest.raises(UsageError, match="is a folder"):
        read(tmp_path)
    (tmp_path / "plain").touch()
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "plain" / "people.csv")


def test_labels_become_classes(file: Path) -> None:
    file.write_text("sex,a\nfemale,1\nM,2\nF,3\n")
    table = read(file, ("a",), texts=("sex",))
    targets = classes(table, "sex", {"F": 1, "Female": 1, "M": 0})
    np.testing.assert_array_equal(targets, np.array([[1.0], [0.0], [1.0]]), strict=True)
    with pytest.raises(UsageError, match=r"line 2: sex is 'female'; it must be one of 'F', 'M'"):
        classes(table, "sex", {"F": 1, "M": 0})


def test_one_class_alone_is_refused() -> None:
    refuse_one_class(np.array([[0.0], [1.0], [0.0]]), ("M", "F"), "people.csv")
    for value, label in ((0.0, "M"), (1.0, "F")):
        with pytest.raises(UsageError, match=f"people.csv has a single class, {label} in all 3 rows"):
            refuse_one_class(np.full((3, 1), value), ("M", "F"), "people.csv")
