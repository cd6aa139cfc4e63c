"""Adam: a step of about lr in every coordinate, by averages of the gradient and of its square."""

from typing import Any

import numpy as np

from manual.module import Array
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, check_betas, count, decayed


class Adam(Optimizer):
    """w <- w - lr m_hat / (sqrt(v_hat) + eps), with m_hat and v_hat averages of g and of g^2, unbiased from step 1 on.

    In order, at step t = 1, 2, ...:

        g    <- -g if maximize;  g <- g + lambda w         or, with decoupled_weight_decay, w <- w (1 - lr lambda)
        m_t   = beta1 m_{t-1} + (1 - beta1) g              m_0 = 0
        v_t   = beta2 v_{t-1} + (1 - beta2) g^2            v_0 = 0, entry by entry
        s_t   = max(s_{t-1}, v_t) if amsgrad, else v_t     s_0 = 0
        m_hat = m_t / (1 - beta1^t),   v_hat = s_t / (1 - beta2^t)
        w    <- w - lr m_hat / (sqrt(v_hat) + eps)

    Bias correction. Written out, m_t = (1 - beta1) sum_{i=1..t} beta1^(t-i) g_i. If the g_i have one mean E[g],

        E[m_t] = (1 - beta1) (1 + beta1 + ... + beta1^(t-1)) E[g] = (1 - beta1^t) E[g],

    too small, since the average began at 0; likewise E[v_t] = (1 - beta2^t) E[g^2]. The division makes both right. At
    t = 1 it leaves m_hat = g and sqrt(v_hat) = |g|: every coordinate moves by lr, whatever the size of its gradient.
    Without it the ratio would be (1 - beta1) / sqrt(1 - beta2) = 3.2 times as much.

    What the terms do. m averages out the noise. The division by sqrt(v_hat) makes the step free of the gradient's
    scale: c g gives the same step as g, until c |g| comes near eps. Where the gradient is steady the step is lr, where
    it changes its sign |m_hat| is small beside sqrt(v_hat) and the step is too. eps stands outside the root, after the
    correction: it is compared with |g| itself. amsgrad keeps the largest v, so that the factor lr / sqrt(s) only
    falls; Adam's may rise again, on which the proof of its convergence fails. The maximum is taken before the
    correction.

    Weight decay through g is divided by sqrt(v_hat) as well: see `decayed`, and AdamW.

    The code has the two corrections as torch has them: lr / (1 - beta1^t) outside, sqrt(s) / sqrt(1 - beta2^t) + eps
    below. State: `step`, `exp_avg` m, `exp_avg_sq` v, with amsgrad `max_exp_avg_sq` s. `foreach`, `fused`,
    `capturable` and `differentiable` choose torch's engine, not the mathematics, and are not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html; Kingma and Ba, arXiv:1412.6980;
    amsgrad: Reddi, Kale and Kumar, On the Convergence of Adam and Beyond (2018)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults: Options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        defaults |= {"maximize": maximize, "foreach": foreach, "capturable": capturable}
        defaults |= {"differentiable": differentiable, "fused": fused, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0(type(self).__name__, options, {"lr", "eps", "weight_decay"})
        check_betas(type(self).__name__, options)

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {step, exp_avg, exp_avg_sq} after one step, with amsgrad max_exp_avg_sq too."""
        lr, (beta1, beta2), eps = options["lr"], options["betas"], options["eps"]
        t = count(state)
        w, g = decayed(w, g, options)
        m = beta1 * state.get("exp_avg", 0.0) + (1 - beta1) * g
        v = beta2 * state.get("exp_avg_sq", 0.0) + (1 - beta2) * g * g
        after: dict[str, Any] = {"step": np.float32(t), "exp_avg": m, "exp_avg_sq": v}
        s = v
        if options["amsgrad"]:
            s = after["max_exp_avg_sq"] = np.maximum(state.get("max_exp_avg_sq", 0.0), v)
        denominator = np.sqrt(s) / (1 - beta2**t) ** 0.5 + eps
        return w - lr / (1 - beta1**t) * m / denominator, after
