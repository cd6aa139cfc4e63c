"""Adam with decoupled weight decay."""

from collections.abc import Mapping
from typing import Any

from manual.optim.adam import Adam
from manual.optim.optimizer import Params


class AdamW(Adam):
    """Adam whose weight decay acts on w alone: w <- w (1 - lr lambda), then Adam's step without it.

    For plain SGD the two kinds of decay are one: w - lr (g + lambda w) = w (1 - lr lambda) - lr g. In Adam they are
    not. L2 decay goes through m and v, so that weight k is pulled by about lambda w_k / sqrt(v_k): where gradients are
    large, hardly at all. Decoupled, every weight shrinks by the same factor 1 - lr lambda, and lambda and lr can be
    chosen apart. By default lambda is 0.01 here, and 0 in Adam.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html; Loshchilov and Hutter,
    arXiv:1711.05101
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state of Adam's or AdamW's; the decay stays decoupled, as in torch."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
