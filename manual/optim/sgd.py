"""Stochastic gradient descent."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from manual.module import Parameter, unsupported


class SGD:
    """w <- w - lr * g, with g = dL/dw, for every parameter w.

    Why it lowers the loss: to first order L(w - lr g) = L(w) - lr g.g, and g.g is never negative. If a
    partial is positive its parameter falls, if negative it rises, and the loss falls in both cases, as long
    as lr is small enough for the first order to hold.

    `params` is an iterable of parameters, or of groups {"params": ..., "lr": ...}; `lr` is the step size.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
    """

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: None = None,
        differentiable: bool = False,
        fused: None = None,
    ) -> None:
        unsupported(
            "SGD",
            momentum=momentum or None,
            dampening=dampening or None,
            weight_decay=weight_decay or None,
            nesterov=nesterov or None,
            maximize=maximize or None,
            foreach=foreach,
            differentiable=differentiable or None,
            fused=fused,
        )
        given: list[Any] = list(params)
        if not given:
            raise ValueError("SGD was given no parameters; pass network.parameters()")
        groups = given if isinstance(given[0], dict) else [{"params": given}]
        self.param_groups = [{"lr": lr, **group, "params": list(group["params"])} for group in groups]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        if not all(isinstance(parameter, Parameter) for parameter in parameters):
            raise TypeError("SGD takes parameters, or groups of them; pass network.parameters()")
        if len({id(parameter) for parameter in parameters}) < len(parameters):
            raise ValueError("SGD was given a parameter twice, and would move it twice; pass each once")
        for group in self.param_groups:
            group["lr"] = float(group["lr"])
            if not group["lr"] >= 0:  # written so that NaN fails as well
                raise ValueError(f"lr is {group['lr']}, but a learning rate is 0 or above")

    def step(self) -> None:
        """Move every parameter that has a gradient; the others stay."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    # lr is Python's float: NumPy computes with it in the parameter's own dtype.
                    parameter.data = np.asarray(parameter.data - group["lr"] * parameter.grad)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return torch's form: no state, and each group's options with its parameters' numbers."""
        groups, count = [], 0
        for group in self.param_groups:
            numbers = list(range(count, count + len(group["params"])))
            count += len(numbers)
            groups.append({**group, "params": numbers})
        return {"state": {}, "param_groups": groups}
