"""Functions whose backward somebody wrote, as autograd.Function, with one switch for each mistake."""

import torch


def reference(x, w, wrong=""):
    s = torch.sigmoid(x * w)
    return s * x, s.sum(1)


def _as_if_contiguous(t):
    strides = torch.empty(t.shape).stride()
    return torch.as_strided(t, t.shape, strides, t.storage_offset())


class Gate(torch.autograd.Function):
    """(s x, sum s) with s = sigmoid(x w), of x (N, D) and w (D,)."""

    @staticmethod
    def forward(ctx, x, w, wrong=""):
        ctx.wrong = wrong
        if wrong == "reads x as contiguous":
            x = _as_if_contiguous(x)
        s = torch.sigmoid(x * w)
        ctx.save_for_backward(x, w, s)
        if wrong == "no partials kept":
            ctx.set_materialize_grads(False)
        total = s.sum(1)
        if wrong == "overwrites x":
            ctx.save_for_backward(x.clone(), w, s)
            y = s * x
            x.data.mul_(2)
            return y, total
        if wrong == "forward":
            return s * x * 1.01, total
        return s * x, total

    @staticmethod
    def backward(ctx, dy, dt):
        (x, w, s), wrong = ctx.saved_tensors, ctx.wrong
        dtype = dy.dtype if dy is not None else dt.dtype
        if wrong == "reads grad_output as contiguous" and 0 not in dy.stride():
            dy = _as_if_contiguous(dy)
        if wrong == "reads an expanded grad_output" and dy.stride() == (0, 0):
            dy = dy * 2
        if wrong == "no partials kept":
            dy = torch.zeros_like(s) if dy is None else dy
            dt = torch.ones_like(s[:, 0]) if dt is None else dt
        if wrong in ("half inside", "single inside"):
            narrow = torch.float16 if wrong == "half inside" else torch.float32
            x, w, s, dy, dt = (t.to(narrow) for t in (x, w, s, dy, dt))
        ds = dy * x + dt[:, None]
        dz = ds * s * (1 - s)
        dx = dz * w + dy * s
        if wrong == "branch lost":
            dx = dz * w
        dw = (dz * x).sum(0)
        if wrong == "other order":
            dw = dw * (1 + torch.finfo(dtype).eps * int(torch.randint(0, 2, ())))
        if wrong == "unwritten":
            whole = torch.empty_like(dx)
            whole[:-1] = dx[:-1]
            dx = torch.where(whole == whole, dx, whole)  # what was in fresh memory by luck is right
        if wrong == "needs":
            dw = dw if ctx.needs_input_grad[0] else None
        if wrong == "overwrites grad_output":
            dy.mul_(2)
        if wrong == "overwrites saved":
            s.data.mul_(0.5)  # as a kernel writes, without autograd's knowledge
        if wrong == "none":
            dw = None
        return dx.to(dtype), None if dw is None else dw.to(dtype), None


def gate(wrong=""):
    return lambda x, w: Gate.apply(x, w, wrong)


class Loss(torch.autograd.Function):
    """mean (x - t)^2, a loss."""

    @staticmethod
    def forward(ctx, x, t, wrong=""):
        ctx.save_for_backward(x, t)
        ctx.wrong = wrong
        return ((x - t) ** 2).mean()

    @staticmethod
    def backward(ctx, g):
        x, t = ctx.saved_tensors
        grad = 2 * (x - t) / (1 if ctx.wrong == "no mean" else x.numel())
        grad = grad if ctx.wrong == "upstream ignored" else g * grad
        return grad, -grad, None
