"""What all functions of one entry share: a diagonal Jacobian."""

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient


class Elementwise(Module):
    """y = f(x), entry by entry, for x of any shape.

    y_k depends on x_k alone, so that dy_k/dx_j is f'(x_k) where j = k and 0 elsewhere. The sum over the outputs has
    one term left:

        dL/dx_j = sum_k g_k dy_k/dx_j = g_j f'(x_j),    g = dL/dy.

    A subclass writes `function` = f(x) and, directly under it, `gradient` = g f'(x). The input is all that is saved.

    Where f has a kink, there is no derivative and any number between the two one-sided ones is right. The subclass
    says which one torch takes; `gradient` then chooses with `np.where`, and not by a product with a mask of zeros and
    ones, since 0 * inf is NaN: an upstream gradient that is not finite must not leak into an entry that is cut off.
    """

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return y and `saved` = x, both of the shape of x."""
        check_array(x, type(self).__name__)
        with beyond_the_finite():
            return self.function(x), x

    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        check_gradient(grad_output, saved.shape, saved.dtype, type(self).__name__)
        if not input_grad:
            return None
        with beyond_the_finite():
            return self.gradient(grad_output, saved)

    def function(self, x: Array) -> Array:
        """Return f(x)."""
        raise NotImplementedError(f"{type(self).__name__} has no function")

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * f'(x)."""
        raise NotImplementedError(f"{type(self).__name__} has no gradient")
