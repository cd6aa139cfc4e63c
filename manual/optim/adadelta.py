"""Adadelta: a step in the units of the parameter, with no learning rate to choose."""

import numpy as np

from manual.module import Array
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, count, descent


class Adadelta(Optimizer):
    """w <- w - lr delta, delta = sqrt(u + eps) / sqrt(v + eps) g, with u and v running means of delta^2 and of g^2.

    In order, with weight decay lambda:

        g    <- -g if maximize;  g <- g + lambda w
        v_t   = rho v_{t-1} + (1 - rho) g^2                        v_0 = 0, entry by entry
        delta = sqrt(u_{t-1} + eps) / sqrt(v_t + eps) g
        u_t   = rho u_{t-1} + (1 - rho) delta^2                    u_0 = 0
        w    <- w - lr delta

    Why. Units: if w is in metres and the loss has none, g is in 1/metres. SGD's step lr g is in 1/metres, RMSprop's
    g / sqrt(v) has no unit; a Newton step g / (d^2L/dw^2) is in metres. delta is as well: (metres) / (1/metres) times
    (1/metres). So the size of a step follows from the sizes of the steps before, and lr is 1 by default, a factor
    that the paper has not. delta is of the last step's u, since this step's is not known yet.

    eps stands inside both roots, and it is what starts the motion: at u_0 = 0 the first step is sqrt(eps) / sqrt((1 -
    rho) g^2 + eps) g, about 0.003 in size. It can only grow slowly from there.

    State: `step` (unused), `square_avg` v, `acc_delta` u. `foreach`, `capturable` and `differentiable` choose torch's
    engine, not the mathematics, and are not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html; Zeiler, arXiv:1212.5701
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: Options = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        defaults |= {"capturable": capturable, "foreach": foreach, "differentiable": differentiable}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("Adadelta", options, {"lr", "eps", "weight_decay"})
        if not 0 <= options["rho"] <= 1:
            raise ValueError(f"rho is {options['rho']}, but Adadelta takes a number from 0 to 1")

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {step, square_avg, acc_delta} after one step."""
        lr, rho, eps = options["lr"], options["rho"], options["eps"]
        u = state.get("acc_delta", w.dtype.type(0))
        g = descent(w, g, options)
        v = rho * state.get("square_avg", 0.0) + (1 - rho) * g * g
        delta = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u = rho * u + (1 - rho) * delta * delta
        return w - lr * delta, {"step": np.float32(count(state)), "square_avg": v, "acc_delta": u}
