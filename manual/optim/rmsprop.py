"""RMSprop: the gradient divided by the root of its running mean square."""

from typing import Any

import numpy as np

from manual.module import Array
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, count, descent


class RMSprop(Optimizer):
    """w <- w - lr g / (sqrt(v) + eps), with v a running mean of g^2.

    In order, with weight decay lambda and momentum mu:

        g  <- -g if maximize;  g <- g + lambda w
        v_t = alpha v_{t-1} + (1 - alpha) g^2          v_0 = 0, entry by entry
        a_t = alpha a_{t-1} + (1 - alpha) g            a_0 = 0, if centered
        d   = sqrt(v_t) + eps,   or sqrt(v_t - a_t^2) + eps if centered
        b_t = mu b_{t-1} + g / d                       b_0 = 0, if mu > 0
        w  <- w - lr g / d,      or w - lr b_t if mu > 0

    What the terms do. Rprop takes the sign of g alone, which needs the whole batch: nine small gradients of one sign
    and a large one of the other move w the wrong way. g divided by a root mean square that changes slowly keeps the
    proportions within neighbouring batches. Centered, v - a^2 is the variance: the step grows where the gradient is
    steady. Momentum gathers the divided gradients.

    There is no bias correction: v_1 = (1 - alpha) g^2, so that the first step is 1 / sqrt(1 - alpha) = 10 times lr
    in size. eps stands outside the root (in TensorFlow inside).

    Limits. Centered, v - a^2 is a difference of near numbers once the gradient is constant, and rounding may take it
    below 0: the root is NaN then, here and in torch. At alpha = 0 it is 0 here, but in torch, which multiplies and
    adds in one rounding, it is the rounding error of g^2, below 0 for half of all g.

    State: `step` (unused), `square_avg` v, `momentum_buffer` b, `grad_avg` a. `foreach`, `capturable` and
    `differentiable` choose torch's engine, not the mathematics, and are not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html; Hinton's lecture 6e (2012);
    centered: Graves, arXiv:1308.0850
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: Options = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered}
        defaults |= {"weight_decay": weight_decay, "capturable": capturable, "foreach": foreach}
        defaults |= {"maximize": maximize, "differentiable": differentiable}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("RMSprop", options, {"lr", "eps", "momentum", "weight_decay", "alpha"})

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {step, square_avg} after one step, with momentum_buffer and grad_avg where they are used."""
        lr, alpha, mu = options["lr"], options["alpha"], options["momentum"]
        g = descent(w, g, options)
        v = alpha * state.get("square_avg", 0.0) + (1 - alpha) * g * g
        after: dict[str, Any] = {"step": np.float32(count(state)), "square_avg": v}
        variance = v
        if options["centered"]:
            a = after["grad_avg"] = alpha * state.get("grad_avg", 0.0) + (1 - alpha) * g
            variance = v - a * a
        d = np.sqrt(variance) + options["eps"]
        if mu == 0:
            return w - lr * g / d, after
        b = after["momentum_buffer"] = mu * state.get("momentum_buffer", 0.0) + g / d
        return w - lr * b, after
