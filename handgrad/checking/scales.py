"""Mistakes that show as one constant factor: each named only where it can be what it says."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from handgrad.checking.penalty import adds_penalty, penalises, terms
from handgrad.checking.record import Node, Record, Tensor
from handgrad.checking.rules import Use

MEANS = ("mean", "mse_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "smooth_l1_loss", "huber_loss")
# What stands between a prediction and the loss even where no target has come in yet.
REDUCING = (*MEANS, "sum", "pow", "_log_softmax", "nll_loss_forward", "log")

WITH_SIGN = ("sin", "cos", "exp", "log", "reciprocal", "rsqrt")
PRODUCTS = ("mm", "bmm", "baddbmm")
SUMS = ("sum", "linalg_vector_norm")

SHAPING = ("view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "clone", "unsqueeze", "squeeze")
NEARBY = 5  # operations that only change the shape between a product and its scale


def sizes(record: Record) -> dict[str, float]:
    """Return the numbers by which people wrongly multiply or divide here, with what each is."""
    found: dict[str, float] = {}
    batch = [record.named[n].shape[0] for n in record.inputs if record.named[n].dim() > 0]
    if batch:
        found["the batch size"] = float(max(set(batch), key=batch.count))
    for node in record.nodes:
        if node.op in MEANS and node.outputs and node.outputs[0].dim() == 0 and node.inputs[0].numel() > 1:
            found.setdefault("the mean's count", float(node.inputs[0].numel()))
    for size in sorted({int(size) for tensor in record.tensors for size in (*tensor.shape, tensor.numel())}):
        if size > 1 and float(size) not in found.values():
            found[f"the size {size}"] = float(size)
    return found


def named_ratio(use: Use, roles: Sequence[str], ratio: float, target: Tensor, fit: float) -> Iterator[tuple[str, str]]:
    """Yield (id, sentence) of all that multiplies a contribution by this constant; nothing where none is known.

    `fit` is how close the ratio is known, relatively.

    A lost contribution, 0, and one that is added twice are left to those who look at all contributions together.
    """

    def near(value: float) -> bool:
        return abs(ratio - value) <= fit * abs(value)

    operation, record = use.operation, use.record
    if near(1):
        return
    sign = near(-1) and target.grad_fn is not None
    if not sign and (penalises(record, operation.node, target) or adds_penalty(use, roles, target)):
        if abs(ratio) < fit:
            yield "REG-MISSING", "the penalty on it is in the loss, but not in its gradient"
        elif (target.grad_fn is None and target.numel() > 1) or near(2) or near(0.5):  # any ratio is one number's
            yield "REG-FACTOR", f"the penalty's part of the gradient is {ratio:.6g} times what it should be"
        return
    if abs(ratio) < fit:
        if len(terms(record)) > 1 and any(operation.output is term for term in terms(record)):
            yield "ACC-BRANCH-LOST", "a whole term of the loss is missing in this gradient"
        return
    of_loss = id(operation.node) in heads(record)
    handed = {"sub": ["x1"], "rsub": ["x0"], "neg": ["x0"]}.get(operation.node.op)
    if near(-1) and handed == list(roles):
        yield "OP-SUB-SIGN", "u - v hands -grad to v: the sign is lost"
        return
    if near(-1) and operation.node.op in WITH_SIGN and not of_loss:
        yield "ACT-WRONG-FORMULA", f"the derivative of {operation.node.op} has the wrong sign"
        return
    for scale, power in ((scale, power) for scale in sorted(constant_scales(use)) for power in (1, 2)):
        if near(scale**-power) or near(scale**power):
            missing = near(scale**-power)
            yield (
                "ATT-SCALE",
                f"the scale 1/sqrt(d) is {'missing in this gradient' if missing else 'applied once more'}",
            )
            return
    exponent = _power(operation.node)
    if exponent == 2 and of_loss:
        exponent = 0.0  # the loss's own
    if exponent and near(1 / abs(exponent)):
        yield "OP-POW", f"the factor {abs(exponent):g} of p x^(p - 1) is missing, for x^{exponent:g}"
        return
    found = list(_of_loss(use, roles, ratio, target, near))
    yield from found
    factor = _constant(operation.node)
    if not found and factor and near(1 / factor):
        yield "MUL-FACTOR-LOST", f"the constant factor {factor:g} is missing in the gradient"


def _power(node: Node) -> float:
    """Return the constant power that a node takes; 0 for other nodes."""
    if node.op == "pow" and isinstance(node.args[1], int | float):
        return float(node.args[1])
    return {"sqrt": 0.5, "rsqrt": -0.5}.get(node.op, 0.0)


def _of_loss(
    use: Use, roles: Sequence[str], ratio: float, target: Tensor, near: Callable[[float], bool]
) -> Iterator[tuple[str, str]]:
    """Yield what a factor is between the prediction and the loss, or of a parameter's whole gradient."""
    head = id(use.operation.node) in heads(use.record)
    users = [n for n in use.record.nodes if any(t is target for t in n.inputs)]
    whole = target.grad_fn is None and any(use.record.named[n] is target for n in use.record.parameters)
    whole = whole and len(users) == 1
    batch, count = (use.sizes.get(name, 0.0) for name in ("the batch size", "the mean's count"))
    if near(-1) and (head or whole):
        yield "LOSS-SIGN", "the sign is wrong"
    if (near(2) or near(0.5)) and head:
        much = "a factor 2 too much" if ratio > 1 else "the factor 2 of the square's derivative is missing"
        yield "LOSS-FACTOR-2", much
    node = use.operation.node
    own = node.inputs[0].numel() / node.outputs[0].numel() if node.op in MEANS else 0.0
    if near(own) and node.outputs[0].numel() > 1 and not head:  # the mean of an axis, as in a norm
        yield "MEAN-AS-SUM", f"a mean over {own:g} is differentiated as a sum: 1/{own:g} is missing"
        return
    for size in sorted({n for n in (count, batch, own) if n > 1}):
        if near(size) and (head or whole):
            yield "LOSS-NO-MEAN", f"1/N with N = {size:g} is missing: the loss is a mean, its gradient a sum"
    if batch > 1 and near(1 / batch):
        bias = target.dim() == 1 and all(use.operation.roles[role] is target for role in roles)
        yield "BIAS-MEAN" if bias else "LOSS-DOUBLE-MEAN", f"1/N with N = {batch:g} is applied once too often"
        return
    reduced = node.inputs[0].numel() / node.outputs[0].numel() if node.op in SUMS else 0.0
    if reduced > 1 and near(1 / reduced):
        yield "LOSS-WRONG-COUNT", f"a mean over {reduced:g} is taken where the forward has a sum"
    for name, size in use.sizes.items() if head else ():
        if name not in ("the batch size", "the mean's count") and (near(size) or near(1 / size)):
            how = "multiplied in" if ratio > 1 else "divided by once too often"
            yield "LOSS-WRONG-COUNT", f"the wrong count: {name} is {how}"
        elif batch > 1 and near(batch / size):
            yield "LOSS-WRONG-COUNT", f"the wrong count: divided by {name}, not by {batch:g}"
        elif count > 1 and near(count / size):
            yield "LOSS-WRONG-COUNT", f"the wrong count: divided by {name}, not by {count:g}"


def constant_scales(use: Use) -> set[float]:
    """Return the constants 1/sqrt(d), d being a size of the run, that multiply a product or one of its operands."""
    node, record = use.operation.node, use.record
    nodes = [node, *(_nearby(record, node) if node.op in (*PRODUCTS, *SHAPING) else ())]
    found = {_constant(n) for n in nodes if _beside_product(record, n)} - {0.0}
    # torch's own attention multiplies queries and keys by the root of the scale each.
    squares = {scale: scale**2 for scale in found}
    return {s for s in found if any(abs(squares[s] ** k * n - 1) < 1e-9 for n in use.sizes.values() for k in (1, 2))}


def _beside_product(record: Record, node: Node) -> bool:
    """Return whether what is scaled comes from a matrix product, or goes into one, as attention's scores do."""
    return any(n.op in PRODUCTS for n in _nearby(record, node))


def _nearby(record: Record, node: Node) -> Iterator[Node]:
    """Yield what made an operation's operands and what uses its results, past what only changes their shape."""
    before, after = list(node.inputs), list(node.outputs[:1])
    for _ in range(NEARBY):
        makers = [n for n in record.nodes if any(t is o for t in n.outputs for o in before)]
        users = [n for n in record.nodes if any(t is o for t in n.inputs for o in after)]
        yield from (*users, *makers)
        after = [n.outputs[0] for n in users if n.op in SHAPING]
        before = [n.inputs[0] for n in makers if n.op in SHAPING]


def _constant(node: Node) -> float:
    """Return the positive number by which an operation multiplies a tensor; 0 for any other operation."""
    if node.op not in ("mul", "div") or len(node.args) < 2:
        return 0.0
    numbers = [a for a in node.args[:2] if isinstance(a, float | int) and not isinstance(a, bool)]
    numbers += [float(a) for a in node.args[:2] if isinstance(a, Tensor) and a.dim() == 0 and not a.requires_grad]
    if len(numbers) != 1 or not numbers[0] > 0:
        return 0.0
    return 1 / numbers[0] if node.op == "div" else float(numbers[0])


@lru_cache(maxsize=4)
def heads(record: Record) -> set[int]:
    """Return the identities of the operations between the prediction and the loss.

    They are those after which no parameter comes in, from where an input (a target) has come in or a reduction begins.
    """
    parameters = {id(record.named[name]) for name in record.parameters}
    inputs = {id(record.named[name]) for name in record.inputs}
    depends: set[int] = set(parameters)
    for node in record.nodes:
        if any(id(t) in depends for t in node.inputs):
            depends.update(id(t) for t in node.outputs)
        elif any(id(t) in inputs for t in node.inputs):
            inputs.update(id(t) for t in node.outputs)
    mixed: set[int] = set()  # what comes before a parameter
    for node in reversed(record.nodes):
        direct = any(id(t) in parameters for t in node.inputs)
        if direct or any(id(t) in mixed for t in node.outputs):
            mixed.update(id(t) for t in node.inputs)
    found: set[int] = set()
    begun: set[int] = set()
    for node in record.nodes:
        behind = any(id(t) in begun for t in node.inputs)
        target = any(id(t) in inputs for t in node.inputs) and any(id(t) in depends for t in node.inputs)
        after = any(id(t) in depends for t in node.outputs) and not any(id(t) in mixed for t in node.inputs)
        if after and (behind or target or node.op in REDUCING):
            found.add(id(node))
            begun.update(id(t) for t in node.outputs)
    return found
