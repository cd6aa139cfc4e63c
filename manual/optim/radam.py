"""RAdam: Adam that trusts its second moment only once it has seen enough gradients."""

from typing import Any

import numpy as np

from manual.module import Array
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, check_betas, count, decayed


class RAdam(Optimizer):
    """w <- w - lr m_hat r / sqrt(v_hat) once v_hat is reliable, and w <- w - lr m_hat before.

    In order, with weight decay lambda (coupled, or decoupled as in AdamW):

        m_t   = beta1 m_{t-1} + (1 - beta1) g;   m_hat = m_t / (1 - beta1^t)
        v_t   = beta2 v_{t-1} + (1 - beta2) g^2
        rho   = rho_inf - 2 t beta2^t / (1 - beta2^t),   rho_inf = 2 / (1 - beta2) - 1
        r     = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
        w    <- w - lr m_hat r sqrt(1 - beta2^t) / (sqrt(v_t) + eps)     if rho > 5
        w    <- w - lr m_hat                                            else

    Why. In the first steps v_hat comes from few gradients: 1 / sqrt(v_hat) varies so much that single steps are far
    too long, which is what a warm-up of lr is for. rho is the length of the plain average whose centre of mass lies
    where the exponential one's does: of weights beta2^(t-i), i = 1..t, the mean age is

        sum_k k beta2^k / sum_k beta2^k = beta2 / (1 - beta2) - t beta2^t / (1 - beta2^t),   k = 0..t-1,

    and a plain average of rho numbers has the mean age (rho - 1) / 2. Setting both equal gives rho above, from 1 at
    t = 1 to rho_inf. For normal gradients the inverse of such an average of squares is scaled inverse chi-square with
    rho degrees of freedom. The variance of its root exists for rho > 4 only and falls as about
    rho / (2 (rho - 2) (rho - 4)). r is the root of that at rho_inf over that at rho: it scales the step so that its
    variance is the same at all times. It rises to 1. Up to rho = 5 (t = 5 for beta2 = 0.999) the step is that of SGD
    with momentum, which lr is not made for: its size is the gradient's.

    eps is added to the root of v before the bias is corrected, unlike Adam's. State: `step`, `exp_avg` m,
    `exp_avg_sq` v. `foreach`, `capturable` and `differentiable` choose torch's engine, not the mathematics, and are
    not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.RAdam.html; Liu et al., On the Variance of the
    Adaptive Learning Rate and Beyond, arXiv:1908.03265
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: Options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        defaults |= {"maximize": maximize, "foreach": foreach, "capturable": capturable}
        defaults |= {"decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("RAdam", options, {"lr", "eps", "weight_decay"})
        check_betas("RAdam", options)

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {step, exp_avg, exp_avg_sq} after one step."""
        lr, (beta1, beta2), eps = options["lr"], options["betas"], options["eps"]
        t = count(state)
        w, g = decayed(w, g, options)
        m = beta1 * state.get("exp_avg", 0.0) + (1 - beta1) * g
        v = beta2 * state.get("exp_avg_sq", 0.0) + (1 - beta2) * g * g
        after: dict[str, Any] = {"step": np.float32(t), "exp_avg": m, "exp_avg_sq": v}
        m_hat = m / (1 - beta1**t)
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        if rho <= 5:
            return w - lr * m_hat, after
        r = ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) ** 0.5
        return w - lr * m_hat * r * ((1 - beta2**t) ** 0.5 / (np.sqrt(v) + eps)), after
