"""What one rounding is measured to be, and what the truth is taken from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handgrad import experiments
from handgrad.exact import ComplexTruth, units
from handgrad.experiment import Loss
from handgrad.isolate import isolate
from handgrad.recording import modules
from handgrad.trace import ENTRIES, Trace, roots
from parity_tests.tracing.planting import LAYERED, left, plant, returned

EPS = float(np.finfo(np.float64).eps)


def unit_of(function, *numbers):
    """Return one rounding of function(tensors), in eps."""

    def run(mode):
        tensors = [torch.tensor(number, dtype=torch.float64) for number in numbers]
        if mode is None:
            return {"y": function(*tensors).cpu().numpy()}
        with mode:
            return {"y": function(*tensors).cpu().numpy()}

    return units(run, "float64")["y"] / EPS


def test_cancellation_is_in_the_unit():
    found = unit_of(lambda a, b: torch.exp(a) - torch.exp(b), 10.3, 10.3 + 1e-6)
    assert np.exp(10) < found < 4 * np.exp(10.3)


@pytest.mark.parametrize("z", [40.0, 40.3])
def test_a_sigmoid_that_is_exactly_one_is_still_rounded(z):
    """1 - y is 0 here, and may be eps on another side."""
    found = unit_of(lambda z: 1 - torch.sigmoid(z), z)
    assert 0.9 < found < 2


def test_integers_made_of_integers_are_exact():
    random = np.random.default_rng(0)
    a, b = (random.integers(-9, 10, shape).astype(float) for shape in ((4, 5), (5, 3)))
    found = unit_of(lambda x, y: (x @ y).relu() - 3 * (x @ y), a, b)
    value = np.maximum(a @ b, 0) - 3 * a @ b
    # What every number is given: a rounding of itself, and a little of the tensor's largest.
    assert np.allclose(found, np.abs(value) + 2.0**-10 * np.abs(value).max(), rtol=1e-12, atol=0)
    noisy = unit_of(lambda x, y: (x @ y).relu() - 3 * (x @ y), a + 0.25, b + 0.125)
    assert (noisy > 3).all()


def test_the_terms_of_a_sum_are_rounded_each():
    found = unit_of(lambda x, w: x @ w, [1e8 + 0.5, 0.25], [[1.0], [-4e8 - 1.5]])
    assert 1e7 < found[0] < 1e9


def test_a_copy_is_not_rounded():
    assert unit_of(lambda a: a.clone().view(1)[0], 0.3) == pytest.approx(0.3 * (1 + 2.0**-10))


def test_the_complex_step_at_any_place_is_autograds_gradient():
    trace = Trace(LAYERED)
    assert isinstance(trace.truth, ComplexTruth)
    for row in trace.rows:
        indices = list(np.ndindex(row.autograd.shape))
        true = trace.truth.entries(row.name, indices).reshape(row.autograd.shape)
        assert true.dtype == np.longdouble
        assert np.allclose(row.autograd, true.astype(float), rtol=1e-13, atol=1e-18), row.name


def test_in_float32_the_truth_is_autograd_in_float64():
    trace = Trace(replace(LAYERED, dtype="float32"))
    assert trace.truth.kind == "autograd in float64"
    side = trace.wide_side()
    # On samples and weights as float32 has them, so that nothing but the computation differs.
    for name, value in trace.start.items():
        assert value.dtype == np.float32
        assert np.array_equal(dict(side.network.named_parameters())[name].detach().cpu().numpy(), value.astype(float))
    assert {alone.against for alone in isolate(trace)} == {"autograd in float64"}


def test_what_a_module_alone_is_held_against():
    kinds = {alone.name: alone.against for alone in isolate(Trace(LAYERED))}
    composites = {"network", "objective"}
    for name in modules(roots(Trace(LAYERED).hand_side())):
        assert kinds[name] == ("each other alone" if name in composites else "a complex step of the forward")


def test_where_no_complex_step_can_be_taken_the_sides_are_held_against_each_other(monkeypatch):
    def real_only(forward, module):
        def wrong(x):
            if np.iscomplexobj(x):
                raise TypeError("only real numbers")
            return forward(x)

        return wrong

    plant(monkeypatch, "3", "forward", real_only)
    trace = Trace(LAYERED)
    assert trace.truth.kind == "each other alone"
    assert trace.ok
    assert all(row.ratio == 0 for row in trace.rows)  # an error is known from a truth alone
    plant(monkeypatch, "1", "backward", returned(lambda g: g * (1 + 1e-9)))
    assert Trace(LAYERED).first_wrong.name == "d_L_d_1.input"


@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e6])
def test_the_scale_of_the_loss_changes_no_verdict(monkeypatch, factor, dtype):
    experiment = replace(LAYERED, loss=Loss("squared_error", factor, "sum"), dtype=dtype)
    assert Trace(experiment).ok
    wrong_by = {"float64": 1e-9, "float32": 1e-4}[dtype]
    plant(monkeypatch, "2", "backward", left("weight", lambda g: g * g.dtype.type(1 + wrong_by)))
    assert Trace(experiment).first_wrong.name == "d_L_d_2.weight"


def test_one_wrong_entry_of_a_large_tensor_is_found(monkeypatch):
    """Of more than ENTRIES entries only those that are furthest apart are held against the truth."""

    def one(grad):
        grad = grad.copy()
        grad[13, 7] *= 1 + 1e-9
        return grad

    experiment = replace(experiments.get("layered").resized((2, 20, 30, 1)), seed=2)
    plant(monkeypatch, "2", "backward", left("weight", one))
    row = Trace(experiment).first_wrong
    assert row.hand.size > 10 * ENTRIES
    assert (row.name, row.at) == ("d_L_d_2.weight", (13, 7))
    assert row.ratio > 1000  # known from the truth: this entry was among those that were held against it
