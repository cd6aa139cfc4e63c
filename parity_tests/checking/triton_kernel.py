"""x^2 as a Triton kernel, forward and backward; imported only where Triton is installed."""

import torch
import triton
import triton.language as tl


@triton.jit
def square(x_at, y_at, size, BLOCK: tl.constexpr):
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < size
    x = tl.load(x_at + index, mask=inside)
    tl.store(y_at + index, x * x, mask=inside)


@triton.jit
def square_backward(x_at, g_at, dx_at, size, factor, BLOCK: tl.constexpr):
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < size
    x = tl.load(x_at + index, mask=inside)
    g = tl.load(g_at + index, mask=inside)
    tl.store(dx_at + index, factor * x * g, mask=inside)


class Square(torch.autograd.Function):
    """`factor` is 2 where the backward is right."""

    @staticmethod
    def forward(ctx, x, factor, contiguous):
        x = x.contiguous()
        ctx.save_for_backward(x)
        ctx.factor, ctx.contiguous = factor, contiguous
        y = torch.empty_like(x)
        square[(triton.cdiv(x.numel(), 8),)](x, y, x.numel(), BLOCK=8)
        return y

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        g = g.contiguous() if ctx.contiguous else g
        dx = torch.empty_like(x)
        square_backward[(triton.cdiv(x.numel(), 8),)](x, g, dx, x.numel(), ctx.factor, BLOCK=8)
        return dx, None, None
