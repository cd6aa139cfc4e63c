"""Layers as somebody writes them by hand, to the contract, with one switch for each mistake."""

import numpy as np


class Parameter:
    def __init__(self, data):
        self.data, self.grad = np.asarray(data), None

    def add(self, grad):
        self.grad = grad if self.grad is None else self.grad + grad


class Linear:
    """y = sigmoid(x W^T + b) as one layer, so that there is an operation inside to get wrong."""

    def __init__(self, n_in=4, n_out=3, wrong=""):
        self.weight, self.bias = Parameter(np.zeros((n_out, n_in))), Parameter(np.zeros(n_out))
        self.wrong = wrong
        self.kept = None

    def forward(self, x):
        if self.wrong == "overwrites its input":
            x *= 1.5
            return self.forward_of(x / 1.5)
        return self.forward_of(x)

    def forward_of(self, x):
        z = x @ self.weight.data.T + self.bias.data
        if self.wrong == "bias left out":
            z = x @ self.weight.data.T
        y = 1 / (1 + np.exp(-z))
        if self.wrong == "sum of the batch":
            y = y.sum(0)
        self.kept = x
        return (y.T if self.wrong == "transposed" else y), [x, y.copy()]

    def backward(self, grad_output, saved, input_grad=True):
        x, y = saved
        a = 1 / (1 + np.exp(-y)) if self.wrong == "twice" else y
        slope = a * (1 - a)
        g = grad_output * slope
        if self.wrong == "upstream overwritten":
            grad_output *= slope
        if self.wrong == "hidden":
            x = self.kept
        dw, db = g.T @ x, g.sum(0)
        if self.wrong == "bias mean":
            db = g.mean(0)
        if self.wrong == "no gradient":
            db = None
        if self.wrong == "saved overwritten":
            saved[1] *= 1 - y
        for parameter, grad in ((self.weight, dw), (self.bias, db)):
            if self.wrong == "does not add":
                parameter.grad = grad
            elif grad is not None:
                parameter.add(grad)
        if self.wrong == "input_grad ignored" or input_grad:
            return g @ self.weight.data
        if self.wrong == "input_grad scales":
            self.weight.grad = 2 * self.weight.grad
        return None


class BatchNorm:
    """gamma (x - mean) / sqrt(var + eps) + beta over the batch, with running statistics."""

    def __init__(self, n, wrong="", momentum=0.1, eps=1e-5):
        self.weight, self.bias = Parameter(np.ones(n)), Parameter(np.zeros(n))
        self.running_mean, self.running_var, self.num_batches_tracked = np.zeros(n), np.ones(n), np.array(0)
        self.momentum, self.eps, self.wrong, self.training = momentum, eps, wrong, True

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n, m = len(x), self.momentum
            mean, var = x.mean(0), x.var(0)
            self.num_batches_tracked = self.num_batches_tracked + 1
            if self.wrong == "momentum":
                m = 1 - m
            if self.wrong != "not updated":
                self.running_mean = (1 - m) * self.running_mean + m * mean
                unbiased = var if self.wrong == "biased" else var * n / (n - 1)
                self.running_var = (1 - m) * self.running_var + m * unbiased
        elif self.wrong == "batch in evaluation":
            mean, var = x.mean(0), x.var(0)
        rstd = 1 / np.sqrt(var + self.eps)
        xhat = (x - mean) * rstd
        return self.weight.data * xhat + self.bias.data, (xhat, rstd, self.training)

    def backward(self, grad_output, saved):
        xhat, rstd, training = saved
        self.weight.add((grad_output * xhat).sum(0))
        self.bias.add(grad_output.sum(0))
        g = grad_output * self.weight.data
        if training or self.wrong == "training formula in evaluation":
            g = g - g.mean(0) - xhat * (g * xhat).mean(0) * (self.wrong != "no variance path")
        return g * rstd


class LayerNorm:
    """gamma (x - mean) / sqrt(var + eps) + beta over the features; one term of the backward may be left out."""

    def __init__(self, n, wrong=""):
        self.weight, self.bias, self.wrong = Parameter(np.ones(n)), Parameter(np.zeros(n)), wrong

    def forward(self, x):
        rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        xhat = (x - x.mean(-1, keepdims=True)) * rstd
        return xhat * self.weight.data + self.bias.data, (xhat, rstd)

    def backward(self, grad_output, saved):
        xhat, rstd = saved
        self.weight.add((grad_output * xhat).sum(0))
        self.bias.add(grad_output.sum(0))
        g = grad_output if self.wrong == "gamma" else grad_output * self.weight.data
        through_mean = 0 if self.wrong == "mean path" else g.mean(-1, keepdims=True)
        through_variance = 0 if self.wrong == "variance path" else xhat * (g * xhat).mean(-1, keepdims=True)
        return (g - through_mean - through_variance) * rstd


class Softmax:
    def __init__(self, wrong=""):
        self.wrong = wrong

    def forward(self, x):
        e = np.exp(x - x.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        return p, p

    def backward(self, grad_output, p):
        if self.wrong == "diagonal":
            return grad_output * p * (1 - p)
        return p * (grad_output - (0 if self.wrong == "row sum" else (grad_output * p).sum(1, keepdims=True)))


class Embedding:
    def __init__(self, rows, width, wrong=""):
        self.weight, self.wrong = Parameter(np.zeros((rows, width))), wrong

    def forward(self, index):
        return self.weight.data[index], index

    def backward(self, grad_output, saved):
        grad = np.zeros_like(self.weight.data)
        if self.wrong == "duplicates":
            grad[saved] += grad_output
        else:
            np.add.at(grad, saved, grad_output)
        self.weight.add(grad)


class CrossEntropy:
    """The mean over the batch of -log softmax at the target."""

    def __init__(self, wrong=""):
        self.wrong = wrong

    def forward(self, logits, target):
        shifted = logits - logits.max(1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return -log_p[np.arange(len(target)), target].mean(), (np.exp(log_p), target)

    def backward(self, grad_output, saved):
        p, target = saved
        grad = p.copy()
        grad[np.arange(len(target)), target] -= 1
        if self.wrong != "no mean":
            grad = grad / len(target)
        return (grad if self.wrong == "upstream ignored" else grad_output * grad), None


class Cell:
    """LSTM-like in form: two outputs of three inputs. h' = tanh(x + c) * h, c' = c + x h."""

    def __init__(self, wrong=""):
        self.wrong = wrong

    def forward(self, x, state):
        h, c = state
        t = np.tanh(x + c)
        return (t * h, c + x * h), (x, h, t)

    def backward(self, grad_output, saved):
        (dh2, dc2), (x, h, t) = grad_output, saved
        if self.wrong == "upstream lost":
            dc2 = 0 * dc2
        dt = dh2 * h * (1 - t**2)
        return dt + dc2 * h, (dh2 * t + dc2 * x, dt + dc2)
