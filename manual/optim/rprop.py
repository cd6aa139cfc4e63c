"""Rprop: steps by the sign of the gradient, each with a size of its own that adapts."""

import numpy as np

from manual.module import Array
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0, count


class Rprop(Optimizer):
    """w <- w - eta sign(g): the size eta of each entry grows while its gradient keeps its sign, and shrinks when not.

    In order, entry by entry, with the factors etas = (eta-, eta+) and the limits step_sizes = (min, max):

        g    <- -g if maximize
        c     = g_{t-1} g_t                            g_0 = 0
        eta_t = eta_{t-1} eta+   if c > 0              eta_0 = lr
                eta_{t-1} eta-   if c < 0
                eta_{t-1}        else
        eta_t <- that, not below min nor above max
        g    <- 0 if c < 0
        w    <- w - eta_t sign(g)

    What it is for. The size of a gradient says little about how far away the minimum is; its sign says on which side.
    c < 0 means that the last step went beyond the minimum: the step is halved, and no step is taken now. Since 0 is
    what is kept as g_{t-1}, the next c is 0 and the new eta is used once before it adapts again. (The first paper
    took the last step back at that point. Without that it is Rprop-, which steps on by the shorter eta; with no step
    instead it is this one, iRprop-.) It is made for whole batches: on noisy ones the sign is not to be trusted. `lr`
    is only the first eta.

    A gradient of NaN has no sign, and the entry stays where it is: so it is in torch on the CPU.

    State: `step` (unused), `prev` g_{t-1}, `step_size` eta. `foreach`, `capturable` and `differentiable` choose
    torch's engine, not the mathematics, and are not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Rprop.html; Riedmiller and Braun, A Direct
    Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm (1993); iRprop-: Igel and Huesken,
    Improving the Rprop Learning Algorithm (2000)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: Options = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize}
        defaults |= {"differentiable": differentiable, "capturable": capturable}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("Rprop", options, {"lr"})
        minus, plus = options["etas"]
        if not 0 < minus < 1 < plus:
            raise ValueError(f"etas are {(minus, plus)}, but Rprop shrinks by one in (0, 1) and grows by one above 1")

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {step, prev, step_size} after one step."""
        (minus, plus), (smallest, largest) = options["etas"], options["step_sizes"]
        g = -g if options["maximize"] else g
        c = g * state.get("prev", 0.0)
        eta = state.get("step_size", np.full_like(w, options["lr"]))
        eta = np.where(c > 0, eta * plus, np.where(c < 0, eta * minus, eta))
        eta = np.minimum(np.maximum(eta, smallest), largest)
        g = np.where(c < 0, 0.0, g)
        move = np.where(g > 0, -eta, np.where(g < 0, eta, 0.0))
        return w + move, {"step": np.float32(count(state)), "prev": g, "step_size": eta}
