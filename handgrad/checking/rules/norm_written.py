"""Where a norm is written out: whatever the spelling, its numbers betray it, and its graph that it is one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Node, Record, Tensor
from handgrad.checking.rules.graph import between, makers, sources, users

SAME = 1e-10
ONE_GROUP = 0.05  # what is left for eps where there is one row alone, so that nothing holds it against another


@dataclass(frozen=True, eq=False)
class Norm:
    """xhat = (x - mean) * rstd over `axes` of x in the shape `form`; the layer's result is gain * xhat + shift.

    Its gradient is dx = rstd (d - mean(d) - share * xhat mean(d xhat)) with d = up * gain, without mean(d) where
    the mean is not taken off. `share` is 1 but for another divisor of the variance, or for eps beside the root.
    """

    form: tuple[int, ...]
    axes: tuple[int, ...]
    xhat: Array
    rstd: Array
    centred: bool
    share: Array | float = 1.0
    gain: Array | float = 1.0

    @property
    def count(self) -> int:
        """The number of entries that are normalised together."""
        return int(np.prod([self.form[axis] for axis in self.axes]))


@lru_cache(maxsize=2)
def _has_root(record: Record) -> bool:
    """Return whether anything is put under a root: without one nothing is normalised."""
    roots = ("sqrt", "rsqrt", "std", "std_mean", "linalg_vector_norm")
    return any(node.op in roots or (node.op == "pow" and node.args[1] in (0.5, -0.5)) for node in record.nodes)


def may_end(record: Record, node: Node) -> bool:
    """Return whether a norm may end here: with a product or quotient by a smaller tensor, or a shift after one."""
    y = node.outputs[0]
    if not (y.is_floating_point() and y.numel() > 3 and _has_root(record)):
        return False
    small = [t for t in node.inputs if t.numel() < y.numel() or 0 in t.stride()]
    large = [t for t in node.inputs if t.shape == y.shape]
    if node.op in ("mul", "div", "addcmul"):
        return bool(small and large)
    made = [maker.op for t in large for maker in makers(record).get(id(t), [])]
    shifted = len(large) == 2 or any(t.grad_fn is not None for t in small)
    return node.op in ("add", "sub") and shifted and any(op in ("mul", "div") for op in made)


def written(record: Record, node: Node) -> Iterator[Operation]:
    """Yield a normalisation that ends here, the operations inside it, and the gain after it."""
    y = node.outputs[0]
    result = y.detach().numpy()
    plain = list(_plain(record, y, result))
    for x, norm in plain:
        yield Operation("norm", node, {"x": x}, y, {"norm": norm}, composite=True)
    if plain:
        yield from _inside(record, plain[-1][0], y)
        yield from _gains(record, y, plain[-1][0].detach())
    else:
        yield from _with_gain(record, node, y, result)


def _plain(record: Record, y: Tensor, result: Array) -> Iterator[tuple[Tensor, Norm]]:
    """Yield the nearest tensors of which this is the normalised: one less its mean, and one as it is."""
    for centred in (False, True):
        for axes in _axes(result, centred):
            found = ((x, _norm(x.detach().numpy(), result, axes, centred)) for x in _like(record, y))
            first = next(((x, norm) for x, norm in found if norm is not None and _reduces(record, x, y, norm)), None)
            if first is not None:
                yield first
                break


def _reduces(record: Record, x: Tensor, y: Tensor, norm: Norm) -> bool:
    """Return whether the std is one of x's numbers, and no constant that happens to be as large."""
    return any(t.numel() == norm.rstd.size for node in between(record, x, y) for t in node.outputs)


def _like(record: Record, y: Tensor) -> Iterator[Tensor]:
    return (t for t in sources(record, y) if t.shape == y.shape)


def _axes(y: Array, centred: bool) -> Iterator[tuple[int, ...]]:
    """Yield the axes over which the numbers have mean 0, or mean square near 1, as what is normalised has."""
    wide = [axis for axis in range(y.ndim) if y.shape[axis] > 1]
    with np.errstate(all="ignore"):
        size = float(np.abs(y).max(initial=0.0))
        for count in range(len(wide), 0, -1):
            for axes in combinations(wide, count):
                if centred and np.abs(y.mean(axis=axes)).max() > 1e-11 * size:
                    continue
                square = (y * y).mean(axis=axes)
                if 0.4 < square.max() < 1.6:
                    yield axes


def _norm(x: Array, y: Array, axes: tuple[int, ...], centred: bool) -> Norm | None:
    """Return how y is x normalised over these axes; None where it is not."""
    mean = x.mean(axis=axes, keepdims=True)
    if centred and np.abs(mean).max() < 1e-12 * np.abs(x).max():
        return None
    c = x - mean if centred else x
    var = (c * c).mean(axis=axes, keepdims=True)
    live = var > 0  # a column of zeros has no variance: eps alone stands under its root
    if not live.any():
        return None
    with np.errstate(all="ignore"):
        std = var[live] / (y * c).mean(axis=axes, keepdims=True)[live]
    if not (std > 0).all():
        return None
    for std_of, share_of in _deviations(c.size // var.size, var[live], std):
        full = std_of(var)
        if np.abs(y * full - c).max() <= SAME * np.abs(c).max():
            with np.errstate(all="ignore"):
                share = np.where(live, share_of(var), 0.0)
            return Norm(x.shape, axes, y, np.asarray(1 / full), centred, share)
    return None


def _deviations(n: int, var: Array, std: Array) -> Iterator[tuple[Callable[[Array], Array], Callable[[Array], Array]]]:
    """Yield (std, share) as functions of the variance: sqrt(var + eps) or sqrt(var) + eps, by n or by n - 1."""
    for ddof in (0, 1) if n > 1 else (0,):
        over = n / (n - ddof)
        eps = std**2 - var * over
        if _constant(eps, std**2):
            e = max(float(eps.mean()), 0.0)
            yield lambda v, o=over, e=e: np.sqrt(v * o + e), lambda v, o=over: o * np.ones_like(v)  # type: ignore[misc]
        eps = std - np.sqrt(var * over)
        if _constant(eps, std):
            e = max(float(eps.mean()), 0.0)
            yield (
                lambda v, o=over, e=e: np.sqrt(v * o) + e,  # type: ignore[misc]
                lambda v, o=over, e=e: o * (1 + e / np.sqrt(v * o)),  # type: ignore[misc]
            )


def _constant(eps: Array, size: Array) -> bool:
    """Return whether this may be eps: the same number in all groups, none below zero, small where it is one alone."""
    slack = 1e-10 * float(size.max())
    same = float(np.ptp(eps)) <= slack and float(eps.min()) >= -slack
    return same and (eps.size > 1 or float(eps.max()) < ONE_GROUP * float(size.max()))


def _inside(record: Record, x: Tensor, y: Tensor) -> Iterator[Operation]:
    """Yield the operations of which a norm is made, as those of a norm, where the forward names something in it."""
    ways = between(record, x, y)
    named = {id(t) for t in record.named.values()}
    if not any(id(t) in named for node in ways for t in node.outputs if t is not y):
        return
    for node in ways:
        roles = {f"x{i}": t for i, t in enumerate(node.inputs) if t.requires_grad}
        if roles and not node.in_place and not node.stale:
            squared = _squares(record)
            sums = [n.outputs[0] for n in record.nodes if n.op == "sum" and any(n.inputs[0] is t for t in squared)]
            squares = any(out is t for t in node.inputs for out in (*squared, *sums))
            yield Operation(f"norm_{node.op}", node, roles, node.outputs[0], {"of squares": squares})


def _squares(record: Record) -> list[Tensor]:
    """Return all tensors that are squares of others."""
    return [
        node.outputs[0]
        for node in record.nodes
        if (node.op == "pow" and node.args[1] == 2)
        or node.op == "square"
        or (node.op == "mul" and len(node.inputs) == 2 and node.inputs[0] is node.inputs[1])
    ]


def _gains(record: Record, xhat: Tensor, x: Tensor) -> Iterator[Operation]:
    """Yield the products of what is normalised, or of a view of it, with a gain."""
    for user in users(record).get(id(xhat), []):
        if user.op in ("view", "_unsafe_view"):
            yield from _gains(record, user.outputs[0], x.reshape(user.outputs[0].shape))
        else:
            yield from _gained(user, xhat, x)


def _gained(node: Node, xhat: Tensor, x: Tensor) -> Iterator[Operation]:
    """Yield a product of what is normalised with a smaller tensor, the gain."""
    factors = node.inputs[-2:] if node.op == "addcmul" else node.inputs
    others = [t for t in factors if t is not xhat]
    if node.op not in ("mul", "addcmul") or len(factors) != 2 or len(others) != 1 or node.outputs[0].shape != x.shape:
        return
    gamma = others[0]
    if gamma.requires_grad and gamma.numel() < xhat.numel() and not node.stale:
        index = {id(t): f"x{i}" for i, t in enumerate(node.inputs)}
        roles = {index[id(t)]: t for t in (*node.inputs,) if t.requires_grad}
        known = {"xhat": index[id(xhat)], "gamma": index[id(gamma)], "x": x.detach().numpy()}
        yield Operation("norm_gain", node, roles, node.outputs[0], known)


def _with_gain(record: Record, node: Node, y: Tensor, result: Array) -> Iterator[Operation]:
    """Yield gain * xhat + shift whose xhat is nowhere by itself, as in x * (gain / std) + (shift - mean gain / std)."""
    found = list(sources(record, y))
    whole = [t for t in found if t.shape == y.shape]
    leaves = [t for t in found if t.grad_fn is None and 1 < t.numel() < y.numel() and _spreads(t, y)]
    for gain in leaves if whole else []:
        for shift in (None, *(t for t in leaves if t is not gain)):
            g = gain.detach().numpy()
            if not np.all(g):
                continue
            xhat = (result - (0.0 if shift is None else shift.detach().numpy())) / g
            for axes in _axes(xhat, True):
                if any(_near(t.detach().numpy(), xhat) for t in whole):
                    return
                for x in whole:
                    norm = _norm(x.detach().numpy(), xhat, axes, True)
                    if norm is not None and _reduces(record, x, y, norm):
                        full = Norm(norm.form, axes, xhat, norm.rstd, True, norm.share, g)
                        roles = {"x": x, "gamma": gain} | ({} if shift is None else {"beta": shift})
                        yield Operation("norm", node, roles, y, {"norm": full}, composite=True)
                        yield from _inside(record, x, y)
                        return


def _near(a: Array, b: Array) -> bool:
    return bool(np.abs(a - b).max() <= SAME * np.abs(b).max())


def _spreads(small: Tensor, large: Tensor) -> bool:
    """Return whether a tensor broadcasts to the shape of another."""
    pairs = zip(reversed(small.shape), reversed(large.shape), strict=False)
    return small.dim() <= large.dim() and all(a in (1, b) for a, b in pairs)
