"""What all update rules share: groups of parameters with their options, state, and the walk of a step."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from manual.module import Array, Parameter, plain, unsupported

Options = dict[str, Any]
State = Mapping[str, Any]  # arrays by torch's names; a rule may hand back a number for one
Params = Iterable[Parameter] | Iterable[tuple[str, Parameter]] | Iterable[dict[str, Any]]

# torch's choices of an engine. They say how a step is computed on a device, not what: the mathematics is the same.
ENGINE = ("foreach", "fused", "capturable", "differentiable")


class Optimizer:
    """Base of every update rule; a rule is its defaults, `check` and `update`.

    `update` is a pure function: of a parameter w, its gradient g, its state and its group's options it returns the
    new w and the new state. What is not in the state yet has its value before the first step, mostly 0; so a rule
    reads as its recursion. All else is here: a step updates every parameter that has a gradient and skips the others
    (a gradient of zeros is one: momentum goes on, and so does weight decay).

    Arrays are replaced, never written to: one taken out before a step stays what it was.

    Averages are written beta m + (1 - beta) g. torch's `lerp` has m + (1 - beta) (g - m), the same but for rounding
    and for an infinite g, after which m is infinite here and NaN there from the next step on.

    `params` is an iterable of parameters, of (name, parameter) pairs, or of groups {"params": ..., "lr": ...}, whose
    options stand over the constructor's. `param_groups` holds them with every option filled in. An option may be
    changed there between steps, which is what the schedulers do.

    Source: https://docs.pytorch.org/docs/stable/optim.html
    """

    def __init__(self, params: Params, defaults: Options) -> None:
        who = type(self).__name__
        self.defaults = defaults
        self.state: dict[Parameter, dict[str, Array]] = {}
        self.param_groups: list[Options] = []
        self._check(defaults)
        if isinstance(params, Parameter | np.ndarray):
            raise TypeError(f"{who} takes parameters, or groups of them, in a list; pass [parameter]")
        if not isinstance(params, Iterable):
            given_kind = type(params).__name__
            raise TypeError(f"{who} takes parameters, or groups of them, not a {given_kind}; pass network.parameters()")
        given: list[Any] = list(params)
        if not given:
            raise ValueError(f"{who} was given no parameters; pass network.parameters()")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range; called with the defaults and with every group's."""
        raise NotImplementedError(f"{type(self).__name__} has no check")

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return the parameter and its state after one step with gradient g; nothing is changed."""
        raise NotImplementedError(f"{type(self).__name__} has no update")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return what `closure`, called first, returned.

        Raises ValueError for a gradient of another shape than its parameter's and TypeError for another dtype, before
        anything is changed: NumPy would repeat it, or enlarge the parameter.
        """
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.checked(parameter.grad)
        with np.errstate(all="ignore"):  # what is too large becomes inf, then NaN, as in torch
            for group in self.param_groups:
                self._step_group(group["params"], {name: plain(option) for name, option in group.items()})
        return loss

    def _step_group(self, parameters: list[Parameter], options: Options) -> None:
        for parameter in parameters:
            if parameter.grad is not None:
                w, state = self.update(
                    parameter.data, np.asarray(parameter.grad), self.state.get(parameter, {}), options
                )
                parameter.data = np.asarray(w)
                if state:
                    self.state[parameter] = {key: np.asarray(value) for key, value in state.items()}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set those that exist to 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad = None if set_to_none else np.zeros_like(parameter.grad)

    def add_param_group(self, param_group: Options) -> None:
        """Train these parameters as well; options that the group does not name are the constructor's."""
        who = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f'{who}: a group is a dictionary {{"params": ...}}, not {type(param_group).__name__}')
        if "params" not in param_group:
            given_names = ", ".join(param_group) or "nothing"
            raise KeyError(f'{who}: a group has no "params", only {given_names}; give its parameters there')
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(f"{who}: a set of parameters has no order, which state_dict() relies on; pass a list")
        members: list[Any] = [given] if isinstance(given, Parameter) else list(given)
        names = [member[0] for member in members if isinstance(member, tuple)]
        members = [member[1] if isinstance(member, tuple) else member for member in members]
        group = {**self.defaults, **param_group, "params": members}
        if names:
            group["param_names"] = names
        if not all(isinstance(parameter, Parameter) for parameter in members):
            raise TypeError(f"{who} takes parameters, or groups of them; pass network.parameters()")
        if names and len(names) < len(members):
            raise ValueError(f"{who}: only {len(names)} of {len(members)} parameters have names; name all or none")
        if any(("param_names" in other) != bool(names) for other in self.param_groups):
            raise ValueError(f"{who}: some groups have names for their parameters and some have none; name all or none")
        known = {parameter for other in self.param_groups for parameter in other["params"]}
        if len(known.union(members)) < len(known) + len(members):
            raise ValueError(f"{who} was given a parameter twice, and would move it twice; pass each once")
        for parameter in members:
            self.check_parameter(parameter)
        self._check(group)
        self.param_groups.append(group)

    def check_parameter(self, parameter: Parameter) -> None:
        """Raise for a parameter that the rule cannot train."""
        if parameter.dtype.kind == "c":
            raise NotImplementedError(f"{type(self).__name__} does not support complex parameters here")

    def _check(self, options: Options) -> None:
        engine = {name: options.get(name) or None for name in ENGINE}
        unsupported(type(self).__name__, **engine)
        self.check(options)

    # ------------------------------------------------------------------ state, in torch's form

    def state_dict(self) -> dict[str, Any]:
        """Return {"state": {number: {name: array}}, "param_groups": [...]}, parameters numbered through all groups.

        Keys and structure are torch's: with `torch.tensor(array)` for each array torch's optimizer loads it.
        """
        numbers = {p: i for i, p in enumerate(p for group in self.param_groups for p in group["params"])}
        return {
            "state": {
                numbers[p]: {key: np.array(value) for key, value in state.items()} for p, state in self.state.items()
            },
            "param_groups": [{**group, "params": [numbers[p] for p in group["params"]]} for group in self.param_groups],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over state and options from `state_dict()`, ours or torch's with `.numpy()` of each tensor.

        As torch does, floats but for `step` take the parameter's dtype. Raises ValueError where the groups, or an
        array's shape, are others, before anything is changed.
        """
        who, saved = type(self).__name__, state_dict["param_groups"]
        own, others = ([len(group["params"]) for group in groups] for groups in (self.param_groups, saved))
        if own != others:
            raise ValueError(f"{who} has groups of {own} parameters, the state groups of {others}; build it alike")
        mine = [p for group in self.param_groups for p in group["params"]]
        parameters = dict(zip([number for group in saved for number in group["params"]], mine, strict=True))
        state = {
            parameters[number]: {key: _loaded(who, key, value, parameters[number]) for key, value in entries.items()}
            for number, entries in state_dict["state"].items()
        }
        names = [{"param_names": group["param_names"]} if "param_names" in group else {} for group in self.param_groups]
        groups = [
            {**self.defaults, **name, **new, "params": group["params"]}
            for name, group, new in zip(names, self.param_groups, saved, strict=True)
        ]
        for group in groups:  # but for the rate, which a scheduler's rounding, or its last step, may take below 0
            self._check({**group, "lr": self.defaults["lr"]})
        self.state, self.param_groups = state, groups

    def __repr__(self) -> str:
        text = ""
        for i, group in enumerate(self.param_groups):
            options = (f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
            text += f"\nParameter Group {i}\n" + "".join(options)
        return f"{type(self).__name__} ({text})"


def _loaded(who: str, key: str, value: Any, parameter: Parameter) -> Array:
    if not isinstance(value, np.ndarray | np.generic | float | int):
        raise TypeError(f"{who}: {key} is a {type(value).__name__}, not a numpy array; of a tensor, take .numpy()")
    if np.shape(value) not in ((), parameter.shape):
        raise ValueError(f"{who}: {key} has shape {np.shape(value)}, but the parameter {parameter.shape}")
    return np.array(value, dtype=np.float32 if key == "step" else parameter.dtype)


def at_least_0(who: str, options: Options, names: set[str]) -> None:
    """Raise ValueError for the first of these options that is negative, or NaN."""
    for name, value in options.items():
        if name in names and not value >= 0:  # written so that NaN fails as well
            known_as = "a learning rate" if name == "lr" else f"{who}'s {name}"
            raise ValueError(f"{name} is {value}, but {known_as} is 0 or above")


def check_betas(who: str, options: Options) -> None:
    """Raise ValueError unless there are two betas in [0, 1)."""
    betas = options["betas"]
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas are {betas}, but {who} takes two numbers, each 0 or above and below 1")


def count(state: State) -> float:
    """Return t, the number of this step, from 1 on.

    It is kept as float32, as in torch (so that it stops at 2^24 there and here), and is Python's float in formulas.
    """
    return float(state.get("step", 0)) + 1


def descent(w: Array, g: Array, options: Options) -> Array:
    """Return the direction that the rule takes for the gradient: g, negated by `maximize`, plus L2 weight decay.

    Weight decay lambda adds (lambda/2) |w|^2 to the loss, hence lambda w to its gradient. It pulls towards 0 under
    `maximize` too, so it comes after the sign.
    """
    g = -g if options["maximize"] else g
    return g + options["weight_decay"] * w if options["weight_decay"] else g


def decayed(w: Array, g: Array, options: Options) -> tuple[Array, Array]:
    """Return w and g after weight decay, decoupled (on w) or coupled (on g).

    L2 decay through g is divided by the running size of the gradients like the rest of g, so that weights with large
    gradients decay less. Decoupled decay, w (1 - lr lambda), is the same for all, and stays out of the averages.
    """
    if not options["decoupled_weight_decay"]:
        return w, descent(w, g, options)
    return w * (1 - options["lr"] * options["weight_decay"]), (-g if options["maximize"] else g)
