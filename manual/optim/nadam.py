"""NAdam: Adam that looks ahead along its momentum, as Nesterov does."""

import numpy as np

from manual.module import Array
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, check_betas, count, decayed


class NAdam(Optimizer):
    """w <- w - lr (c g + c' m) / (sqrt(v_hat) + eps): Adam's step with the average that the next step will have.

    In order, with weight decay lambda (coupled, or decoupled as in AdamW) and momentum decay psi:

        mu_t = beta1 (1 - 0.96^(t psi) / 2)            rises from about beta1 / 2 to beta1
        M_t  = mu_1 mu_2 ... mu_t
        m_t  = beta1 m_{t-1} + (1 - beta1) g           m_0 = 0
        v_t  = beta2 v_{t-1} + (1 - beta2) g^2         v_0 = 0
        c    = (1 - mu_t) / (1 - M_t),   c' = mu_{t+1} / (1 - M_{t+1})
        w   <- w - lr c g / d - lr c' m_t / d,         d = sqrt(v_t / (1 - beta2^t)) + eps

    Where it comes from. With beta1 constant Adam moves along m_hat_t = (beta1 m_{t-1} + (1 - beta1) g) / (1 -
    beta1^t). Nesterov's way is to use the momentum of the next step at once, as SGD's g + mu b does: replace m_{t-1},
    which the last step has already taken, by m_t. That is (1 - beta1) g / (1 - beta1^t) + beta1 m_t / (1 -
    beta1^(t+1)). With a coefficient mu_t that changes, the power beta1^t becomes the product M_t. m itself is
    averaged with beta1, as in torch; in the paper mu_t stands there too.

    State: `step`, `mu_product` M, `exp_avg` m, `exp_avg_sq` v. As in torch M is float32 whatever the parameter's dtype
    (7 digits, until it is loaded from a state, which gives it the parameter's), so that 1 - M is. `foreach`,
    `capturable` and `differentiable` choose torch's engine, not the mathematics, and are not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.NAdam.html; Dozat, Incorporating Nesterov
    Momentum into Adam (2016)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: Options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        defaults |= {"momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay}
        defaults |= {"maximize": maximize, "foreach": foreach, "capturable": capturable}
        defaults |= {"differentiable": differentiable}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("NAdam", options, {"lr", "eps", "weight_decay", "momentum_decay"})
        check_betas("NAdam", options)

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {step, mu_product, exp_avg, exp_avg_sq} after one step."""
        lr, (beta1, beta2), eps = options["lr"], options["betas"], options["eps"]
        t = count(state)
        w, g = decayed(w, g, options)
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (k * options["momentum_decay"])) for k in (t, t + 1))
        product = state.get("mu_product", np.float32(1)) * mu
        m = beta1 * state.get("exp_avg", 0.0) + (1 - beta1) * g
        v = beta2 * state.get("exp_avg_sq", 0.0) + (1 - beta2) * g * g
        d = np.sqrt(v / (1 - beta2**t)) + eps
        c, c_next = (1 - mu) / (1 - float(product)), mu_next / (1 - float(product) * mu_next)
        w = w - lr * c * g / d - lr * c_next * m / d
        return w, {"step": np.float32(t), "mu_product": product, "exp_avg": m, "exp_avg_sq": v}
