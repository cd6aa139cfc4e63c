"""Print the tutorials' errors that change a number: what is said, what is right, and both run on both sides."""

import argparse
import sys

from handgrad import cli
from handgrad.errors import UsageError


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(
        prog="errata.py",
        description=__doc__,
        epilog="The column `expected` is what the tutorial prints, or, where it prints nothing, what was computed once "
        "in float64 and checked against 34 digits; `not run` marks the few long trainings that only one side takes. "
        "Exit status: 0 every number as expected and both sides in parity, 1 not, 2 wrong use. "
        "All entries take about a minute; a training that several of them need is run once.",
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="the errors to show, such as E4 E12; all without any")
    parser.add_argument("--list", action="store_true", help="list the errors, a line each, and run nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("errata.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Parse the arguments and do what they ask for."""
    options = parser().parse_args(arguments)
    from handgrad.errata import ERRATA

    unknown = [name for name in options.ids if name.upper() not in ERRATA]
    if unknown:
        raise UsageError(f"there is no entry {', '.join(map(repr, unknown))}; choose from {' '.join(ERRATA)}")
    chosen = list(dict.fromkeys(name.upper() for name in options.ids)) or list(ERRATA)
    return list_entries(chosen, options) if options.list else run_entries(chosen, options)


def list_entries(chosen: list[str], options: argparse.Namespace) -> int:
    """Print a line for each entry."""
    from handgrad.errata import ERRATA, text

    if options.json:
        entries = [text.description(ERRATA[name]) for name in chosen]
        print(cli.document("errata", None, {"ids": chosen}, entries, "listed"))
    else:
        print("\n".join(line for name in chosen for line in text.listed(ERRATA[name])))
    return 0


def run_entries(chosen: list[str], options: argparse.Namespace) -> int:
    """Run each entry and print what was found."""
    from handgrad.errata import ERRATA, text

    shown = []
    for name in chosen:
        shown.append(text.Shown.of(ERRATA[name]))
        if not options.json:
            print("\n".join(shown[-1].lines()), end="\n\n", flush=True)
    if options.json:
        verdict = "in parity" if all(entry.ok for entry in shown) else "out of parity"
        print(cli.document("errata", None, {"ids": chosen}, [entry.plain() for entry in shown], verdict))
    else:
        print(text.verdict(shown))
    return 0 if all(entry.ok for entry in shown) else 1


if __name__ == "__main__":
    sys.exit(main())
