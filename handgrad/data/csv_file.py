"""A strict reader of numeric tables in CSV files: what it cannot read without guessing, it refuses."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from handgrad.data.utf8 import decoded
from handgrad.errors import UsageError
from handgrad.parsing import NUMBER

Array = np.ndarray[Any, np.dtype[Any]]

SHOWN = 40  # characters of a field, and names of columns, that a message quotes
Records = list[tuple[int, list[str]]]


@dataclass(frozen=True, eq=False)
class Table:
    """What was read: `numbers` (N, C) in float64 under the C names of `columns`, and the text columns by name.

    `lines` holds each row's line in the file `path`, counted from 1 and with the header, for error messages.
    """

    path: Path
    columns: tuple[str, ...]
    numbers: Array
    texts: Mapping[str, tuple[str, ...]]
    lines: tuple[int, ...]


def read(path: Path, columns: Sequence[str] | None = None, texts: Sequence[str] = ()) -> Table:
    """Return the numeric `columns` of a CSV file, in the order asked for, and its columns `texts` as they stand.

    The file is UTF-8, with or without a byte order mark; its first line names the columns, in any order;
    fields are separated by commas and may be quoted; numbers have a point. None asks for every column that is
    not in `texts` as numbers. Columns that are not asked for are passed over. Empty lines at the end do no harm.

    Raises UsageError, one sentence with the file, the line, what was found and what is accepted, for all else.
    """
    path = Path(path)
    (first, header), *records = _records(path)
    names = _names(path, first, header)
    wanted = [name for name in names if name not in texts] if columns is None else list(columns)
    missing = [name for name in (*texts, *wanted) if name not in names]
    if (missing or columns is None) and all(NUMBER.fullmatch(name) for name in names):
        raise UsageError(f"{path}, line {first}: found only numbers; the first line names the columns")
    if missing:
        separator = next((character for character in ";\t" if character in header[0]), "") if len(header) == 1 else ""
        hint = f" and its fields are separated by {separator!r}; separate them by commas" if separator else ""
        raise UsageError(f"{path} has no column {_listed(missing)}: it has {_listed(names)}{hint}")
    if not records:
        raise UsageError(f"{path} names its columns, {_listed(names)}, but has no rows; at least one is needed")
    for line, fields in records:
        _check_row(path, line, fields, names)
    places = {name: names.index(name) for name in (*texts, *wanted)}
    numbers = [[_number(path, line, name, fields[places[name]]) for name in wanted] for line, fields in records]
    return Table(
        path,
        tuple(wanted),
        np.array(numbers, dtype=np.float64).reshape(len(records), len(wanted)),
        {name: tuple(_text(path, line, name, fields[places[name]]) for line, fields in records) for name in texts},
        tuple(line for line, _ in records),
    )


def classes(table: Table, column: str, values: Mapping[str, int]) -> Array:
    """Return a text column as targets (N, 1) of a classification: `values` gives each label's class, 0 or 1.

    Capital letters make no difference. Raises UsageError for a label that is not in `values`.
    """
    known = {label.casefold(): value for label, value in values.items()}
    for line, label in zip(table.lines, table.texts[column], strict=True):
        if label.casefold() not in known:
            raise UsageError(f"{table.path}, line {line}: {column} is {label!r}; it must be one of {_listed(values)}")
    found = [known[label.casefold()] for label in table.texts[column]]
    return np.array(found, dtype=np.float64)[:, None]  # (N, 1)


def refuse_one_class(targets: Array, labels: Sequence[str], where: object) -> None:
    """Raise UsageError where all targets are of one class: from them only that answer is learnt.

    `labels` names the classes 0, 1 and so on, `where` says in the message what holds the targets.
    """
    found = np.unique(targets)
    if len(found) == 1:
        label = labels[int(found[0])]
        needed = f"both {labels[0]} and {labels[1]}" if len(labels) == 2 else "two or more"
        raise UsageError(f"{where} has a single class, {label} in all {targets.size:,} rows; training needs {needed}")


def _records(path: Path) -> Records:
    """Return every record, the header included, with the line on which it starts."""
    try:
        text = decoded(path)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; name a CSV file") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; name a CSV file") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name a CSV file that can") from None
    records = list(_parsed(path, text))
    while records and not records[-1][1]:
        records.pop()
    if not records:
        raise UsageError(f"{path} is empty; a first line that names the columns and at least one row are needed")
    for line, fields in records:
        if not fields:
            raise UsageError(f"{path}, line {line}: found an empty line; only the end of the file may have some")
    return records


def _parsed(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) for each record; no fields for a line that holds at most white space."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            blank = len(fields) == 1 and fields[0].isspace()
            yield line, [] if blank else [field.strip() for field in fields]
            line = reader.line_num + 1  # a quoted field may run over several lines
    except csv.Error as error:
        raise UsageError(
            f'{path}, line {line}: cannot be split into fields ({error}); quote a field as "..."'
        ) from None


def _names(path: Path, line: int, names: list[str]) -> list[str]:
    for number, name in enumerate(names, 1):
        if not name:
            raise UsageError(f"{path}, line {line}: column {number} has no name; the first line names every column")
        if name in names[: number - 1]:
            raise UsageError(f"{path}, line {line}: the column {name!r} stands there twice; every name must be unique")
    return names


def _check_row(path: Path, line: int, fields: list[str], names: list[str]) -> None:
    if len(fields) != len(names):
        raise UsageError(
            f"{path}, line {line}: found {_counted(len(fields))}; the first line names {len(names)}: {_listed(names)}"
        )


def _number(path: Path, line: int, name: str, field: str) -> float:
    value = float(field) if NUMBER.fullmatch(field) else math.nan
    if not math.isfinite(value):
        _refuse(path, line, name, field, "a finite number such as 61.5")
    return value


def _text(path: Path, line: int, name: str, field: str) -> str:
    if not field:
        _refuse(path, line, name, field, "some text")
    return field


def _refuse(path: Path, line: int, name: str, field: str, accepted: str) -> NoReturn:
    found = repr(field if len(field) <= SHOWN else field[:SHOWN] + "...") if field else "empty"
    raise UsageError(f"{path}, line {line}: {name} is {found}; it must be {accepted}")


def _listed(names: Sequence[str] | Mapping[str, int]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _counted(fields: int) -> str:
    return f"{fields} field{'' if fields == 1 else 's'}"
