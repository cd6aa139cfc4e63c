"""`check`: one name for all the checks, so that one import finds them."""

from inspect import signature

from handgrad.checking.checker import check as check_network
from handgrad.checking.from_jax import from_jax
from handgrad.checking.functions import check_function
from handgrad.checking.modules import check_module
from handgrad.checking.optimizers import check_optimizer


class Checks:
    """Checks of backward passes by hand, each of which returns a Report: where it goes wrong first, and why.

    check(forward, backward, params, inputs)              a network's backward, in NumPy
    check.module(layer, torch_layer, *inputs)             a layer with forward and backward, beside torch.nn's
    check.function(fn, reference, *inputs)                an autograd.Function, a custom operator, a kernel
    check.optimizer(step, torch_optimizer)                an update rule, beside torch.optim's
    check.jax(fn)                                         a JAX function, for check.function to take
    """

    __call__ = staticmethod(check_network)
    __signature__ = signature(check_network)  # inspect takes any __call__ for a method, and would drop `forward`
    module = staticmethod(check_module)
    function = staticmethod(check_function)
    optimizer = staticmethod(check_optimizer)
    jax = staticmethod(from_jax)


check = Checks()
