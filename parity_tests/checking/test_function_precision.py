"""check.function in fewer digits: float32 inside, half precision, and the error that is allowed there."""

import numpy as np
import pytest
import torch

from handgrad.checking.functions import check_function
from parity_tests.checking.functions import Gate, gate, reference

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(5, 4)), RNG.normal(size=4)


def test_single_precision_inside_is_fine_in_double_and_right_in_single():
    found = check_function(gate("single inside"), reference, X, W)
    assert found.ok, str(found)
    assert any("float32" in note for note in found.fine)


class InSingle(torch.autograd.Function):
    """x times the inverse of its root mean square and w, with float32 inside, as a kernel has it."""

    @staticmethod
    def forward(ctx, x, w, wrong):
        rstd = torch.rsqrt((x.float() ** 2).mean(1, keepdim=True) + 1e-6)
        ctx.save_for_backward(x.float(), w.float(), rstd)
        ctx.wrong = wrong
        return (x.float() * rstd * w.float()).to(x.dtype)

    @staticmethod
    def backward(ctx, up):
        x, w, rstd = ctx.saved_tensors
        d, hat = up.float() * w, x * rstd
        inner = (d * hat).mean(1, keepdim=True)
        dx = rstd * (d - (0 if ctx.wrong == "variance" else hat * inner))
        dw = (up.float() * hat).sum(0)
        dw = dw / len(x) if ctx.wrong == "mean" else dw
        return dx.to(up.dtype), dw.to(up.dtype), None


@pytest.mark.parametrize("dtypes", [(torch.float64,), (torch.float32,), (torch.float32, torch.bfloat16)])
@pytest.mark.parametrize(("wrong", "cause"), [("", None), ("variance", "NORM-NO-VAR-PATH"), ("mean", "BIAS-MEAN")])
def test_causes_of_what_computes_in_float32(dtypes, wrong, cause):
    """The numbers agree to seven digits alone; known wrong formulas are replayed all the same."""

    def rms(x, w):
        return x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-6) * w

    found = check_function(lambda x, w: InSingle.apply(x, w, wrong), rms, X, W, dtypes=dtypes)
    assert found.ok == (cause is None), str(found)
    assert [c.id for c in found.causes] == [cause] * (cause is not None), str(found)


def test_without_float32_the_report_says_where_causes_are_looked_for():
    found = check_function(lambda x: Gate.apply(x, x[0], "branch lost")[0], lambda x: reference(x, x[0])[0], X,
                           dtypes=(torch.float16,))  # fmt: skip
    assert any("add one of them to dtypes" in fact for fact in found.facts), str(found)


def test_half_precision_inside_is_found_in_single():
    found = check_function(gate("half inside"), reference, X, W, dtypes=(torch.float32,))
    assert found.first_wrong.endswith("in float32")
    assert found.causes[0].id == "NUM-HALF", str(found)
    assert "the plain formula's" in found.causes[0].evidence


def test_the_rule_is_twice_the_formula_s_error_and_one_rounding():
    """A sum in half precision, whose own error is many roundings: one 1.8 times as bad passes, one 5 times does not."""
    x = torch.tensor(np.random.default_rng(1).normal(size=(3, 64)))

    def times(factor):
        def total(x):
            exact = torch.tanh(x.double())
            plain = torch.tanh(x)
            return (exact + factor * (plain.double() - exact)).to(x.dtype) if x.dtype == torch.bfloat16 else plain

        return total

    kinds = (torch.float64, torch.bfloat16)
    assert check_function(times(1.0), torch.tanh, x, dtypes=kinds).ok
    found = check_function(times(9.0), torch.tanh, x, dtypes=kinds)
    assert found.first_wrong == "output in bfloat16", str(found)


def test_overflow_in_half_is_no_alarm_where_the_formula_overflows_too():
    x = np.array([1.0, 12.0, 3.0])
    assert check_function(torch.exp, torch.exp, x, dtypes=(torch.float64, torch.float16)).ok
