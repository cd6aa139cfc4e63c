"""`handgrad NAME ...` runs scripts/NAME.py."""

import importlib
import pkgutil
import sys

import scripts


def main() -> int:
    """Run the command named by the first argument with the rest of them."""
    names = sorted(module.name for module in pkgutil.iter_modules(scripts.__path__) if not module.name.startswith("_"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        asked = len(sys.argv) > 1 and sys.argv[1] in ("-h", "--help")
        print(f"usage: handgrad {{{','.join(names)}}} ... (each has --help)", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    status: int = importlib.import_module(f"scripts.{sys.argv[1]}").main(sys.argv[2:])
    return status


if __name__ == "__main__":
    sys.exit(main())
