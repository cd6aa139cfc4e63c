"""Mistakes that the layers beyond torch's invite, planted in their source: the comparison with autograd sees each."""

import inspect
import sys
import types

import pytest

from manual import nn
from parity_tests.parity import check_module, integers, normal
from torch_impl import nn as theirs


def attention(side, **options):
    return side.TiledAttention(**options)


def grouped(side):
    return side.GroupedQueryAttention(5, 4, 2, 2, rotary_base=30.0)


def mixture(side, **options):
    return side.MixtureOfExperts(
        3, [theirs.SwiGLU(3, 2) if side is theirs else nn.SwiGLU(3, 2) for _ in range(4)], **options
    )


QKV = [normal(3, 5, 4), normal(3, 6, 4), normal(3, 6, 2)]
ROWS = [normal(4, 3), integers(4, below=7)]
TILES = {"row_chunk": 3, "class_chunk": 2}

# (class, what it is built with, the inputs, the line as it is, the mistake)
PLANTED = {
    "rotary: the backward turns forwards": (
        "RotaryEmbedding",
        lambda side: side.RotaryEmbedding(4),
        [normal(3, 5, 4)],
        "self._turned(grad_output, offset, -1)",
        "self._turned(grad_output, offset, 1)",
    ),
    "rotary: both entries from the new pair": (
        "RotaryEmbedding",
        lambda side: side.RotaryEmbedding(4),
        [normal(3, 5, 4)],
        "y[..., second] = x1 * sin",
        "y[..., second] = y[..., first] * sin",
    ),
    "swiglu: the gate's slope is sigmoid's": (
        "SwiGLU",
        lambda side: side.SwiGLU(3, 4),
        [normal(5, 3)],
        "(p + s * (1 - p))",
        "(p * (1 - p))",
    ),
    "swiglu: gate and up exchanged": (
        "SwiGLU",
        lambda side: side.SwiGLU(3, 4),
        [normal(5, 3)],
        "grad_b = grad_h * s",
        "grad_b = grad_h * b",
    ),
    "tiled: the sum is not rescaled": (
        "TiledAttention",
        lambda side: attention(side, query_block=2, key_block=2),
        QKV,
        "rescale * l[..., t, :]",
        "l[..., t, :]",
    ),
    "tiled: the output is not rescaled": (
        "TiledAttention",
        lambda side: attention(side, query_block=2, key_block=2),
        QKV,
        "rescale * o[..., t, :]",
        "o[..., t, :]",
    ),
    "tiled: D from the weights of one tile": (
        "TiledAttention",
        lambda side: attention(side, query_block=2, key_block=2),
        QKV,
        "p * (grad_p - d[..., t, :])",
        "p * (grad_p - (p * grad_p).sum(axis=-1, keepdims=True))",
    ),
    "tiled: D of another block of queries": (
        "TiledAttention",
        lambda side: attention(side, query_block=1, key_block=2),
        QKV,
        "d[..., t, :]",
        "d[..., :1, :]",
    ),
    "tiled: the mask counts from the tile's corner": (
        "TiledAttention",
        lambda side: attention(side, is_causal=True, query_block=2, key_block=3),
        QKV,
        "np.arange(s.start, s.stop) <= np.arange(t.start, t.stop)",
        "np.arange(s.stop - s.start) <= np.arange(t.stop - t.start)",
    ),
    "tiled: the key's gradient without the scale": (
        "TiledAttention",
        lambda side: attention(side, query_block=2, key_block=2),
        QKV,
        "+= scale * (grad_s.mT @",
        "+= (grad_s.mT @",
    ),
    "grouped: the first of the group in place of the sum": (
        "GroupedQueryAttention",
        grouped,
        [normal(3, 3, 5)],
        "grad_key.sum(axis=-3, keepdims=True)",
        "grad_key[..., :1, :, :]",
    ),
    "grouped: the mean of the group": (
        "GroupedQueryAttention",
        grouped,
        [normal(3, 3, 5)],
        "grad_v.sum(axis=-3, keepdims=True)",
        "grad_v.mean(axis=-3, keepdims=True)",
    ),
    "grouped: neighbours do not share, heads take turns": (
        "GroupedQueryAttention",
        grouped,
        [normal(3, 3, 5)],
        "np.moveaxis(heads, -4, -2)",
        "np.moveaxis(heads.reshape(*x.shape[:-1], groups, self.num_kv_heads, self.head_dim).swapaxes(-2, -3), -4, -2)",
    ),
    "grouped: the key's gradient is not turned back": (
        "GroupedQueryAttention",
        grouped,
        [normal(3, 3, 5)],
        "self._join(self._turned_back(grad_key))",
        "self._join(grad_key)",
    ),
    "cross-entropy: the sum is not rescaled": (
        "LinearCrossEntropy",
        lambda side: side.LinearCrossEntropy(3, 7, **TILES),
        ROWS,
        "np.exp(m[r] - larger) * l[r]",
        "l[r]",
    ),
    "cross-entropy: the one of the target in every chunk": (
        "LinearCrossEntropy",
        lambda side: side.LinearCrossEntropy(3, 7, **TILES),
        ROWS,
        "grad_z[inside, y[r][inside] - v.start]",
        "grad_z[range(len(grad_z)), y[r] % grad_z.shape[1]]",
    ),
    "cross-entropy: the last chunk of rows in place of the sum": (
        "LinearCrossEntropy",
        lambda side: side.LinearCrossEntropy(3, 7, **TILES),
        ROWS,
        "grad_weight[v] += ",
        "grad_weight[v] = ",
    ),
    "cross-entropy: the mean also counts ignored rows": (
        "LinearCrossEntropy",
        lambda side: side.LinearCrossEntropy(3, 7, ignore_index=int(ROWS[1][0]), **TILES),
        ROWS,
        "np.count_nonzero(counts)",
        "len(y)",
    ),
    "experts: the gates' normalisation is a constant": (
        "MixtureOfExperts",
        mixture,
        [normal(5, 3)],
        "(grad_a - (a * grad_a).sum(axis=1, keepdims=True)) / total",
        "grad_a / total",
    ),
    "experts: the gate is left out of the expert's gradient": (
        "MixtureOfExperts",
        mixture,
        [normal(5, 3)],
        "expert.backward(a[row, place][:, None] * g[row]",
        "expert.backward(g[row]",
    ),
    "experts: the router's own share of the input's gradient is lost": (
        "MixtureOfExperts",
        mixture,
        [normal(5, 3)],
        "(grad_rows + from_router)",
        "grad_rows",
    ),
    "experts: only the chosen logits of an unnormalised gate": (
        "MixtureOfExperts",
        lambda side: mixture(side, normalize=False),
        [normal(5, 3)],
        "grad_z = p * (grad_p - (p * grad_p).sum(axis=1, keepdims=True))",
        "grad_z = p * (grad_p - (grad_p != 0) * (p * grad_p).sum(axis=1, keepdims=True))",
    ),
    "experts: the balance is summed over rows, not their mean": (
        "MixtureOfExperts",
        lambda side: mixture(side, load_balancing=True),
        [normal(5, 3)],
        "self._load(chosen, p) / len(p)",
        "self._load(chosen, p)",
    ),
    "tied: the look-up's gradient is lost": (
        "TiedEmbedding",
        lambda side: side.TiedEmbedding(5, 3),
        [integers(3, 2, below=5), normal(4, 3)],
        "self.encode_backward(grad_y, saved[0])",
        "pass",
    ),
    "tied: a token that comes twice counts once": (
        "TiedEmbedding",
        lambda side: side.TiedEmbedding(2, 3),
        [integers(3, 2, below=2), normal(4, 3)],
        "np.add.at(grad, saved, grad_output)",
        "grad[saved] += grad_output",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_seen(name):
    kind, build, inputs, line, mistake = PLANTED[name]
    module = sys.modules[getattr(nn, kind).__module__]
    source = inspect.getsource(module)
    assert source.count(line) == 1, "the mistake is planted in one place"
    broken = types.ModuleType(module.__name__)
    exec(compile(source.replace(line, mistake), module.__file__, "exec"), vars(broken))
    side = types.SimpleNamespace(**(vars(nn) | {kind: getattr(broken, kind)}))
    check_module(build(nn), build(theirs), *inputs)
    with pytest.raises(AssertionError):
        check_module(build(side), build(theirs), *inputs)
