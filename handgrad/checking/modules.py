"""check.module: a layer by hand, a class with forward and backward, beside a module of torch.nn."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from handgrad.checking import upstream
from handgrad.checking.checker import check
from handgrad.checking.contract import Contract
from handgrad.checking.conventions import near
from handgrad.checking.place import NO_LINE
from handgrad.checking.record import Array, Arrays, Tensor
from handgrad.checking.report import Report
from handgrad.checking.running import Problem, buffers_after
from handgrad.checking.twins import HandSide, TorchSide, at, flat_inputs, floats, grad_output
from handgrad.errors import UsageError

MakeModuleInputs = Callable[[np.random.Generator], tuple[Any, ...]]


def check_module(
    layer: Any,
    torch_layer: torch.nn.Module,
    *inputs: Any,
    options: Mapping[str, Any] | None = None,
    make_inputs: MakeModuleInputs | None = None,
    training: bool | None = None,
    seed: int = 0,
) -> Report:
    """Check a layer by hand against a module of torch.nn, and say what goes wrong and why.

    The contract is `y, saved = layer.forward(*inputs)` and `grads = layer.backward(grad_output, saved)`: grads has
    the structure of the inputs, None for an index; parameters are attributes under torch's state-dict keys, with
    `.data` and `.grad`, to which backward adds. Both sides get the same weights, drawn three times, and random
    upstream gradients; a loss of one number gets 1. `options` are keyword arguments of both forwards;
    `make_inputs(rng)` may return other inputs for the later draws. Both modes are checked where they differ, or the
    one that `training` names.

    Judged are outputs, gradients of parameters and inputs, buffers after forward; that backward twice with one
    `saved` gives the same and adds up; that nothing handed in is changed, nothing is hidden in the layer, and
    `input_grad=False` leaves out the first input's gradient alone. Both sides are copies: nothing of yours changes.

    Raises UsageError where layer and torch_layer do not fit together.
    """
    if not isinstance(torch_layer, torch.nn.Module):
        raise UsageError(f"torch_layer is a {type(torch_layer).__name__}; give a torch.nn module")
    if not inputs:
        raise UsageError("there are no inputs; give the arrays that forward takes")
    taken = [name for name, _ in torch_layer.named_parameters()]
    arrays, structure = flat_inputs(torch_layer, inputs, taken)
    torch_side = TorchSide(torch_layer, options or {}, structure)
    hand = HandSide(layer, torch_side)
    arrays = {name: a.astype(np.float64) if a.dtype.kind == "f" else a for name, a in arrays.items()}

    def draw(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
        if make_inputs is None:
            return torch_side.draw(rng), arrays
        return torch_side.draw(rng), flat_inputs(torch_layer, make_inputs(rng), taken)[0]

    whole = Report()
    modes = _modes(hand, arrays) if training is None else [training]
    for mode in modes:
        report = _Mode(hand, mode, draw, make_inputs is not None, seed).report()
        _join(whole, report, "" if len(modes) == 1 else " in training" if mode else " in evaluation")
    return whole


def _modes(hand: HandSide, inputs: Arrays) -> list[bool]:
    """Return the modes in which torch's module differs: both, or training alone."""
    side = hand.torch_side
    runs = [side.run(side.parameters, inputs, mode) for mode in (True, False)]
    (trained, after), (evaluated, unchanged) = runs
    same = all(torch.equal(a, b) for a, b in zip(floats(trained), floats(evaluated), strict=True))
    if same and all(torch.equal(after[name], unchanged[name]) for name in after):
        return [True]
    if not hand.has_mode():
        raise UsageError(
            f"torch's {side.name} differs between training and evaluation, but {type(hand.layer).__name__} has neither "
            "train() nor `training`; add it, or say which mode it is, as training=True"
        )
    return [True, False]


def _join(whole: Report, part: Report, mode: str) -> None:
    """Add one mode's report: the first mode that is wrong gives the verdict."""
    part.table = [replace(row, name=f"{row.name}{mode}") for row in part.table]
    if mode and not part.ok:
        part.facts.insert(0, f"this is{mode} mode")
    both = {name: [*getattr(whole, name), *getattr(part, name)] for name in ("fine", "not_judged", "table")}
    if whole.ok:
        vars(whole).update(vars(part))
    vars(whole).update({name: list(dict.fromkeys(values)) for name, values in both.items()})


class _OtherShape(Exception):  # noqa: N818 - it carries a verdict and is no error of anybody's
    """The layer's output is not of torch's form, so that no gradient can be compared."""


class _Mode:
    """One mode of a layer and its twin under check."""

    def __init__(self, hand: HandSide, training: bool, draw: Any, fresh_inputs: bool, seed: int) -> None:
        self.hand, self.torch_side = hand, hand.torch_side
        self.training, self.draw, self.fresh_inputs, self.seed = training, draw, fresh_inputs, seed
        self.notes: list[str] = []

    def report(self) -> Report:
        params, inputs = self.draw(np.random.default_rng([self.seed, 0]))
        self._refuse_random(params, inputs)
        # Running statistics that are not 0 and 1: those after one batch.
        warmed = self.torch_side.run(params, inputs, True)[1]
        self.buffers = {name: np.array(b.numpy()) for name, b in warmed.items()}
        p, x = self._with_upstream(params, inputs, np.random.default_rng([self.seed, 1]))
        try:
            self._transposed(params, inputs)
            report = check(self._torch, self._by_hand, p, x, self._make)
        except _OtherShape as found:
            return Report(first_wrong="output", stage="forward", facts=[str(found)])
        self._in_words_of_a_module(report)
        single = any("float32" in note for note in report.fine)
        eps = float(np.finfo(np.float32 if single else np.float64).eps)
        rows, problems, missing = buffers_after(self.hand, params, inputs, self.buffers, self.training, eps)
        report.table += rows
        report.not_judged += missing
        contract = Contract(self.hand, params, self.buffers, inputs, upstream.of(x), self.training)
        problems += contract.problems()
        for problem in problems:
            _add(report, problem)
        return report

    def _make(self, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
        params, inputs = self.draw(rng)
        return self._with_upstream(params, inputs, rng)

    def _with_upstream(self, params: Arrays, inputs: Arrays, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
        outputs = floats(self.torch_side.run(params, inputs, self.training)[0])
        if not outputs:
            raise UsageError(f"torch's {self.torch_side.name} returns no tensor of floats; there is nothing to judge")
        return params, {**inputs, **upstream.drawn(outputs, rng)}

    def _torch(self, p: dict[str, Tensor], i: dict[str, Tensor]) -> Any:
        """The forward for check: the loss is sum(output * upstream), or the output itself where it is one number."""
        outputs = floats(self.torch_side.run(p, upstream.without(i), self.training, self.buffers)[0])
        return upstream.loss(outputs, i)

    def _by_hand(self, p: Arrays, i: Arrays) -> Any:
        """The backward for check, with the upstream gradients as those of the outputs: all behind them is given."""
        inputs = upstream.without(i)
        layer = self.hand.loaded(p, self.buffers, self.training)
        y, saved = self.hand.forward(layer, _copies(inputs))
        outputs = floats(y)
        truth = floats(self.torch_side.run(_doubles(p), _doubles(inputs), self.training, self.buffers)[0])
        if [np.shape(o) for o in outputs] != [tuple(t.shape) for t in truth]:
            shapes = [", ".join(str(tuple(np.shape(o))) for o in part) for part in (outputs, truth)]
            raise _OtherShape(f"forward returns an output of shape {shapes[0] or 'none'}, torch's is {shapes[1]}")
        loss, values = upstream.answer(outputs, i)
        grads = self.hand.backward(layer, grad_output(y, [g + 0.0 for g in upstream.of(i)]), saved, inputs)
        self._missing(grads, inputs)
        for name, value in p.items():
            grad = at(layer, name).grad
            if grad is None:
                self.notes.append(f"backward leaves the gradient of {name} at None")
            grads[name] = np.zeros_like(value) if grad is None else np.asarray(grad)
        return loss, grads, values

    def _missing(self, grads: Arrays, inputs: Arrays) -> None:
        wanted = [name for name, value in inputs.items() if value.dtype.kind == "f"]
        if wanted and wanted[0] == next(iter(inputs)) and wanted[0] not in grads:
            raise UsageError(f"backward returned None as the gradient of {wanted[0]!r}; return the array")
        self.notes += [f"no gradient of {name!r}: backward returns None" for name in wanted if name not in grads]

    def _transposed(self, params: Arrays, inputs: Arrays) -> None:
        """Refuse a square output that is transposed: elsewhere that is a layout, here it is what the layer returns."""
        layer = self.hand.loaded(params, self.buffers, self.training)
        given = floats(self.hand.forward(layer, _copies(inputs))[0])
        truth = floats(self.torch_side.run(params, inputs, self.training, self.buffers)[0])
        for y, true in zip(given, truth, strict=False):
            t = true.detach().numpy()
            if np.ndim(y) == 2 and near(y.T, t) and not near(y, t):
                raise _OtherShape("forward returns torch's output transposed")

    def _refuse_random(self, params: Arrays, inputs: Arrays) -> None:
        first, second = (floats(self.torch_side.run(params, inputs, self.training)[0]) for _ in range(2))
        if not all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(first, second, strict=True)):
            raise UsageError(
                f"torch's {self.torch_side.name} draws random numbers in training, so two runs cannot be compared; "
                "build it with p=0, or check evaluation alone with training=False"
            )

    def _in_words_of_a_module(self, report: Report) -> None:
        """Say of a check's report what it means here."""
        nowhere, here = f" in forward, {NO_LINE}", f" in torch's {self.torch_side.name}"
        report.causes = [replace(c, place=c.place.replace(nowhere, here)) for c in report.causes]
        report.also_wrong = {
            name: [replace(c, place=c.place.replace(nowhere, here)) for c in causes]
            for name, causes in report.also_wrong.items()
        }
        upstream.tidy(report, "" if self.fresh_inputs else "weights and upstream gradients")
        report.not_judged += [note for note in dict.fromkeys(self.notes) if note.startswith("no gradient")]
        report.facts += [note for note in dict.fromkeys(self.notes) if not note.startswith("no gradient")]


def _copies(arrays: Mapping[str, Array]) -> Arrays:
    return {name: np.array(value) for name, value in arrays.items()}


def _doubles(arrays: Mapping[str, Array]) -> Arrays:
    return {name: a.astype(np.float64) if a.dtype.kind == "f" else a for name, a in arrays.items()}


def _add(report: Report, problem: Problem) -> None:
    if report.ok:
        report.first_wrong, report.stage = problem.name, problem.stage
        report.causes = [problem.cause] if problem.cause else []
        report.facts += [problem.fact] * bool(problem.fact)
    elif problem.cause:
        report.also_wrong.setdefault(problem.name, [problem.cause])
