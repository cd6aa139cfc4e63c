"""Show what today's tools say of one mistake in a hand-written backward, as a page in Markdown.

python scripts/other_tools.py > docs/other_tools.md
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

from handgrad import cli

MISTAKE = "dz1 = da1 * sigmoid(a1) * (1 - sigmoid(a1))"
SHOWN = 14  # lines of a message; gradcheck's goes on with both Jacobians


def main(arguments: list[str] | None = None) -> int:
    return cli.run("other_tools.py", _main, arguments)


def _main(arguments: list[str]) -> int:
    parser = cli.Parser(
        prog="other_tools.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(arguments)
    print("\n".join(_page()))
    return 0


def _page() -> list[str]:
    import numpy as np
    import torch

    from handgrad import check

    params, inputs = _data(np.random.default_rng(0))
    true = _autograd(params, inputs)
    _, hand, _ = _hand(params, inputs)
    lines = [
        "# The same mistake, told by other tools",
        "",
        "A 5x4-6-3 network, sigmoid in the hidden layer, mean squared error; the backward by hand takes sigmoid's",
        "derivative at the activation, where it has to be taken at z1:",
        "",
        f"    {MISTAKE}        # right: da1 * a1 * (1 - a1)",
        "",
        "`dW2` is right, `dW1` and `db1` inherit the mistake. This page is printed by `python scripts/other_tools.py`,",
        f"with torch {torch.__version__.partition('+')[0]} and numpy {np.__version__}.",
    ]
    arguments = [torch.from_numpy(a).requires_grad_() for a in params.values()]
    function = _as_function(list(params), inputs)

    def close() -> None:
        torch.testing.assert_close({k: torch.from_numpy(v) for k, v in hand.items()}, true, rtol=1e-7, atol=1e-7)

    def allclose() -> None:
        for name, grad in hand.items():
            np.testing.assert_allclose(grad, true[name].numpy(), rtol=1e-7, err_msg=name)

    lines += _section("torch.autograd.gradcheck", lambda: torch.autograd.gradcheck(function, arguments))
    lines += ["", "With the loss multiplied by 1e-5 it says:", ""]
    small = _as_function(list(params), inputs, 1e-5)
    lines += _quoted(lambda: torch.autograd.gradcheck(small, arguments))
    lines += _section("torch.testing.assert_close, on the dictionary of gradients", close)
    lines += _section("numpy.testing.assert_allclose, one after the other", allclose)
    if importlib.util.find_spec("jax") is None:
        lines += ["", "## jax.test_util.check_grads", "", "Not run: JAX is not installed here."]
    else:
        lines += _section("jax.test_util.check_grads", lambda: _jax(params, inputs))
    lines += _section("handgrad", lambda: _without_rounding(check(_forward, _hand, params, inputs, _data)))
    return lines


def _without_rounding(report: Any) -> str:
    """Return the report without the columns that are another machine's rounding."""
    text = str(report).splitlines()
    table = next(i for i, line in enumerate(text) if line.split()[:1] == ["error"])
    wrong = [line.split()[0] for line in text[table:] if line.endswith("wrong")]
    right = [line.split()[0] for line in text[table + 1 :] if not line.endswith("wrong")]
    return "\n".join([*text[:table], f"  right: {', '.join(right)}; wrong: {', '.join(wrong)}"])


def _data(rng: Any) -> Any:
    n, d, h, k = (5, 4, 6, 3) if rng.bit_generator.seed_seq.entropy == 0 else rng.permutation([3, 4, 5, 6, 7])[:4]
    params = {"W1": rng.normal(size=(d, h)), "b1": rng.normal(size=h), "W2": rng.normal(size=(h, k))}
    return params, {"x": rng.normal(size=(n, d)), "t": rng.normal(size=(n, k))}


def _forward(params: Any, inputs: Any) -> Any:
    import torch

    z1 = inputs["x"] @ params["W1"] + params["b1"]
    a1 = torch.sigmoid(z1)
    y = a1 @ params["W2"]
    return ((y - inputs["t"]) ** 2).mean(), {"z1": z1, "a1": a1, "y": y}


def _hand(params: Any, inputs: Any) -> Any:
    """Return loss, gradients and intermediates, with the mistake."""
    import numpy as np

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    z1 = inputs["x"] @ params["W1"] + params["b1"]
    a1 = sigmoid(z1)
    y = a1 @ params["W2"]
    dy = 2 * (y - inputs["t"]) / y.size
    da1 = dy @ params["W2"].T
    dz1 = da1 * sigmoid(a1) * (1 - sigmoid(a1))
    grads = {"W1": inputs["x"].T @ dz1, "b1": dz1.sum(axis=0), "W2": a1.T @ dy}
    named = {"z1": z1, "a1": a1, "y": y, "dy": dy, "da1": da1, "dz1": dz1}
    return ((y - inputs["t"]) ** 2).mean(), grads, named


def _autograd(params: Any, inputs: Any) -> Any:
    import torch

    p = {name: torch.from_numpy(a).requires_grad_() for name, a in params.items()}
    _forward(p, {name: torch.from_numpy(a) for name, a in inputs.items()})[0].backward()
    return {name: t.grad for name, t in p.items()}


def _as_function(names: list[str], inputs: Any, scale: float = 1.0) -> Callable[..., Any]:
    """Return the network as a function for gradcheck, with the hand-written backward as its own."""
    import torch

    class Network(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Any:
            ctx.params = {name: a.detach().numpy() for name, a in zip(names, arguments, strict=True)}
            return torch.tensor(scale * _hand(ctx.params, inputs)[0])

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:  # type: ignore[override]
            grads = _hand(ctx.params, inputs)[1]
            return tuple(scale * grad * torch.from_numpy(grads[name]) for name in names)

    return Network.apply


def _jax(params: Any, inputs: Any) -> None:
    """Raise what JAX's check_grads says of the same backward as a custom_vjp."""
    import jax
    import numpy as np
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    names = list(params)

    @jax.custom_vjp
    def loss(*arguments: Any) -> Any:
        return forward(*arguments)[0]

    def forward(*arguments: Any) -> Any:
        hidden = jax.nn.sigmoid(inputs["x"] @ arguments[0] + arguments[1])
        return ((hidden @ arguments[2] - inputs["t"]) ** 2).mean(), arguments

    def backward_of(saved: Any, grad: Any) -> Any:
        p = {name: np.asarray(a) for name, a in zip(names, saved, strict=True)}
        return tuple(grad * _hand(p, inputs)[1][name] for name in names)

    loss.defvjp(forward, backward_of)
    check_grads(loss, tuple(jax.numpy.asarray(a) for a in params.values()), order=1, modes=["rev"])


def _section(title: str, call: Callable[[], Any]) -> list[str]:
    return ["", f"## {title}", "", *_quoted(call)]


def _quoted(call: Callable[[], Any]) -> list[str]:
    """Return what the call says, raised or returned, as a block."""
    try:
        said = str(call())
    except (AssertionError, RuntimeError) as error:  # gradcheck's is a RuntimeError, all others' an AssertionError
        said = f"{type(error).__name__}: {error}"
    lines = [line.rstrip() for line in said.strip().splitlines()]
    more = [f"... ({len(lines) - SHOWN} more lines)"] if len(lines) > SHOWN + 12 else []
    return ["```text", *(lines[:SHOWN] + more if more else lines), "```"]


if __name__ == "__main__":
    sys.exit(main())
