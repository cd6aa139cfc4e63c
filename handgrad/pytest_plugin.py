"""The pytest fixture `parity_check`: `check` and its attributes, raising the readable report where something is wrong.

def test_my_layer(parity_check):
    parity_check.module(MyLinear(4, 3), torch.nn.Linear(4, 3), x)
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

import pytest

if TYPE_CHECKING:
    from handgrad.checking import Report

P = ParamSpec("P")


class ParityCheck:
    """As `check`: callable, with `module`, `function` and `optimizer`; AssertionError with the report if wrong."""

    def __init__(self) -> None:
        from handgrad.checking import check  # brings torch, which a test run without this fixture does not need

        self.module = _raising(check.module)
        self.function = _raising(check.function)
        self.optimizer = _raising(check.optimizer)
        self.jax = check.jax
        self.network = _raising(check.__call__)

    def __call__(self, *arguments: object, **options: object) -> "Report":
        """Check a network's backward: the arguments are those of `check`."""
        __tracebackhide__ = True
        return self.network(*arguments, **options)  # type: ignore[arg-type]


def _raising(check: "Callable[P, Report]") -> "Callable[P, Report]":
    @wraps(check)
    def run(*arguments: P.args, **options: P.kwargs) -> "Report":
        __tracebackhide__ = True
        report = check(*arguments, **options)
        if not report.ok:
            raise AssertionError(str(report))
        return report

    return run


@pytest.fixture(scope="session")
def parity_check() -> ParityCheck:
    """Checks of `handgrad.check` that fail the test with the report."""
    return ParityCheck()
