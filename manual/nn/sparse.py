"""Embedding: rows of a table, looked up by number."""

from typing import Self

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_number
from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, Parameter, check_array, check_gradient, unsupported


class Embedding(Module):
    """y[s,d] = W[i[s],d]: for each index i[s] the row of that number in `weight` W (num_embeddings, embedding_dim).

    It is a linear layer whose inputs are one-hot: with H[s,v] = 1 where i[s] = v and 0 elsewhere, y = H W. Hence,
    with g = dL/dy,

        dy[s,d]/dW[v,d] = H[s,v]      dL/dW[v,d] = sum_s H[s,v] g[s,d] = sum over the s with i[s] = v of g[s,d]

    H is never formed: forward gathers rows, backward adds each row of g to the row it came from. An index that comes
    twice brings two contributions, and both are added; `grad[i] += g` would keep one of them. A kernel that does this
    in parallel needs atomic additions, or sorts the indices first. There is no gradient for an index.

    `padding_idx` is the number of a row that takes no part in training: it starts as zeros and its gradient is 0.
    A negative one counts from the end, as in torch. `scale_grad_by_freq` divides the gradient of a row by how
    often its number comes among the indices, which makes the sum above a mean. The other values are drawn from
    `generator`, standard normal. `_weight` is taken in place of them, as it is; with `_freeze` it is not trained.

    The indices are of int64 or int32, of any shape; y has that shape and embedding_dim behind it. `max_norm`, which
    shrinks rows during forward, is not supported, since forward changes no parameter; nor are sparse gradients.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Array | None = None,
        _freeze: bool = False,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        other_norm = norm_type if norm_type != 2 else None
        unsupported("Embedding", max_norm=max_norm, norm_type=other_norm, sparse=sparse or None, device=device)
        self.num_embeddings = num_embeddings = whole_number("Embedding", 0, num_embeddings=num_embeddings)
        self.embedding_dim = embedding_dim = whole_number("Embedding", 0, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx {padding_idx} is no row of {num_embeddings}, from either end")
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.scale_grad_by_freq, self.frozen = scale_grad_by_freq, _freeze
        if _weight is None:
            generator = np.random.default_rng() if generator is None else generator
            _weight = generator.standard_normal((num_embeddings, embedding_dim)).astype(dtype)
            if self.padding_idx is not None:
                _weight[self.padding_idx] = 0
        check_array(_weight, "Embedding's _weight")
        if _weight.shape != (num_embeddings, embedding_dim):
            raise ValueError(f"Embedding: _weight is {_weight.shape}, not ({num_embeddings}, {embedding_dim})")
        self.weight = Parameter(_weight)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Array,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """Return a layer whose `weight` is `embeddings`, which is not trained unless `freeze` is False."""
        check_array(embeddings, "Embedding.from_pretrained")
        if embeddings.ndim != 2:
            raise ValueError(f"Embedding: embeddings have two axes, (number, dimension), not shape {embeddings.shape}")
        num_embeddings, embedding_dim = embeddings.shape
        return cls(
            num_embeddings,
            embedding_dim,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def extra_repr(self) -> str:
        """Return the sizes and the options that are set."""
        padding = f", padding_idx={self.padding_idx}" if self.padding_idx is not None else ""
        scaled = ", scale_grad_by_freq=True" if self.scale_grad_by_freq else ""
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}{scaled}"

    def forward(self, input: Array) -> tuple[Array, Array]:
        """Return y (*, embedding_dim) and `saved` = the indices (*).

        Raises TypeError for indices that are not int64 or int32 and IndexError for one that is no row's number.
        """
        if not isinstance(input, np.ndarray | np.generic) or input.dtype not in (np.int64, np.int32):
            given = getattr(input, "dtype", type(input).__name__)
            raise TypeError(f"Embedding takes indices of int64 or int32, not {given}: write np.asarray(x, np.int64)")
        outside = input[(input < 0) | (input >= self.num_embeddings)]
        if outside.size:  # NumPy would take -1 for the last row
            raise IndexError(f"Embedding has rows 0 to {self.num_embeddings - 1}, but was given index {outside[0]}")
        return self.weight.data[input], input

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> None:
        """Add to the gradient of weight; return None, as an index has no gradient."""
        check_gradient(grad_output, (*saved.shape, self.embedding_dim), self.weight.dtype, "Embedding")
        if self.frozen:
            return
        grad = np.zeros_like(self.weight.data)
        np.add.at(grad, saved, grad_output)  # unlike grad[saved] += grad_output, once for every index
        if self.scale_grad_by_freq:
            count = np.bincount(saved.reshape(-1), minlength=self.num_embeddings)
            grad /= np.maximum(count, 1)[:, None]  # (num_embeddings, 1)
        if self.padding_idx is not None:
            grad[self.padding_idx] = 0
        self.weight.accumulate(grad)
