"""torch's own modules behind the contract of a layer by hand: right by construction, whatever their form."""

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, None


class Part:
    """Holds the parameters and buffers of a submodule."""


def _is_grad(x):
    return isinstance(x, torch.Tensor) and x.requires_grad


class Wrapped:
    """The contract's two halves, run by autograd."""

    def __init__(self, module):
        self.module, self.training = module.double(), True
        for name, value in module.named_parameters():
            self._set(name, Parameter(value.detach().numpy().copy()))
        for name, value in module.named_buffers():
            self._set(name, value.numpy().copy())

    def _set(self, name, value):
        owner, leaf = self._owner(name)
        setattr(owner, leaf, value)

    def _get(self, name):
        owner, leaf = self._owner(name)
        return getattr(owner, leaf)

    def _owner(self, name):
        owner = self
        *path, leaf = name.split(".")
        for part in path:
            vars(owner).setdefault(part, Part())
            owner = getattr(owner, part)
        return owner, leaf

    def forward(self, *inputs, **options):
        self.module.train(self.training)
        params = {n: torch.tensor(self._get(n).data, requires_grad=True) for n, _ in self.module.named_parameters()}
        buffers = {n: torch.tensor(self._get(n)) for n, _ in self.module.named_buffers()}
        x = tree_map(lambda a: torch.tensor(a, requires_grad=np.asarray(a).dtype.kind == "f"), inputs)
        y = torch.func.functional_call(self.module, {**params, **buffers}, x, options)
        for name, value in buffers.items():
            self._set(name, value.numpy())
        return tree_map(lambda t: t.detach().numpy().copy() if isinstance(t, torch.Tensor) else t, y), (y, x, params)

    def backward(self, grad_output, saved):
        y, x, params = saved
        outputs = [t for t in tree_leaves(y) if _is_grad(t)]
        upstream = [torch.as_tensor(np.asarray(g), dtype=torch.float64) for g in tree_leaves(grad_output)]
        wanted = [t for t in tree_leaves(x) if _is_grad(t)] + list(params.values())
        grads = torch.autograd.grad(outputs, wanted, upstream, retain_graph=True, allow_unused=True)
        found = {id(t): np.zeros(t.shape) if g is None else g.numpy() for t, g in zip(wanted, grads, strict=True)}
        for name, value in params.items():
            own = self._get(name)
            own.grad = found[id(value)] + (0 if own.grad is None else own.grad)
        result = tree_map(lambda t: found.get(id(t)), x)
        return result if len(result) > 1 else result[0]
