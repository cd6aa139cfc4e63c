"""Stochastic gradient descent, with momentum in both forms."""

from manual.module import Array, Parameter
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, descent


class SGD(Optimizer):
    """w <- w - lr * g, with g = dL/dw, for every parameter w; with momentum mu, along an average of the gradients.

    Why it lowers the loss: to first order L(w - lr g) = L(w) - lr g.g, and g.g is never negative. If a
    partial is positive its parameter falls, if negative it rises, and the loss falls in both cases, as long
    as lr is small enough for the first order to hold.

    In order, with weight decay lambda, momentum mu and dampening tau:

        g   <- -g                                     if maximize
        g   <- g + lambda w                           the gradient of L + (lambda/2) |w|^2
        b_1  = g_1;   b_t = mu b_{t-1} + (1 - tau) g_t   the buffer, if mu > 0
        d    = b_t, or g_t + mu b_t if nesterov       the direction
        w   <- w - lr d

    Momentum. With g constant b_t = g (1 + mu + mu^2 + ...) -> g / (1 - mu): the step grows tenfold for mu = 0.9. Across
    a valley, where g changes its sign, the terms cancel. With tau = mu the buffer is an average instead and nothing
    grows. The first b is g itself, undampened: for tau = mu it is 1 / (1 - mu) times what an average from 0 would be.

    lr stands outside the buffer. Sutskever has v_t = mu v_{t-1} + lr g_t, w <- w - v_t: the same as long as lr does
    not change. If lr drops, here the whole step shrinks at once, there the old velocity goes on.

    Nesterov takes the gradient at the place where momentum alone would lead, w - lr mu b_{t-1}. In the variable
    u_t = w_t - lr mu b_t (where the gradient is taken, so this is what torch keeps as the parameter) that is
    b_t = mu b_{t-1} + g(u_{t-1}) and u_t = u_{t-1} - lr (g_t + mu b_t): each step looks ahead by one.

    `params` is an iterable of parameters, or of groups {"params": ..., "lr": ...}; `lr` is the step size. State:
    `momentum_buffer` b, none without momentum. `foreach`, `fused` and `differentiable` choose torch's engine, not the
    mathematics, and are not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html; Sutskever et al., On the importance
    of initialization and momentum in deep learning (2013)
    """

    def __init__(
        self,
        params: Params,
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
        defaults: Options = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        defaults |= {"nesterov": nesterov, "maximize": maximize}
        defaults |= {"foreach": foreach, "differentiable": differentiable, "fused": fused}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("SGD", options, {"lr", "momentum", "weight_decay"})
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError("nesterov looks ahead along the momentum: it takes momentum above 0 and dampening 0")

    def check_parameter(self, parameter: Parameter) -> None:
        """Take complex parameters too: every line of the rule is linear, so a complex step goes through it."""

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {momentum_buffer} after one step."""
        lr, mu, tau = options["lr"], options["momentum"], options["dampening"]
        g = descent(w, g, options)
        if mu == 0:
            return w - lr * g, state
        b = mu * state["momentum_buffer"] + (1 - tau) * g if "momentum_buffer" in state else g
        d = g + mu * b if options["nesterov"] else b
        return w - lr * d, {"momentum_buffer": b}
