"""GPT: a stack of transformer blocks that says of every token which comes next."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.module import Array, Module
from manual.nn import GELU, Embedding, LayerNorm, Linear, ModuleList, MultiheadAttention

STD = 0.02  # of all initial weights, as in GPT-2


class MLP(Module):
    """y = W_2 gelu(W_1 x + b_1) + b_2: each position by itself, four times as wide inside."""

    def __init__(self, n_embd: int, *, dtype: DTypeLike) -> None:
        self.c_fc = Linear(n_embd, 4 * n_embd, dtype=dtype)
        self.gelu = GELU(approximate="tanh")
        self.c_proj = Linear(4 * n_embd, n_embd, dtype=dtype)

    def forward(self, x: Array) -> tuple[Array, tuple[Any, Any, Any]]:
        """Return y, of the shape of x (N, T, E), and what the three layers saved."""
        z, saved_fc = self.c_fc.forward(x)  # (N, T, 4 E)
        a, saved_gelu = self.gelu.forward(z)
        y, saved_proj = self.c_proj.forward(a)
        return y, (saved_fc, saved_gelu, saved_proj)

    def backward(self, grad_output: Array, saved: tuple[Any, Any, Any], *, input_grad: bool = True) -> Any:
        """Return grad_x."""
        saved_fc, saved_gelu, saved_proj = saved
        grad_a: Any = self.c_proj.backward(grad_output, saved_proj)
        grad_z: Any = self.gelu.backward(grad_a, saved_gelu)
        return self.c_fc.backward(grad_z, saved_fc, input_grad=input_grad)


class Block(Module):
    """x <- x + attention(norm_1(x)), then x <- x + mlp(norm_2(x)): the norms stand before, inside of the residual.

    Each residual sum hands its gradient to both of its parts. So the gradient of a block's input is that of its
    output, unchanged, plus what comes back through each branch:

        grad_x = g + norm_1.backward(attention.backward(g)),     g = grad_y + norm_2.backward(mlp.backward(grad_y))

    The attention is causal: position t sees those up to t. Its query, key and value are one array, so that the
    array's gradient is the sum of three.
    """

    def __init__(self, n_embd: int, n_head: int, *, dtype: DTypeLike) -> None:
        self.ln_1 = LayerNorm(n_embd, dtype=dtype)
        self.attn = MultiheadAttention(n_embd, n_head, batch_first=True, dtype=dtype)
        self.ln_2 = LayerNorm(n_embd, dtype=dtype)
        self.mlp = MLP(n_embd, dtype=dtype)

    def forward(self, x: Array) -> tuple[Array, tuple[Any, Any, Any, Any]]:
        """Return y, of the shape of x (N, T, E), and what the four layers saved."""
        later = np.triu(np.ones((x.shape[1], x.shape[1]), dtype=bool), k=1)  # (T, T): True is not seen
        n, saved_1 = self.ln_1.forward(x)
        (a, _), saved_attn = self.attn.forward(n, n, n, need_weights=False, attn_mask=later)
        x = x + a
        n, saved_2 = self.ln_2.forward(x)
        m, saved_mlp = self.mlp.forward(n)
        return x + m, (saved_1, saved_attn, saved_2, saved_mlp)

    def backward(self, grad_output: Array, saved: tuple[Any, Any, Any, Any], *, input_grad: bool = True) -> Any:
        """Return grad_x."""
        saved_1, saved_attn, saved_2, saved_mlp = saved
        grad = grad_output + self.ln_2.backward(self.mlp.backward(grad_output, saved_mlp), saved_2)
        grad_n: Any = sum(self.attn.backward((grad, None), saved_attn))  # as query, as key and as value
        grad_x = self.ln_1.backward(grad_n, saved_1, input_grad=input_grad)
        return None if grad_x is None else grad + grad_x


class GPT(Module):
    """logits = lm_head(ln_f(block_L(... block_1(wte[token] + wpe[position])))), with lm_head's weight that of wte.

    The table of token embeddings is used twice, to read a token and to say one, so that its gradient is a sum:

        dL/dwte = (at the output)  sum over positions of  g x^T         for every row
                + (at the input)   dL/dx_t added to the row of token_t

    The position table is the same for every sample: its gradient is the sum over them.

    Tokens have shape (N, T) with T up to `block_size`; logits (N, T, vocabulary). Weights start from N(0, 0.02^2),
    drawn from `generator` one parameter after the other, biases and the norms' shifts at 0, as in GPT-2.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
    """

    def __init__(
        self,
        vocabulary: int,
        block_size: int,
        n_embd: int,
        n_head: int,
        n_layer: int,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        generator = np.random.default_rng() if generator is None else generator
        self.wte = Embedding(vocabulary, n_embd, dtype=dtype)
        self.wpe = Embedding(block_size, n_embd, dtype=dtype)
        self.h = ModuleList([Block(n_embd, n_head, dtype=dtype) for _ in range(n_layer)])
        self.ln_f = LayerNorm(n_embd, dtype=dtype)
        self.lm_head = Linear(n_embd, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight  # and with it the dtype
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.data[:] = 0
            elif parameter.data.ndim > 1:  # the norms' scales have one axis, and start at 1
                parameter.data[:] = generator.normal(0.0, STD, parameter.shape)

    def forward(self, tokens: Array) -> tuple[Array, Any]:
        """Return logits (N, T, vocabulary) and what all layers saved."""
        x, saved_token = self.wte.forward(tokens)  # (N, T, E)
        position, saved_position = self.wpe.forward(np.arange(tokens.shape[1]))  # (T, E)
        x, saved_blocks = x + position, []
        for block in self.h:
            x, saved_block = block.forward(x)
            saved_blocks.append(saved_block)
        n, saved_f = self.ln_f.forward(x)
        logits, saved_head = self.lm_head.forward(n)
        return logits, (saved_token, saved_position, saved_blocks, saved_f, saved_head)

    def backward(self, grad_output: Array, saved: Any, *, input_grad: bool = True) -> None:
        """Add to every parameter's gradient. Tokens have none, so that None is returned."""
        saved_token, saved_position, saved_blocks, saved_f, saved_head = saved
        grad_n: Any = self.lm_head.backward(grad_output, saved_head)
        grad: Any = self.ln_f.backward(grad_n, saved_f)
        for block, saved_block in zip(reversed(self.h), reversed(saved_blocks), strict=True):
            grad = block.backward(grad, saved_block)
        self.wpe.backward(grad.sum(axis=0), saved_position)  # (T, E): every sample has the same positions
        self.wte.backward(grad, saved_token)
