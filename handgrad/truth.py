"""What a step should have given, from neither backward under test.

For float32 it is autograd in float64. For float64 it is a complex step of the forward: for an analytic f and
a tiny h,

    f(w + ih) = f(w) + ih f'(w) - h^2 f''(w)/2 ...    hence    f'(w) = Im f(w + ih) / h,

with nothing subtracted, so h can be 1e-100 and the error is rounding alone. It is computed in the widest
complex type that the platform has (clongdouble; 64 bits of mantissa on x86), for all parameters at once:
the k-th copy of the network has the k-th parameter moved.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from handgrad.data import Data
from handgrad.experiment import Experiment, State
from handgrad.sides import ManualSide
from manual.networks.perceptron import DoubleSigmoid
from manual.nn import Linear
from manual.nn.activation import sigmoid
from manual.objective import Objective

Array = np.ndarray[Any, np.dtype[Any]]
STEP = 1e-100
COPIES = 256  # copies of the network at once, so that memory stays small


class ComplexStep:
    """The loss and its gradient by complex steps of the hand-written forward."""

    def __init__(self, experiment: Experiment, data: Data, state: State) -> None:
        self.experiment = experiment
        self.side = ManualSide(experiment, data, state, np.clongdouble)
        self.shapes = [parameter.shape for parameter in self.side.parameters]
        kind = self.side.objective.kind
        self.entries = Objective(kind, 1.0, "none")

    def steps(self, starts: Array, rows: Array) -> Array:
        """Return [loss, gradient, updated parameters] (S, 1 + 2 P) of steps from `starts` (S, P) on `rows` (S, N)."""
        wide = starts.astype(np.longdouble)
        count = wide.shape[1]
        chunks = [self._losses(wide, rows, k, min(k + COPIES, count)) for k in range(0, count, COPIES)]
        gradients = np.concatenate([losses[:, :-1].imag for losses in chunks], axis=1) / STEP  # (S, P)
        updated = wide - np.longdouble(self.experiment.lr) * gradients
        return np.concatenate([chunks[0][:, -1:].real, gradients, updated], axis=1)

    def _losses(self, starts: Array, rows: Array, first: int, last: int) -> Array:
        """Return the losses (S, copies), where the k-th copy has parameter first + k moved by ih, the last copy none.

        The loss itself comes from the copy that is not moved: (0 + ih)^2 = -h^2 is no rounding of 0.
        """
        moved = np.arange(last - first)
        copies = np.repeat(starts.astype(np.clongdouble)[:, None], last - first + 1, axis=1)  # (S, copies, P)
        copies[:, moved, first + moved] += 1j * STEP
        position = 0
        for parameter, shape in zip(self.side.parameters, self.shapes, strict=True):
            size = int(np.prod(shape))
            part = copies[:, :, position : position + size]
            # In front of the parameter's own axes, room for those of the batch.
            parameter.data = part.reshape(*copies.shape[:2], *(1,) * (2 - len(shape)), *shape)
            position += size
        outputs = self._forward(self.side.inputs[rows][:, None])  # (S, copies, N, outputs)
        targets = np.broadcast_to(self.side.targets[rows][:, None], outputs.shape)
        total: Array = self.entries(outputs, targets).sum(axis=(2, 3)) * np.longdouble(self.experiment.loss.factor)
        return total / (outputs[0, 0].size if self.experiment.loss.reduction == "mean" else 1)

    def _forward(self, inputs: Array) -> Array:
        if not self.experiment.network.published:
            outputs: Array = self.side.network(inputs)
            return outputs
        linear, last = list(self.side.network.named_children())
        assert isinstance(linear[1], Linear)
        assert isinstance(last[1], DoubleSigmoid)
        return published_sigmoid(linear[1](inputs))


def published_sigmoid(z: Array) -> Array:
    """Return sigmoid(z), in complex numbers, with the published rule for its derivative.

    That rule is no derivative of the forward. It is the derivative of a + s(a + z - z) - s by the one z that is
    not held fixed.
    """
    a = sigmoid(z.real)
    s = sigmoid(a + (z - z.real))
    return np.asarray(a + (s - s.real))


class WideAutograd:
    """The loss and its gradient by autograd in float64, for comparing in float32."""

    def __init__(self, experiment: Experiment, data: Data, state: State) -> None:
        from handgrad.torch_side import TorchSide

        self.side = TorchSide(experiment, data, state, "cpu", "float64")
        # The samples are what both sides have seen: rounded to float32.
        self.side.inputs = self.side.inputs.float().double()
        self.side.targets = self.side.targets.float().double()

    def steps(self, starts: Array, rows: Array) -> Array:
        """Return [loss, gradient, updated parameters] (S, 1 + 2 P) of steps from `starts` (S, P) on `rows` (S, N)."""
        found = []
        for start, batch in zip(starts, rows, strict=True):
            self.side.load_flat(start.astype(np.float64))
            loss = self.side.step(batch)
            found.append(np.concatenate([[loss], self.side.flat_gradients(), self.side.flat_parameters()]))
        return np.stack(found)


def complex_gradient(side: ManualSide, rows: Array, apart: Mapping[str, Array]) -> State:
    """Return, of each parameter, the gradient at the entry where `apart` is largest; NaN at all others.

    `side` computes in complex numbers. Each entry costs one forward.
    """
    inputs, targets = side.inputs[rows], side.targets[rows]
    found: State = {}
    for name, parameter in side.network.named_parameters():
        found[f"d_L_d_{name}"] = np.full(parameter.shape, np.nan, np.longdouble)
        if not parameter.data.size:
            continue
        at = np.unravel_index(int(np.argmax(np.nan_to_num(apart[name]))), parameter.shape)
        kept, moved = parameter.data, parameter.data.copy()
        moved[at] += 1j * STEP
        parameter.data = moved
        loss = side.objective(side.network(inputs), targets)
        parameter.data = kept
        found[f"d_L_d_{name}"][at] = np.asarray(loss).imag / np.longdouble(STEP)
    return found
