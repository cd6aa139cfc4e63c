"""Weight tying: one table reads tokens in and scores them on the way out."""

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, Parameter, check_array, check_gradient
from manual.nn.gradients import check_pair

Grads = tuple[None, Array | None]


class TiedEmbedding(Module):
    """encode: y[s] = W[i[s]], a row of `weight` W (V, D) for each token i[s]; decode: z = h W^T, a logit for each row.

    V = num_embeddings tokens, D = embedding_dim. A language model looks its tokens up in a table of V rows of D numbers
    and ends in a linear layer that has V rows of D weights: the same shape, and here the same array. Between the two
    stands the rest of the model, h = body(y):

        y[s,d] = W[i[s],d]         h = body(y)         z[r,v] = sum_d h[r,d] W[v,d]

    W stands in two places, so its gradient is the sum of two, whatever the body is. It follows from the chain rule for
    L(W) = L(A, B) with A = B = W: dL/dW = dL/dA dA/dW + dL/dB dB/dW, and both inner derivatives are 1. With
    gy = dL/dy and gz = dL/dz:

        dy[s,d]/dW[v,d] = 1[i[s] = v]      from encode: dL/dA[v,d] = sum over the s with i[s] = v of gy[s,d]
        dz[r,v]/dW[v,d] = h[r,d]           from decode: dL/dB[v,d] = sum_r gz[r,v] h[r,d]          = (gz^T h)[v,d]
        dz[r,v]/dh[r,d] = W[v,d]                        dL/dh[r,d] = sum_v gz[r,v] W[v,d]          = (gz W)[r,d]

    gy comes from dL/dh through the body, so in time decode's part is there first, and encode's is added to it at the
    end of the backward: `Parameter.accumulate` adds. To overwrite there loses one of the two, and training goes on,
    worse.

    The two parts look different. Encode's touches only the rows of tokens that occur; decode's is dense, since softmax
    gives every token a probability: with the weights tied, there is no sparse gradient to save. And a token that never
    occurs in the input still learns, from being scored.

    Memory: V D numbers in place of 2 V D, and as much again for the gradient and each state of the optimizer; GPT-2's
    smallest has 39 of its 124 million parameters here. Saved are the indices and h. Flops: none for encode, 2 R V D for
    decode, twice that backward.

    `encode` and `decode` are called with what is between them, and their backwards in the other order. `forward` takes
    both inputs at once, where h is there already. The initial values are normal with deviation `std`, GPT-2's 0.02,
    drawn from `generator`: with the embedding's usual deviation of 1, logits would start of size sqrt(D) |h|.

    Source: Press and Wolf, "Using the Output Embedding to Improve Language Models", 2017; Inan et al., "Tying Word
    Vectors and Word Classifiers", 2017.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        std: float = 0.02,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if num_embeddings < 1 or embedding_dim < 0 or std < 0:
            raise ValueError(
                f"TiedEmbedding({num_embeddings}, {embedding_dim}, {std}): one row or more, of 0 numbers or more, "
                "and a deviation of 0 or above"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        generator = np.random.default_rng() if generator is None else generator
        self.weight = Parameter(generator.normal(0.0, std, (num_embeddings, embedding_dim)).astype(dtype))

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"

    def forward(self, input: Array, hidden: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Return (y, z), of `encode(input)` and `decode(hidden)`, and `saved` = (input, hidden)."""
        y, saved_encode = self.encode(input)
        z, saved_decode = self.decode(hidden)
        return (y, z), (saved_encode, saved_decode)

    def backward(
        self, grad_output: tuple[Array | None, Array | None], saved: tuple[Array, Array], *, input_grad: bool = True
    ) -> Grads:
        """Return (None, grad_hidden), as an index has no gradient; add both parts to the gradient of weight."""
        check_pair(grad_output, "TiedEmbedding")
        grad_y, grad_z = grad_output
        if grad_y is not None:
            self._check_gradient(grad_y, saved[0].shape, self.embedding_dim)
        grad_hidden = np.zeros_like(saved[1]) if grad_z is None else self.decode_backward(grad_z, saved[1])
        if grad_y is not None:
            self.encode_backward(grad_y, saved[0])
        return None, grad_hidden

    def encode(self, input: Array) -> tuple[Array, Array]:
        """Return y (*, D) and `saved` = input, the indices (*).

        Raises TypeError for what is no array of integers and IndexError for one that is no row's number.
        """
        if not isinstance(input, np.ndarray | np.generic) or input.dtype.kind not in "iu":
            given = getattr(input, "dtype", type(input).__name__)
            raise TypeError(f"TiedEmbedding encodes indices, integers, not {given}: write np.asarray(x, np.int64)")
        outside = input[(input < 0) | (input >= self.num_embeddings)]
        if outside.size:  # NumPy would take -1 for the last row
            raise IndexError(f"TiedEmbedding has rows 0 to {self.num_embeddings - 1}, but was given index {outside[0]}")
        return self.weight.data[input], input

    @beyond_the_finite()
    def encode_backward(self, grad_output: Array, saved: Array) -> None:
        """Add to the gradient of weight."""
        self._check_gradient(grad_output, saved.shape, self.embedding_dim)
        grad = np.zeros_like(self.weight.data)
        np.add.at(grad, saved, grad_output)  # unlike grad[saved] += grad_output, once for every index
        self.weight.accumulate(grad)

    @beyond_the_finite()
    def decode(self, hidden: Array) -> tuple[Array, Array]:
        """Return z (..., V) and `saved` = hidden (..., D)."""
        check_array(hidden, "TiedEmbedding", self.weight.dtype)
        if hidden.ndim == 0 or hidden.shape[-1] != self.embedding_dim:
            raise ValueError(f"TiedEmbedding decodes (..., {self.embedding_dim}), but was given shape {hidden.shape}")
        return hidden @ self.weight.data.T, hidden

    @beyond_the_finite()
    def decode_backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_hidden (..., D); add to the gradient of weight."""
        self._check_gradient(grad_output, saved.shape[:-1], self.num_embeddings)
        h, g = saved.reshape(-1, self.embedding_dim), grad_output.reshape(-1, self.num_embeddings)
        self.weight.accumulate(g.T @ h)  # (V, D)
        return grad_output @ self.weight.data if input_grad else None

    def _check_gradient(self, grad_output: Array, rows: tuple[int, ...], width: int) -> None:
        check_gradient(grad_output, (*rows, width), self.weight.dtype, "TiedEmbedding")
