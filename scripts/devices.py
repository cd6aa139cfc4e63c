"""Say which devices the tensor path can run on, why not on the others, and how exactly it computes."""

import sys
from typing import Any

from handgrad import cli


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(prog="devices.py", description=__doc__, epilog="Exit status: 0 done, 2 wrong use.")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("devices.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Parse the arguments and print what there is."""
    options = parser().parse_args(arguments)
    from torch_impl.device import full_precision

    full_precision()  # as every training has it
    devices = found()
    if options.json:
        print(cli.document("devices", None, {}, devices, "listed"))
    else:
        print("\n".join(lines(devices)))
    return 0


def found() -> list[dict[str, Any]]:
    """Return, for each device, whether it can be used, for which dtypes, why not, and what it is."""
    import torch

    from torch_impl.device import KINDS, refusal, report

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    several = {"cuda": [f"cuda:{number}" for number in range(count)] or ["cuda"]}
    devices = []
    for name in (name for kind in KINDS for name in several.get(kind, [kind])):
        refused = {dtype: refusal(torch.device(name), getattr(torch, dtype)) for dtype in cli.DTYPES}
        dtypes = [dtype for dtype, reason in refused.items() if reason is None]
        why = next((reason[0] for reason in refused.values() if reason is not None), None)
        devices.append({"device": name, "usable": bool(dtypes), "dtypes": dtypes, "why_not": why})
        devices[-1]["report"] = report(name) if dtypes else None
    return devices


def lines(devices: list[dict[str, Any]]) -> list[str]:
    """Return the text: a line for each device, and what they have in common."""
    from torch_impl.device import FULL_PRECISION

    shown = [f"{each['device']:8}{described(each)}" for each in devices]
    common = devices[0]["report"]  # of the CPU, which is always usable
    on = {True: "on", False: "off"}
    versions = [f"PyTorch {common['torch']}", f"CUDA {common['cuda'] or 'none'}", f"threads {common['threads']}"]
    flags = [f"deterministic {on[common['deterministic']]}", f"cuDNN benchmark {on[common['benchmark']]}"]
    return [*shown, "; ".join(versions), "; ".join(["TF32 on" if common["tf32"] else FULL_PRECISION, *flags])]


def described(device: dict[str, Any]) -> str:
    """Return what a device is, or why it cannot be used."""
    if not device["usable"]:
        return f"not usable: {device['why_not']}"
    report = device["report"]
    size = "" if report["memory"] is None else f", {report['memory'] / 2**30:.1f} GiB"
    own = "".join(
        f", {label} {report[key]}" for key, label in (("cudnn", "cuDNN"), ("driver", "driver")) if report[key]
    )
    lacks = "" if device["why_not"] is None else f"; {device['why_not']}"
    return f"usable in {' and '.join(device['dtypes'])}: {report['name']}{size}{own}{lacks}"


if __name__ == "__main__":
    sys.exit(main())
