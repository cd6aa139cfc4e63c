"""ASGD: stochastic gradient descent that also keeps the average of where it has been."""

import numpy as np

from manual.module import Array
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, count, descent


class ASGD(Optimizer):
    """w <- w (1 - lambd eta) - eta g with a falling rate eta, and an average `ax` of the w from step t0 on.

    In order, at step t, with weight decay lambda beside the decay `lambd`:

        g    <- -g if maximize;  g <- g + lambda w
        w    <- w (1 - lambd eta_{t-1}) - eta_{t-1} g          eta_0 = lr
        ax   <- ax + mu_{t-1} (w - ax)                         mu_0 = 1
        eta_t = lr / (1 + lambd lr t)^alpha
        mu_t  = 1 / max(1, t - t0)

    What it is for. w itself keeps jumping about the minimum by as much as eta and the noise allow. The average of its
    places jumps less: for a quadratic loss it reaches the best rate that any method can, without knowing the
    curvature, if eta falls more slowly than 1/t (alpha < 1). mu = 1 makes ax a copy of w. From t0 on mu = 1, 1/2,
    1/3, ...: with ax_n the mean of n places, ax_n = ax_{n-1} + (w_n - ax_{n-1}) / n. At the default t0 = 10^6 few
    trainings come that far. Nothing uses ax: read `optimizer.state[parameter]["ax"]` at the end.

    State: `step`, `eta`, `mu`, `ax`. As in torch eta and mu are kept as float32, whatever the parameter's dtype: a
    float64 parameter moves by a rate of 7 digits, from the first step on. `foreach`, `capturable` and `differentiable`
    choose torch's engine, not the mathematics, and are not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.ASGD.html; Polyak and Juditsky, Acceleration of
    Stochastic Approximation by Averaging (1992)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults: Options = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        defaults |= {"foreach": foreach, "maximize": maximize, "differentiable": differentiable}
        defaults |= {"capturable": capturable}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("ASGD", options, {"lr", "weight_decay"})

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {step, eta, mu, ax} after one step."""
        lr, lambd, alpha, t0 = (options[name] for name in ("lr", "lambd", "alpha", "t0"))
        t, eta, mu = count(state), float(state.get("eta", np.float32(lr))), state.get("mu", 1)
        g = descent(w, g, options)
        w = w * (1 - lambd * eta) - eta * g
        ax = w if mu == 1 else state["ax"] + mu * (w - state["ax"])
        eta, mu = lr / (1 + lambd * lr * t) ** alpha, 1 / max(1, t - t0)
        return w, {"step": np.float32(t), "eta": np.float32(eta), "mu": np.float32(mu), "ax": ax}
