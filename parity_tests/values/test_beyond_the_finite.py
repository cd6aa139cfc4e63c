"""Numbers that are infinite, or too large to be squared, go through every class, as in torch, without a warning."""

import warnings

import numpy as np
import pytest

import manual.nn
from parity_tests.values.cases import CASES, ROWS, TABLE, Case, classes, leaves, normal, plain, upstream
from parity_tests.values.test_values import structured

HEADS = normal(2, 3, 4)
BEYOND_TORCH = {
    "NaiveAttention": Case(plain("NaiveAttention"), (HEADS, HEADS, HEADS)),
    "TiledAttention": Case(plain("TiledAttention"), (HEADS, HEADS, HEADS)),
    "GroupedQueryAttention": Case(plain("GroupedQueryAttention", 4, 2, 1, rotary_base=100.0), (HEADS,)),
    "RotaryEmbedding": Case(plain("RotaryEmbedding", 4), (HEADS,)),
    "SwiGLU": Case(plain("SwiGLU", 4, 5), (TABLE,)),
    "LinearCrossEntropy": Case(plain("LinearCrossEntropy", 4, 5), (TABLE, classes(3, of=5))),
    "TiedEmbedding": Case(plain("TiedEmbedding", 5, 4), (classes(3, of=5), TABLE)),
    "MixtureOfExperts": Case(lambda nn: nn.MixtureOfExperts(4, [nn.Linear(4, 4) for _ in range(3)], 2), (TABLE,)),
    "Dropout in training": Case(plain("Dropout", 0.5), (ROWS,)),
    "RReLU in training": Case(plain("RReLU"), (ROWS,)),
}
ALL = CASES | BEYOND_TORCH
PATTERNS = {
    "inf": [np.inf],
    "-inf": [-np.inf],
    "1e30": [1e30],
    "some are inf": [np.inf, 0.5, -0.5],
    "some are 1e30": [0.5, -0.5, 1e30, -1e30],
    "of all kinds": [-np.inf, np.inf, 1e30, -1e30, 0.5],
}


def filled(x, pattern):
    """Return an array of the shape of x in float32 with the numbers of the pattern, over and over."""
    return np.resize(np.array(pattern, np.float32), x.shape)


def runs(case):
    """Yield lists of inputs: in each, one of those that are floats is filled with a pattern, or all of them are."""
    inputs = [x.astype(np.float32) if x.dtype.kind == "f" else x for x in case.inputs]
    floats = [number for number, x in enumerate(inputs) if x.dtype.kind == "f"]
    for pattern in PATTERNS.values():
        for chosen in [*([number] for number in floats), floats]:
            yield [filled(x, pattern) if number in chosen else x for number, x in enumerate(inputs)]


@pytest.mark.parametrize("name", ALL)
def test_no_warning(name):
    """Also where the upstream gradient is infinite. What a layer refuses, such as no probability, is refused."""
    module = ALL[name].build(manual.nn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for inputs in runs(ALL[name]):
            try:
                y, saved = module.forward(*inputs)
            except ValueError:
                assert name in ("BCELoss", "HingeEmbeddingLoss", "CosineEmbeddingLoss", "GaussianNLLLoss")
                continue
            grads = [np.asarray(g, np.float32) for g in upstream(leaves(y))]
            for pattern in [None, *PATTERNS.values()]:
                large = [g if pattern is None else filled(g, pattern) for g in grads]
                module.backward(structured(y, iter(large)), saved)
