"""Parameter and Module: the contract that every hand-written layer keeps.

    y, saved = module.forward(*inputs)           # `saved` is what autograd would save, open to the reader
    grads = module.backward(grad_output, saved)  # same structure as the inputs; adds to Parameter.grad
    y = module(*inputs)                          # inference: forward without `saved`

Nothing is hidden in a module between the two halves, so it can stand twice in one graph, and `backward` with one
`saved` returns the same twice. It changes neither `grad_output` nor `saved`, and refuses a gradient that is unlike y.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


class Parameter:
    """An array that is trained, and the gradient that `backward` adds to it.

    `data` is the array, of any shape; `grad` has the same shape, or is None before the first backward.
    """

    def __init__(self, data: Array) -> None:
        self.data = np.asarray(data)
        if self.data.dtype.kind not in "fc":
            raise TypeError(
                f"a parameter has gradients, so it is of floats, not {self.data.dtype}: use dtype=np.float32"
            )
        self.grad: Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `data`."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of `data`."""
        return self.data.dtype

    def accumulate(self, grad: Array) -> None:
        """Add `grad` to `self.grad`, as autograd does.

        Raises ValueError where the shapes differ, since broadcasting here would hide a missing sum over the
        batch, and TypeError where the dtypes do.
        """
        grad = self.checked(grad)
        # Out of place, so that a gradient which the caller took out before stays what it was.
        self.grad = grad.copy() if self.grad is None else np.asarray(self.grad + grad)

    def checked(self, grad: Array) -> Array:
        """Return a gradient as an array. Raises ValueError for another shape and TypeError for another dtype."""
        grad = np.asarray(grad)
        if grad.shape != self.shape:
            raise ValueError(
                f"gradient of shape {grad.shape} for a parameter of shape {self.shape}: "
                "sum it over the axes that the forward broadcast"
            )
        if grad.dtype != self.dtype:
            raise TypeError(
                f"gradient of {grad.dtype} for a parameter of {self.dtype}: write grad.astype(np.{self.dtype})"
            )
        return grad

    def __repr__(self) -> str:
        return f"Parameter({self.data!r})"


class Module:
    """Base of every hand-written layer, loss and network; the names are those of torch.nn.Module."""

    training: bool = True

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Any]:
        """Return the output and `saved`, all that `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, grad_output: Any, saved: Any, *, input_grad: bool = True) -> Any:
        """Return the gradient for each input and add each parameter's to its `.grad`.

        With `input_grad=False` the gradient of the first input is not computed, and None stands for it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return self.forward(*inputs, **options)[0]

    # ------------------------------------------------------------------ what is inside, under torch's names

    def __repr__(self) -> str:
        inside = [f"  ({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        lines = "\n".join(["", *inside, ""]) if inside else self.extra_repr()
        return f"{type(self).__name__}({lines})"

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows, as torch's does."""
        return ""

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """Yield the direct submodules with their names, in the order in which they were set.

        Unlike torch's, a module that stands here twice comes twice: a container runs it twice.
        """
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """Yield this module and every one below it, each once, with dotted names."""
        seen: set[int] = set()
        for name, module in self._walk(prefix):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def _walk(self, prefix: str) -> Iterator[tuple[str, "Module"]]:
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield every parameter with its dotted name; one that is shared comes once, as in torch."""
        seen: set[int] = set()
        for name, value in self._named_values(Parameter):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def _named_values(self, kind: type) -> Iterator[tuple[str, Any]]:
        for prefix, module in self._walk(""):
            for name, value in vars(module).items():
                if isinstance(value, kind):
                    yield (f"{prefix}.{name}" if prefix else name), value

    def parameters(self) -> Iterator[Parameter]:
        """Yield every parameter once."""
        for _, parameter in self.named_parameters():
            yield parameter

    def register_buffer(self, name: str, value: Array | None) -> None:
        """Keep `value` as part of the state that is saved but not trained, such as running statistics."""
        names = vars(self).setdefault("_buffer_names", [])
        if name not in names:
            names.append(name)
        setattr(self, name, value)

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """Yield every buffer with its dotted name."""
        for prefix, module in self.named_modules():
            for name in vars(module).get("_buffer_names", []):
                value = getattr(module, name)
                if value is not None:
                    yield (f"{prefix}.{name}" if prefix else name), value

    # ------------------------------------------------------------------ state

    def state_dict(self) -> "OrderedDict[str, Array]":
        """Return copies of all parameters and buffers under torch's state-dict keys."""
        state: OrderedDict[str, Array] = OrderedDict()
        for prefix, module in self._walk(""):
            dot = f"{prefix}." if prefix else ""
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    state[dot + name] = value.data.copy()
            for name in vars(module).get("_buffer_names", []):
                if getattr(module, name) is not None:
                    state[dot + name] = np.array(getattr(module, name))
        return state

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy `state` into the parameters and buffers, each in its own dtype.

        Raises KeyError for names that are missing or unknown and ValueError for another shape, before
        anything is changed.
        """
        own = self.state_dict()
        missing, unknown = [k for k in own if k not in state], [k for k in state if k not in own]
        if missing or unknown:
            raise KeyError(
                f"state for {type(self).__name__}: missing {missing or 'none'}, unknown {unknown or 'none'}; "
                f"it has {list(own)}"
            )
        for key, value in own.items():
            if not isinstance(state[key], np.ndarray | np.generic):
                raise TypeError(
                    f"{key} is a {type(state[key]).__name__}, not a numpy array; of a tensor, take .numpy()"
                )
            if state[key].dtype.kind not in "fciub":
                raise TypeError(f"{key} is of {state[key].dtype}, not of numbers: write {key}.astype(np.{value.dtype})")
            if state[key].dtype.kind == "c" and value.dtype.kind != "c":
                raise TypeError(f"{key} is complex, but {type(self).__name__} is real: an imaginary part would be lost")
            if np.shape(state[key]) != value.shape:
                raise ValueError(f"{key} has shape {np.shape(state[key])}, but {type(self).__name__} has {value.shape}")
        # Every name under which a shared parameter appears is loaded, the last one last, as in torch.
        for name, parameter in self._named_values(Parameter):
            parameter.data = np.array(state[name], dtype=parameter.dtype)
        for name, buffer in list(self.named_buffers()):
            owner, leaf = self._owner(name)
            setattr(owner, leaf, np.array(state[name], dtype=buffer.dtype))

    def _owner(self, dotted: str) -> tuple["Module", str]:
        *path, leaf = dotted.split(".")
        module = self
        for name in path:
            module = getattr(module, name)
        return module, leaf

    def zero_grad(self) -> None:
        """Forget every gradient, as torch's `set_to_none=True`."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and below, and return self."""
        if not isinstance(mode, bool):
            raise ValueError(f"train takes True or False, not {mode!r}")
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and below, and return self."""
        return self.train(False)

    def to(self, dtype: DTypeLike) -> Self:
        """Convert every parameter and every floating-point buffer to `dtype`, None for the one they have; return self.

        Raises TypeError, as torch does, for a dtype that is not a float.
        """
        if dtype is None:
            return self
        try:
            kind = np.dtype(dtype).kind
        except TypeError:
            raise TypeError(f"to takes a dtype, np.float32 or np.float64, not {dtype!r}; no array moves") from None
        if kind not in "fc":
            raise TypeError(f"a module computes with floats, not {np.dtype(dtype)}: use np.float32 or np.float64")
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype)
            parameter.grad = None if parameter.grad is None else parameter.grad.astype(dtype)
        for name, buffer in list(self.named_buffers()):
            if buffer.dtype.kind in "fc":
                owner, leaf = self._owner(name)
                setattr(owner, leaf, buffer.astype(dtype))
        return self

    def float(self) -> Self:
        """Convert to float32, and return self."""
        return self.to(np.float32)

    def double(self) -> Self:
        """Convert to float64, and return self."""
        return self.to(np.float64)


def check_array(x: Any, who: str, dtype: np.dtype[Any] | None = None) -> None:
    """Raise TypeError unless `x` is a floating-point array, of `dtype` where one is given."""
    wanted = "float32" if dtype is None else dtype
    if isinstance(x, np.ma.MaskedArray):  # what it computes depends on what is hidden
        raise TypeError(f"{who} takes no MaskedArray: fill what is masked with a number, x.filled(0)")
    # NumPy turns arrays without axes into its scalars; the * of a matrix is not entry by entry.
    if not isinstance(x, np.ndarray | np.generic) or isinstance(x, np.matrix):
        raise TypeError(f"{who} takes a numpy.ndarray, not {type(x).__name__}: write np.asarray(x, dtype=np.{wanted})")
    if x.dtype.kind not in "fc":
        raise TypeError(f"{who} computes with floats, not {x.dtype}: write x.astype(np.{wanted})")
    if dtype is not None and x.dtype != dtype:
        raise TypeError(
            f"{who} has parameters of {dtype} but was given {x.dtype}: "
            f"write x.astype(np.{dtype}) or module.to(np.{x.dtype})"
        )


def check_gradient(grad_output: Any, shape: tuple[int, ...], dtype: np.dtype[Any], who: str) -> None:
    """Raise TypeError unless the gradient is an array of the output's `dtype`, ValueError unless of its `shape`."""
    takes = f"{who}: backward takes a gradient of {dtype} and shape {shape}, as the output has"
    if not isinstance(grad_output, np.ndarray | np.generic):
        raise TypeError(f"{takes}, not {type(grad_output).__name__}: give dL/dy as an array")
    if grad_output.dtype != dtype:  # torch converts it, unless it is complex
        raise TypeError(f"{takes}, not one of {grad_output.dtype}: write grad_output.astype(np.{dtype})")
    if grad_output.shape != shape:
        raise ValueError(f"{takes}, not one of shape {grad_output.shape}: give dL/dy, a number for each of y")


def plain(option: Any) -> Any:
    """Return numbers as Python's: NumPy computes with those in the parameter's own dtype."""
    if isinstance(option, tuple | list):
        return tuple(plain(part) for part in option)
    return option.item() if isinstance(option, np.ndarray | np.generic) else option


def unsupported(who: str, **arguments: Any) -> None:
    """Raise NotImplementedError for the first argument of torch's that is set but not written by hand here."""
    for name, value in arguments.items():
        if value is not None:
            raise NotImplementedError(f"{who} does not support {name}= here; leave it out")
