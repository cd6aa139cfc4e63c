"""From a module of torch.nn to its hand-written twin and back, with the weights.

    hand = handgrad.from_torch(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.GELU()))
    theirs = handgrad.to_torch(hand)

A class of either side has a twin of the same name, which takes the same arguments; a module keeps its arguments as
attributes of the same names. What is not kept as it was given, such as `bias`, is read off the parameters.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

import manual.nn
from manual.module import Module

Array = np.ndarray[Any, np.dtype[Any]]

CONTAINERS = ("Sequential", "ModuleList")
# Arguments that the twin has to be built without: they say where and how, not what.
NOT_TAKEN = {"device", "dtype", "generator", "size_average", "reduce", "inplace", "_weight", "_freeze"}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# Whether an option was set is seen by the parameters that it makes.
READ_OFF = {
    "bias": ("bias", "in_proj_bias"),
    "affine": ("weight",),
    "elementwise_affine": ("weight",),
    "add_bias_kv": ("bias_k",),
}


def from_torch(module: torch.nn.Module) -> Module:
    """Return the hand-written twin of a module of torch.nn, or of a Sequential or ModuleList of them, with its weights.

    Parameters, buffers, dtype and training mode are copied; what is shared inside stays shared. That a parameter is
    frozen is not: a hand-written one has a gradient always. Raises NotImplementedError naming every submodule that has
    no twin, or has a hook or another form than its class gives it, or the option that is not written by hand.
    """
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch takes a torch.nn.Module, not {type(module).__name__}")
    _all_known(module, torch.nn, manual.nn)
    twins = _Twins(manual.nn, lambda array: array.detach().cpu().numpy().copy())
    twin: Module = twins.of(module)
    twins.check_inside(module, twin)
    state = module.state_dict()
    floats = {value.dtype for value in state.values() if value.is_floating_point()}
    if len(floats) > 1:
        raise NotImplementedError(f"from_torch: its weights are of {sorted(map(str, floats))}; convert it to one dtype")
    narrow = [d for d in floats if d not in (torch.float32, torch.float64)]
    if narrow:
        raise NotImplementedError(f"from_torch: NumPy has no {narrow[0]}; call .float() or .double() on it first")
    for dtype in floats:
        twin.to(np.dtype(str(dtype).removeprefix("torch.")))
    twin.load_state_dict({name: value.detach().cpu().numpy() for name, value in state.items()})
    _share(module, twin)
    _in_mode(module, twin)
    return twin


def to_torch(module: Module) -> torch.nn.Module:
    """Return torch's twin of a hand-written module, with its weights; the reverse of `from_torch`."""
    if not isinstance(module, Module):
        raise TypeError(f"to_torch takes a hand-written manual.nn.Module, not {type(module).__name__}")
    _all_known(module, manual.nn, torch.nn)
    twins = _Twins(torch.nn, torch.tensor)
    twin: torch.nn.Module = twins.of(module)
    twins.check_inside(module, twin)
    state = module.state_dict()
    for dtype in {value.dtype for value in state.values() if value.dtype.kind == "f"}:
        if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise NotImplementedError(f"to_torch: torch has no {dtype}; call .double() on it first")
        twin.to(getattr(torch, str(dtype)))
    twin.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    _share(module, twin)
    _in_mode(module, twin)
    return twin


def _all_known(module: Any, own: Any, other: Any) -> None:
    """Raise NotImplementedError that names all submodules without a twin; what is inside of a twin has one."""
    unknown: list[str] = []

    def visit(path: str, one: Any) -> None:
        kind = _kind(one, own)
        if kind is None or not hasattr(other, kind):
            unknown.append(f"{path or 'the module itself'} ({type(one).__name__})")
        elif any(getattr(one, hooks, None) for hooks in HOOKS):
            unknown.append(f"{path or 'the module itself'} ({type(one).__name__} with a hook)")
        elif kind in CONTAINERS:
            for name, child in one.named_children():
                visit(f"{path}.{name}" if path else name, child)

    visit("", module)
    if unknown:
        raise NotImplementedError(
            f"there is no twin of {', '.join(unknown)}; those of {', '.join(CONTAINERS)} and all "
            "classes that stand in both torch.nn and manual.nn have one"
        )


def _own(module: Any) -> Any:
    """Return the package that a module's class is of."""
    return torch.nn if isinstance(module, torch.nn.Module) else manual.nn


def _kind(module: Any, own: Any) -> str | None:
    """Return the class's name where it is one of `own`; a subclass of Sequential that keeps its forward is one too."""
    for name in CONTAINERS:
        base = getattr(own, name)
        own_forward = type(module).forward is not base.forward or type(module).__call__ is not base.__call__
        if isinstance(module, base) and not own_forward and "forward" not in vars(module):
            return name
    name = type(module).__name__
    if name == "NonDynamicallyQuantizableLinear":  # torch's output projection of attention, a Linear in all it computes
        return "Linear"
    if "forward" in vars(module):
        return None
    return name if getattr(own, name, None) is type(module) else None


class _Twins:
    """Builds twins of the classes of `other`; a module that stands twice has one twin."""

    def __init__(self, other: Any, array: Callable[[Any], Any]) -> None:
        self.other, self.array, self.made = other, array, dict[int, Any]()

    def of(self, module: Any) -> Any:
        """Return the twin of a module, whose weights are still to be loaded."""
        if id(module) not in self.made:
            self.made[id(module)] = self._build(module)
        return self.made[id(module)]

    def check_inside(self, module: Any, twin: Any) -> None:
        """Raise NotImplementedError where a part of the module is not what the whole's arguments made of the twin."""
        twins = dict(twin.named_modules())
        changed = []
        for path, one in module.named_modules():
            other = twins.get(path)
            if other is None and path.rpartition(".")[2] == "activation":
                continue  # on torch's side it may be a function; the layer that calls it is compared by its name
            kind = _kind(one, _own(one))
            hooked = any(getattr(one, hooks, None) for hooks in HOOKS)
            if other is None or kind is None or hooked or not _alike(_facts(one), _facts(other)):
                changed.append(f"{path or 'the module itself'} ({type(one).__name__})")
        differing = sorted({*module.state_dict()} ^ {*twin.state_dict()})
        if changed or differing:
            parts = ", ".join([*changed, *differing])
            raise NotImplementedError(f"there is no twin of {parts}: changed after it was built; build it anew")

    def _build(self, module: Any) -> Any:
        own = _own(module)
        kind = _kind(module, own)
        assert kind is not None
        if kind in CONTAINERS:
            children = module._modules if own is torch.nn else dict(module.named_children())
            twins = {name: self.of(child) for name, child in children.items()}
            return self.other.ModuleList(twins.values()) if kind == "ModuleList" else self._sequential(twins)
        special = SPECIAL.get(kind)
        arguments = special(self, module) if special else self._arguments(module, kind)
        return getattr(self.other, kind)(**arguments)

    def _sequential(self, twins: Mapping[str, Any]) -> Any:
        built = self.other.Sequential()
        for name, twin in twins.items():
            if self.other is torch.nn:
                built.add_module(name, twin)
            else:
                setattr(built, name, twin)
        return built

    def _arguments(self, module: Any, kind: str) -> dict[str, Any]:
        found = {}
        for name, parameter in inspect.signature(getattr(manual.nn, kind).__init__).parameters.items():
            if name in ("self", "args", "kwargs") or name in NOT_TAKEN:
                continue
            if name in READ_OFF and not isinstance(vars(module).get(name), bool):
                found[name] = any(getattr(module, part, None) is not None for part in READ_OFF[name])
            elif hasattr(module, name):
                value = getattr(module, name)
                found[name] = self.array(value) if hasattr(value, "shape") else value
            else:  # PReLU's initial slope, or an option that one side has only as its default
                assert parameter.default is not parameter.empty, f"{kind} does not keep its {name}"
        return found


def _facts(module: Any) -> dict[str, Any]:
    """Return a module's class and arguments, as far as the two sides keep them alike."""
    kind = _kind(module, _own(module))
    if kind is None or kind in CONTAINERS or kind in ("TransformerEncoder", "TransformerDecoder", "Transformer"):
        return {}  # what is in them is compared part by part
    twins = _Twins(manual.nn, lambda array: None)
    special = SPECIAL.get(kind)
    found = special(twins, module) if special else twins._arguments(module, kind)
    if "activation" in found:
        given = module.activation
        name = (
            type(given).__name__ if isinstance(given, torch.nn.Module | Module) else getattr(given, "__name__", given)
        )
        found["activation"] = str(name).lower()
    plain = (bool, int, float, str, tuple)
    return {"kind": kind} | {name: value for name, value in found.items() if isinstance(value, plain)}


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether what both keep is the same."""
    return all(one[name] == other[name] for name in one.keys() & other.keys())


def _layer(twins: _Twins, module: Any) -> dict[str, Any]:
    """Return the arguments of a TransformerEncoderLayer or TransformerDecoderLayer, which it keeps in its parts."""
    return {
        "d_model": module.linear1.in_features,
        "nhead": module.self_attn.num_heads,
        "dim_feedforward": module.linear1.out_features,
        "dropout": module.dropout.p,
        "activation": _activation(twins, module.activation),
        "layer_norm_eps": module.norm1.eps,
        "batch_first": module.self_attn.batch_first,
        "norm_first": module.norm_first,
        "bias": module.linear1.bias is not None,
    }


def _activation(twins: _Twins, given: Any) -> Any:
    """Return what a layer calls between its two linear ones: a name stands for torch's function of that name."""
    if isinstance(given, torch.nn.Module | Module):
        name = type(given).__name__.lower()
        # By name where there is one: torch's decoder copies a layer and loses an activation that is a module.
        return name if name in ("relu", "gelu") and getattr(given, "approximate", "none") == "none" else twins.of(given)
    name = getattr(given, "__name__", given)
    if name not in ("relu", "gelu"):
        raise NotImplementedError(f"there is no twin of the activation {name}; use 'relu', 'gelu' or a module")
    return name


def _stack(twins: _Twins, module: Any) -> dict[str, Any]:
    """Return the arguments of a TransformerEncoder or TransformerDecoder."""
    kind = "encoder_layer" if "Encoder" in type(module).__name__ else "decoder_layer"
    layers = list(module.layers)
    norm = None if module.norm is None else twins.of(module.norm)
    found = {kind: twins.of(layers[0]), "num_layers": len(layers), "norm": norm}
    # torch's fast path for padded batches; it changes no number, and warns where it cannot be taken.
    return found | ({"enable_nested_tensor": False} if kind == "encoder_layer" else {})


def _transformer(twins: _Twins, module: Any) -> dict[str, Any]:
    """Return the arguments of a Transformer: its two halves are made first."""
    return {
        "d_model": module.d_model,
        "nhead": module.nhead,
        "custom_encoder": twins.of(module.encoder),
        "custom_decoder": twins.of(module.decoder),
        "batch_first": module.batch_first,
    }


SPECIAL: dict[str, Callable[[_Twins, Any], dict[str, Any]]] = {
    "TransformerEncoderLayer": _layer,
    "TransformerDecoderLayer": _layer,
    "TransformerEncoder": _stack,
    "TransformerDecoder": _stack,
    "Transformer": _transformer,
}


def _names_by_parameter(module: Any) -> dict[int, list[str]]:
    if isinstance(module, torch.nn.Module):
        pairs = list(module.named_parameters(remove_duplicate=False))
    else:
        pairs = list(module._named_values(manual.nn.Parameter))
    found: dict[int, list[str]] = {}
    for name, parameter in pairs:
        found.setdefault(id(parameter), []).append(name)
    return found


def _share(module: Any, twin: Any) -> None:
    """Let the twin's parameters be one where the module's are, as with tied weights."""
    for first, *others in _names_by_parameter(module).values():
        for name in others:
            path, _, leaf = name.rpartition(".")
            setattr(_below(twin, path), leaf, _below(twin, first))


def _below(module: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        module = getattr(module, name)
    return module


def _in_mode(module: Any, twin: Any) -> None:
    """Set training or evaluation mode in every part of the twin as it is in the module's."""
    modes = {name: one.training for name, one in module.named_modules()}
    for name, one in twin.named_modules():
        one.training = modes.get(name, module.training)
