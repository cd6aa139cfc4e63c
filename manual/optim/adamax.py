"""Adamax: Adam with the largest gradient of the past in place of the root of the mean square."""

import numpy as np

from manual.module import Array
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, check_betas, count, descent


class Adamax(Optimizer):
    """w <- w - lr m_hat / u, with m_hat as in Adam and u a maximum of |g| that decays.

    In order:

        g  <- -g if maximize;  g <- g + lambda w
        m_t = beta1 m_{t-1} + (1 - beta1) g            m_0 = 0
        u_t = max(beta2 u_{t-1}, |g| + eps)            u_0 = 0, entry by entry
        w  <- w - lr / (1 - beta1^t) m_t / u_t

    Where it comes from. Adam's v with a power p for 2 is v_t = (1 - beta2^p) sum_i beta2^(p (t-i)) |g_i|^p. For
    p -> infinity its p-th root tends to the largest term: u_t = max_i beta2^(t-i) |g_i|, or as a recursion
    max(beta2 u_{t-1}, |g_t|). A maximum that starts at 0 is not biased as an average is, so u has no correction; m has
    Adam's. One step is at most lr in size where m_hat is at most u. eps stands inside the maximum: it keeps u above 0
    where all gradients so far were 0.

    State: `step`, `exp_avg` m, `exp_inf` u. `foreach`, `capturable` and `differentiable` choose torch's engine, not
    the mathematics, and are not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adamax.html; Kingma and Ba, arXiv:1412.6980,
    section 7.1
    """

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults: Options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach}
        defaults |= {"maximize": maximize, "differentiable": differentiable, "capturable": capturable}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("Adamax", options, {"lr", "eps", "weight_decay"})
        check_betas("Adamax", options)

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {step, exp_avg, exp_inf} after one step."""
        lr, (beta1, beta2), eps = options["lr"], options["betas"], options["eps"]
        t = count(state)
        g = descent(w, g, options)
        m = beta1 * state.get("exp_avg", 0.0) + (1 - beta1) * g
        u = np.maximum(beta2 * state.get("exp_inf", 0.0), np.abs(g) + eps)
        return w - lr / (1 - beta1**t) * m / u, {"step": np.float32(t), "exp_avg": m, "exp_inf": u}
