"""torch.nn.init by hand: what weights start from.

Each function fills `tensor`, a Parameter or an array of floats, and returns it. A Parameter's `.data` is replaced, an
array is written to. Random numbers are drawn in float64 from `generator` (default `np.random.default_rng()`) in the
array's own order, and then rounded to its dtype: one seed gives the same weights in every precision.

Why the scales. For y[o] = sum_i W[o,i] x[i], with independent W of mean 0 and variance s^2,

    Var y = fan_in s^2 E[x^2],     and backwards     Var dL/dx = fan_out s^2 E[(dL/dy)^2].

s^2 = 1 / fan_in keeps the size of the activations from layer to layer, s^2 = 1 / fan_out that of the gradients. Any
other multiplies them by the same factor in every layer, so that they grow or vanish exponentially with the depth. The
gain stands for what the activation between does: ReLU halves E[x^2], so that its gain is sqrt(2) (He); Xavier takes
the mean of the two fans (Glorot).

Source: https://docs.pytorch.org/docs/stable/nn.init.html
"""

import math
from collections.abc import Callable

import numpy as np

from manual.arguments import real_number, whole_number
from manual.module import Array, Parameter

Tensor = Array | Parameter
Generator = np.random.Generator | None

GAINS = {"sigmoid": 1.0, "linear": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
GAINS |= {f"conv{kind}{n}d": 1.0 for kind in {"", "_transpose"} for n in range(1, 4)}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor on the standard deviation that makes up for an activation.

    linear, conv..., sigmoid 1; tanh 5/3; relu sqrt(2); leaky_relu sqrt(2 / (1 + slope^2)), slope = `param` (0.01);
    selu 3/4.

    Those of relu and leaky_relu are exact: for x symmetric about 0, E[leaky(x)^2] = (1 + slope^2) / 2 E[x^2]. Those of
    tanh and selu are from experience.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"leaky_relu has a number for its slope, not {slope!r}")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(f"{nonlinearity!r} has no gain here; use leaky_relu or one of {sorted(GAINS)}")
    return GAINS[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Tensor:
    """Draw from U(a, b)."""
    if a > b:
        raise ValueError(f"uniform_ draws from a up to b, but a = {a} is above b = {b}")
    if not b - a < math.inf:  # written so that NaN fails as well
        raise ValueError(f"uniform_ draws from numbers at a finite distance, not from {a} up to {b}")
    return _draw(tensor, lambda random, shape: random.uniform(a, b, shape), generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None) -> Tensor:
    """Draw from N(mean, std^2)."""
    _check_std(std)
    return _draw(tensor, lambda random, shape: random.normal(mean, std, shape), generator)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator = None
) -> Tensor:
    """Draw from N(mean, std^2) within [a, b]: what falls outside is drawn again.

    Where less than 0.3 of the normal distribution lies within, most draws would be lost. There x is drawn from U(a, b)
    and kept with the probability exp(-(x - mean)^2 / (2 std^2)) divided by its largest value in [a, b]; what is kept
    has the density wanted, since the two factors multiply. a and b are in units of x, not of std, and may be infinite:
    beyond `reach` the density is below e^-40 of its largest value, and nothing is proposed there.
    """
    if not std > 0:
        raise ValueError(f"std is {std}, but a truncated normal distribution takes one above 0")
    if a > b:
        raise ValueError(f"trunc_normal_ draws from a up to b, but a = {a} is above b = {b}")
    low, high = ((bound - mean) / std for bound in (a, b))
    within = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    nearest = max(low, -high, 0.0)  # how far the mean is from all that is within
    if not (low <= high and nearest < 1e150):  # neither NaN, nor too large to be squared
        raise ValueError(f"trunc_normal_ finds no numbers from a = {a} to b = {b} with mean {mean} and std {std}")
    peak = nearest**2
    reach = math.sqrt(peak + 80)

    def propose(random: np.random.Generator, count: int) -> tuple[Array, Array]:
        if within >= 0.3:
            z = random.normal(size=count)
            return z, z == z.clip(low, high)
        z = random.uniform(max(low, -reach), min(high, reach), count)
        return z, np.log1p(-random.random(count)) <= (peak - z**2) / 2

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        z = np.empty(math.prod(shape))
        missing = np.arange(z.size)
        while missing.size:
            drawn, kept = propose(random, missing.size)
            z[missing[kept]] = drawn[kept]
            missing = missing[~kept]
        return (mean + std * z).clip(a, b).reshape(shape)  # the sum may round to just outside

    return _draw(tensor, draw, generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    return _fill(tensor, np.full(_array(tensor).shape, real_number("constant_", val=val)))


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix the identity: a Linear layer that hands its inputs on, as many as there are outputs for."""
    return _fill(tensor, np.eye(*_matrix(tensor, "eye_")))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make a convolution's weight (out, in, ...) hand its channels on: 1 in the middle of W[k, k], 0 elsewhere.

    With groups each group of out / groups outputs hands on the inputs of its own group.
    """
    shape, groups = _array(tensor).shape, whole_number("dirac_", 1, groups=groups)
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"dirac_ takes the weight of a convolution, of 3, 4 or 5 axes, not one of shape {shape}")
    if shape[0] % groups:
        raise ValueError(f"dirac_: {shape[0]} outputs cannot be split into {groups} groups")
    weight = np.zeros(shape)
    middle: tuple[int, ...] = tuple(size // 2 for size in shape[2:])
    outputs = shape[0] // groups
    for group in range(groups):
        for k in range(min(outputs, shape[1])):
            weight[(group * outputs + k, k, *middle)] = 1
    return _fill(tensor, weight)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Draw from U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)): the variance a^2 / 3 is Xavier's.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks (2010)
    """
    a = math.sqrt(3) * _xavier(tensor, gain)
    return uniform_(tensor, -a, a, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Draw from N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out))."""
    return normal_(tensor, 0.0, _xavier(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator = None
) -> Tensor:
    """Draw from U(-bound, bound), bound = gain sqrt(3 / fan): the variance bound^2 / 3 is Kaiming's.

    `a` is the slope of leaky_relu. mode 'fan_in' keeps the size of the activations, 'fan_out' that of the gradients.

    Source: He et al., Delving Deep into Rectifiers, arXiv:1502.01852
    """
    bound = math.sqrt(3) * _kaiming(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator = None
) -> Tensor:
    """Draw from N(0, std^2), std = gain / sqrt(fan); see `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator = None) -> Tensor:
    """Make the matrix (out, all other axes) gain times a random orthogonal one: no direction grows or shrinks.

    Its rows are orthonormal, or its columns, if there are more rows. A = Q R of a normal matrix A makes Q, but Q alone
    depends on how the factorization chooses its signs. With the diagonal of R made positive A = Q R is unique, and Q
    is distributed as V Q for every orthogonal V, since V A is as A: no direction is preferred.

    Source: Saxe, McClelland and Ganguli, arXiv:1312.6120; Mezzadri, arXiv:math-ph/0609050
    """
    shape = _array(tensor).shape
    if len(shape) < 2:
        raise ValueError(f"orthogonal_ takes 2 axes or more, not shape {shape}")
    rows, columns = shape[0], math.prod(shape[1:])

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        a = random.normal(size=(rows, columns))
        q, r = np.linalg.qr(a.T if rows < columns else a)
        q = q * np.sign(np.diag(r))
        return gain * (q.T if rows < columns else q).reshape(shape)

    return _draw(tensor, draw, generator)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator = None) -> Tensor:
    """Draw a matrix from N(0, std^2), then set ceil(sparsity * rows) entries of every column to 0, chosen at random.

    Source: Martens, Deep learning via Hessian-free optimization (2010)
    """
    rows, columns = _matrix(tensor, "sparse_")
    _check_std(std)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is {sparsity}, but it is the part of every column that is 0, from 0 to 1")

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        weight = random.normal(0, std, shape)
        for column in range(columns):
            weight[random.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
        return weight

    return _draw(tensor, draw, generator)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Return how many inputs an output sums, and to how many outputs an input goes.

    weight (out, in, kernel ...): in and out, each times the entries of the kernel. (Stride and groups are not looked
    at, as in torch.)
    """
    shape = _array(tensor).shape
    if len(shape) < 2:
        raise ValueError(f"a weight of shape {shape} has no fan: it takes two axes or more, (out, in, ...)")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _xavier(tensor: Tensor, gain: float) -> float:
    fans = sum(_calculate_fan_in_and_fan_out(tensor))
    return gain * math.sqrt(2 / fans) if fans else gain  # without entries nothing is drawn


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is {mode!r}, but it is 'fan_in' or 'fan_out'")
    fan = _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]
    gain = calculate_gain(nonlinearity, a)
    return gain / math.sqrt(fan) if fan else gain


def _array(tensor: Tensor) -> Array:
    array = tensor.data if isinstance(tensor, Parameter) else tensor
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        given = getattr(array, "dtype", type(array).__name__)
        raise TypeError(f"initial values go into a Parameter or an array of floats, not {given}; pass layer.weight")
    if array is tensor and not array.flags.writeable:
        raise ValueError("initial values are written to the array, and this one is read-only; pass a copy of it")
    return array


def _check_std(std: float) -> None:
    if not std >= 0:
        raise ValueError(f"std is {std}, but a standard deviation is 0 or above")


def _matrix(tensor: Tensor, who: str) -> tuple[int, int]:
    shape = _array(tensor).shape
    if len(shape) != 2:
        raise ValueError(f"{who} takes a matrix, not an array of shape {shape}")
    return shape[0], shape[1]


def _draw(
    tensor: Tensor, draw: Callable[[np.random.Generator, tuple[int, ...]], Array], generator: Generator
) -> Tensor:
    random = np.random.default_rng() if generator is None else generator
    return _fill(tensor, draw(random, _array(tensor).shape))


def _fill(tensor: Tensor, values: Array) -> Tensor:
    if isinstance(tensor, Parameter):
        tensor.data = values.astype(tensor.dtype)
    else:
        tensor[...] = values
    return tensor
