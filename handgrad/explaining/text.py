"""An explanation as a student reads it, and as plain values for --json."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from handgrad.explaining.factors import Factor
from handgrad.explaining.source import Line
from handgrad.explaining.step import UNITS_ALLOWED, Explanation, Step

Array = np.ndarray[Any, np.dtype[Any]]

WIDTH = 110
DIGITS = 14  # of a factor; of a product two less, so that the factors as printed multiply to it
FEWEST_DIGITS = 8  # in a table; where not even these fit, it is cut in two
SHORT = 6  # in the list of all parameters
SAMPLES_SHOWN = 8
# What the tutorial itself prints for a gradient: its steps are rounded to three digits.
PRINTED = {("alice", "w1"): "0.0214"}


def one(step: Step, found: Explanation) -> Iterator[str]:
    """Yield the explanation of one parameter, line by line."""
    yield from head(step)
    chain, label = found.chain, found.entry.label
    yield from _wrapped(f"{chain.name} = ", " * ".join(factor.name for factor in chain.factors))
    yield _quoted(chain.line)
    single = len(found.products) == 1
    for number, factor in enumerate(chain.factors, 1):
        yield ""
        yield from _factor(f"({number}) ", factor, single)
    yield ""
    if not single:
        yield from _table(step, found)
        yield ""
    numbers = [_number(factor.values[0], DIGITS) for factor in chain.factors]
    yield from (
        _wrapped("product     ", f"{' * '.join(numbers)} = {_number(found.products[0], DIGITS - 2)}") if single else ()
    )
    grad = f"{found.entry.own}.grad{_brackets(found.entry.own_index)}"
    yield f"{'by hand':12}{_number(found.by_hand, DIGITS - 2)}   manual: {grad} after network.backward()"
    yield f"{'autograd':12}{_number(found.autograd, DIGITS - 2)}   torch_impl: {grad} after loss.backward()"
    apart = f"{found.difference:.3g}, {found.units:.2g} units of rounding ({UNITS_ALLOWED:g} are allowed)"
    yield f"{'difference':12}{apart}: {'in parity' if found.ok else 'OUT OF PARITY'}"
    printed = PRINTED.get((step.experiment.name, label))
    if printed and step.number == 0:
        yield f"The tutorial rounds every number on the way to three digits, and so prints {printed}."


def every(step: Step, found: Sequence[Explanation]) -> Iterator[str]:
    """Yield a line for each parameter, and how to ask for one."""
    yield from head(step)
    rows = []
    for each in found:
        factors = each.chain.factors
        if len(each.products) == 1:
            product = " * ".join(_number(factor.values[0], SHORT) for factor in factors)
        else:
            product = " * ".join(factor.name for factor in factors)
        mark = "" if each.ok else "   OUT OF PARITY"
        rows.append((each.entry.label, _number(each.gradient, SHORT), product + mark))
    labels, numbers = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    samples = len(found[0].products)
    yield "parameter and its gradient" + ("" if samples == 1 else f", the sum over {samples} samples of")
    for label, number, product in rows:
        yield from _wrapped(f"  {label:{labels}}  {number:>{numbers}} = ", product)
    wrong = sum(not each.ok for each in found)
    worst = max(each.units for each in found)
    yield ""
    yield (
        f"{len(found)} parameters, {f'{wrong} OUT OF PARITY' if wrong else 'all in parity with autograd'}: at most "
        f"{worst:.2g} units of rounding apart, {UNITS_ALLOWED:g} are allowed"
    )
    yield f"Each factor of one of them, with its line and autograd's nodes: add --parameter {found[0].entry.label}"


def head(step: Step) -> Iterator[str]:
    """Yield which step of which experiment it is."""
    experiment, rows = step.experiment, step.rows
    yield from _wrapped(f"{experiment.name}: ", experiment.title)
    called = {i: name for i, name in enumerate(step.data.features, 1) if name != f"x{i}"}
    if len(rows) == 1:
        inputs = enumerate(step.data.inputs[rows[0]], 1)
        values = [f"x{i} = {x:g}" + (f" ({called[i]})" if i in called else "") for i, x in inputs]
        what = f"sample {_sample(step, 0)}: {', '.join(values)}; t = {', '.join(f'{t:g}' for t in step.targets[0])}"
    else:
        what = ", ".join([f"{len(rows)} samples", *(f"x{i} = {name}" for i, name in called.items())])
    yield from _wrapped(f"step {step.number}, ", what)
    yield f"loss = {experiment.loss} = {_number(step.loss, DIGITS - 2)}"
    if experiment.is_published:
        yield from _wrapped("published rule, with its mistake: ", experiment.published_note)
    yield ""


def _factor(mark: str, factor: Factor, single: bool) -> Iterator[str]:
    start = f"{mark}{factor.name} "
    yield from _wrapped(f"{start}= ", factor.formula)
    if single:
        value, filled = _number(factor.values[0], DIGITS), _filled(factor)
        if filled not in (factor.formula, value):
            yield from _wrapped(f"{'':{len(start)}}= ", filled)
        if value != factor.formula:
            yield f"{'':{len(start)}}= {value}"
    yield _quoted(factor.line)
    yield from _wrapped("    autograd  ", ", ".join(factor.nodes) or "none of its own")


def _quoted(line: Line) -> str:
    return f"    by hand   {line}  {line.code}"[:WIDTH]


def _filled(factor: Factor) -> str:
    """Return the formula with numbers for the symbols, those of the first sample."""

    def number(match: re.Match[str]) -> str:
        if match[0] not in factor.symbols:
            return match[0]
        text = _number(factor.symbols[match[0]][0], DIGITS - 2)
        return f"({text})" if text.startswith("-") else text

    return re.sub(r"[A-Za-z_]\w*(\[\d+\])?", number, factor.formula)


def _table(step: Step, found: Explanation) -> Iterator[str]:
    """Yield a row a sample: the factors by number, and their product; then the sum over all samples."""
    factors, samples = found.chain.factors, len(found.products)
    shown = min(samples, SAMPLES_SHOWN)
    names = [_sample(step, n) for n in range(shown)]
    first = max(len("sample"), *map(len, names))
    columns = [(f"({number})", factor.values) for number, factor in enumerate(factors, 1)]
    columns.append(("product", found.products))
    room = WIDTH - first
    per_block = min(len(columns), room // (FEWEST_DIGITS + 8))
    blocks = -(-len(columns) // per_block)
    per_block = -(-len(columns) // blocks)
    width = min(DIGITS + 8, room // per_block)  # sign, point, exponent and a gap make 8
    for start in range(0, len(columns), per_block):
        block = columns[start : start + per_block]
        yield f"{'sample':{first}}" + "".join(f"{title:>{width}}" for title, _ in block)
        for n in range(shown):
            digits = [width - 8 - 2 * (title == "product") for title, _ in block]
            cells = [f"{_number(values[n], d):>{width}}" for (_, values), d in zip(block, digits, strict=True)]
            yield f"{names[n]:{first}}" + "".join(cells)
    if samples > shown:
        yield f"... and {samples - shown} samples more, which the sum includes"
    yield f"{'sum':{first}}{_number(found.gradient, DIGITS - 2):>{width * len(block)}}"


def _sample(step: Step, position: int) -> str:
    row = int(step.rows[position])
    return step.data.rows[row] if step.data.rows else str(row)


def _number(value: float, digits: int) -> str:
    return f"{float(value) + 0.0:.{digits}g}"  # -0 is shown as 0


def _brackets(index: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, index))}]" if index else ""


def _wrapped(start: str, text: str) -> Iterator[str]:
    """Yield start and text in lines of at most WIDTH, the later ones indented as far as the text."""
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_long_words=False
    ) or [start.rstrip()]


def results(step: Step, found: Sequence[Explanation]) -> dict[str, Any]:
    """Return explanations as plain values; the verdict of each is `in_parity`."""
    samples = [_sample(step, n) for n in range(len(step.rows))]
    return {"step": step.number, "samples": samples, "loss": step.loss, "parameters": [_plain(each) for each in found]}


def _plain(found: Explanation) -> dict[str, Any]:
    return {
        "name": found.entry.name,
        "label": found.entry.label,
        "gradient_name": found.chain.name,
        "factors": [
            {
                "name": factor.name,
                "formula": factor.formula,
                "values": factor.values,
                "line": vars(factor.line),
                "nodes": list(factor.nodes),
            }
            for factor in found.chain.factors
        ],
        "line": vars(found.chain.line),
        "products": found.products,
        "gradient": found.gradient,
        "by_hand": found.by_hand,
        "with_autograd": found.autograd,
        "difference": found.difference,
        "units": found.units,
        "in_parity": found.ok,
    }
