"""Adagrad: the gradient divided by the root of the sum of all its squares so far."""

import numpy as np

from manual.module import Array
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, count, descent


class Adagrad(Optimizer):
    """w <- w - lr_t g / (sqrt(S) + eps), with S the sum of g^2 over all steps.

    In order, with weight decay lambda and the decay eta of lr:

        g   <- -g if maximize;  g <- g + lambda w
        lr_t = lr / (1 + (t - 1) eta)
        S_t  = S_{t-1} + g^2                           S_0 = initial_accumulator_value, entry by entry
        w   <- w - lr_t g / (sqrt(S_t) + eps)

    What it is for. A coordinate that seldom has a gradient (a rare word) has a small S and moves far when it has one;
    one that always has gradients moves less and less. With gradients of one size S grows as t g^2 and the step falls
    as lr / sqrt(t), the rate for which the regret of convex problems is proven. It never rises again, so that long
    trainings come to a stop; RMSprop's mean in place of the sum mends that. S_0 > 0 shortens the first step, which is
    lr in size otherwise, whatever g is.

    State: `step`, `sum` S, there from the start, as in torch. (A group's own initial_accumulator_value counts here;
    torch reads the constructor's.) `foreach`, `fused` and `differentiable` choose torch's engine, not the
    mathematics, and are not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html; Duchi, Hazan and Singer, Adaptive
    Subgradient Methods for Online Learning and Stochastic Optimization (2011)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: None = None,
    ) -> None:
        defaults: Options = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        defaults |= {"initial_accumulator_value": initial_accumulator_value, "foreach": foreach}
        defaults |= {"maximize": maximize, "differentiable": differentiable, "fused": fused}
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                start = np.full_like(p.data, group["initial_accumulator_value"])
                self.state[p] = {"step": np.zeros((), np.float32), "sum": start}

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("Adagrad", options, {"lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"})

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {step, sum} after one step."""
        t = count(state)
        g = descent(w, g, options)
        lr = options["lr"] / (1 + (t - 1) * options["lr_decay"])
        total = state.get("sum", options["initial_accumulator_value"]) + g * g
        return w - lr * g / (np.sqrt(total) + options["eps"]), {"step": np.float32(t), "sum": total}
