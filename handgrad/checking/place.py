"""Where in the user's own forward something stands: the line, and the step of the chain rule that goes back over it."""

import linecache
from collections.abc import Collection, Iterable

from handgrad.checking.record import Node, Record

NO_LINE = "in torch's own code"
SHOWN = 3  # terms and lines of a chain; a tensor with more consumers is a loop's


def source(nodes: Iterable[Node]) -> str:
    """Return the lines of the code that called these operations, with their text where there is one file to read."""
    nodes = [node for node in nodes if node.line]
    if not nodes:  # a function of torch's own, that no line of theirs calls
        return NO_LINE
    lines = sorted({node.line for node in nodes})
    text = linecache.getline(nodes[0].file, lines[0]).strip() if len(lines) == 1 else ""
    shown = ", ".join(map(str, lines[:SHOWN])) + (" ..." if len(lines) > SHOWN else "")
    return f"line {shown}{f': {text}' if text else ''}"


def chain(record: Record, name: str, given: Collection[str]) -> str:
    """Return the chain rule's step to the gradient of `name` from the nearest tensors of `given` after it."""
    names = {id(record.named[n]): n for n in given if n != name}
    names[id(record.loss)] = "loss"
    reached = {id(record.named[name])}
    passed: list[Node] = []
    ends: list[str] = []
    for node in record.nodes:
        if not any(id(t) in reached for t in node.inputs) or not any(t.requires_grad for t in node.outputs):
            continue
        passed.append(node)
        for tensor in node.outputs:
            if id(tensor) in names:
                ends.append(names[id(tensor)])
            else:
                reached.add(id(tensor))
    if not passed or not ends:
        return ""
    ends = list(dict.fromkeys(ends))
    terms = [f"d{end} * (d {end} / d {name})" if end != "loss" else f"d loss / d {name}" for end in ends[:SHOWN]]
    return f"d{name} = {' + '.join(terms)}{' + ...' if len(ends) > SHOWN else ''}    {source(passed)}"
