"""Softmax: wrong Jacobians."""

from handgrad.checking.rules.rule import Rule, elementwise

RULES = [
    Rule(
        "SOFTMAX-DIAG",
        ("softmax",),
        "softmax is differentiated as if element-wise, p (1 - p): the off-diagonal terms are missing",
        elementwise(lambda u: u.up * u["y"] * (1 - u["y"])),
    ),
    Rule(
        "SOFTMAX-NO-ROWSUM",
        ("softmax",),
        "the row sum is missing: p * (up - sum(up * p)), not p * up",
        elementwise(lambda u: u.up * u["y"]),
    ),
    Rule(
        "SOFTMAX-AXIS",
        ("softmax",),
        "the inner sum runs over another axis than the softmax",
        lambda u: [
            (str(axis), {"x": u["y"] * (u.up - (u.up * u["y"]).sum(axis=axis, keepdims=True))})
            for axis in range(u.up.ndim)
            if axis != u.operation.attributes["axis"]
        ],
    ),
    Rule(
        "SOFTMAX-IDENTITY", ("softmax",), "the gradient passes through softmax unchanged", elementwise(lambda u: u.up)
    ),
]
