"""Muon: momentum whose matrix is made orthogonal, so that all its directions count alike."""

import math

import numpy as np

from manual.module import Array, Parameter
from manual.optim.optimizer import Optimizer, Options, Params, State, at_least_0

ADJUST = {None, "original", "match_rms_adamw"}


class Muon(Optimizer):
    """W <- W (1 - lr lambda) - lr' O, with O the momentum B made nearly orthogonal; for matrices alone.

    In order, with momentum mu and weight decay lambda:

        B_t = mu B_{t-1} + (1 - mu) G                  B_0 = 0
        D   = mu B_t + (1 - mu) G if nesterov, else B_t
        O   = orthogonalized(D)
        lr' = lr sqrt(max(1, rows / columns)),         with 'match_rms_adamw' 0.2 lr sqrt(max(rows, columns))
        W  <- W (1 - lr lambda) - lr' O                lambda acts with lr, not lr'

    torch's page writes B_t = mu B_{t-1} + G and D = G + mu B_t. That is the same divided by 1 - mu, in both, and a
    factor does not change O; the buffer in the state is the averaged one.

    Why orthogonal. With D = U S V^T, a step W' lowers the loss by <D, W'> = sum_ij D_ij W'_ij to first order (D taken
    for its gradient). Of all W' whose largest singular value is at most 1, U V^T lowers it most: it is steepest descent
    where steps are measured by how far the layer's output can move. In practice S falls off quickly, and D is nearly
    of low rank; U V^T gives the weak directions the same step.

    The learning rate. O has min(rows, columns) singular values of about 1, so that its entries have the root mean
    square sqrt(min(rows, columns) / (rows columns)) = 1 / sqrt(max(rows, columns)). The second adjustment makes it
    0.2, which is what AdamW's steps have: lr and lambda can be taken over from there. The first lengthens the steps of
    matrices with more rows than columns only.

    Use it for the matrices inside a network, and AdamW for biases, gains, embeddings and the last layer. Weight decay
    is always decoupled. torch computes O in bfloat16 (3 digits), whatever the parameter's dtype; here it is computed
    in the parameter's. State: `momentum_buffer` B.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Muon.html; Jordan et al., Muon: An optimizer for
    hidden layers in neural networks (2024); Liu et al., Muon is Scalable for LLM Training, arXiv:2502.16982
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults: Options = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        defaults |= {"ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps}
        defaults |= {"adjust_lr_fn": adjust_lr_fn}
        super().__init__(params, defaults)

    def check(self, options: Options) -> None:
        """Raise ValueError for options outside their range."""
        at_least_0("Muon", options, {"lr", "weight_decay", "momentum"})
        if options["adjust_lr_fn"] not in ADJUST:
            raise ValueError(
                f"adjust_lr_fn is {options['adjust_lr_fn']!r}, but Muon knows 'original' and 'match_rms_adamw'"
            )
        if options["ns_steps"] >= 100:
            raise ValueError(f"ns_steps is {options['ns_steps']}, but Muon takes fewer than 100; 5 are enough")
        if len(options["ns_coefficients"]) != 3:
            raise ValueError(f"ns_coefficients are {options['ns_coefficients']}, but a quintic has three: a, b, c")

    def check_parameter(self, parameter: Parameter) -> None:
        """Raise ValueError for a parameter that is no matrix."""
        super().check_parameter(parameter)
        if len(parameter.shape) != 2 or not parameter.shape[1]:
            raise ValueError(
                f"Muon takes matrices with at least a column, not a parameter of shape {parameter.shape}; "
                "train it with AdamW"
            )

    def update(self, w: Array, g: Array, state: State, options: Options) -> tuple[Array, State]:
        """Return w and {momentum_buffer} after one step."""
        lr, mu = options["lr"], options["momentum"]
        rows, columns = w.shape
        b = mu * state.get("momentum_buffer", 0.0) + (1 - mu) * g
        d = mu * b + (1 - mu) * g if options["nesterov"] else b
        o = orthogonalized(d, options["ns_coefficients"], options["ns_steps"], options["eps"])
        match = options["adjust_lr_fn"] == "match_rms_adamw"
        adjusted = lr * (0.2 * math.sqrt(max(rows, columns)) if match else math.sqrt(max(1, rows / columns)))
        return w * (1 - lr * options["weight_decay"]) - adjusted * o, {"momentum_buffer": b}


def orthogonalized(
    d: Array,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    steps: int = 5,
    eps: float = 1e-7,
) -> Array:
    """Return U S' V^T for D = U S V^T, with S' near 1, by products of matrices alone (Newton-Schulz).

        X  <- D / max(|D|, eps)                        |D|: the root of the sum of squares
        X  <- a X + (b A + c A^2) X,   A = X X^T,      `steps` times

    Put X = U S V^T in: A = U S^2 U^T, hence X <- U (a S + b S^3 + c S^5) V^T. U and V stay, and every singular value
    goes through the polynomial p(s) = a s + b s^3 + c s^5. After the division all lie in [0, 1].

    The coefficients. Those with p(1) = 1 and p'(1) = 0 (15/8, -10/8, 3/8) converge to 1, but a small s grows by 1.9 a
    step only. Jordan's choice makes p'(0) = a = 3.4445 as large as can be under the condition that values, once they
    are there, stay around 1: p's fixed point near 1, at 0.87, repels (p' = -1.6), and they wander in [0.68, 1.14].
    Five steps lift all s above 0.01 into about that range. Better than exact and slower, since U V^T is not needed
    exactly.

    D is turned so that A is the smaller of the two squares; U S' V^T does not depend on that.
    """
    a, b, c = coefficients
    tall = d.shape[0] > d.shape[1]
    x = d.T if tall else d  # (short, long)
    x = x / np.maximum(np.sqrt((x * x).sum()), eps)
    for _ in range(steps):
        gram = x @ x.T  # (short, short)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    result: Array = x.T if tall else x
    return result
