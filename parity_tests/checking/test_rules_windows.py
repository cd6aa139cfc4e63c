"""Windows in any spelling: overlaps assigned, crops, ties of maxima, divisors, flattened images."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from handgrad import check
from handgrad.checking.recognition import operations
from handgrad.checking.record import Record
from handgrad.checking.rules.rule import Use


def run(layer, dx, x, **params):
    """The report on a backward of (layer(x) * up).sum() that hands back `dx(up, x, params)` for x."""
    tensors = {k: torch.from_numpy(v) for k, v in params.items()}
    up = np.random.default_rng(0).standard_normal(tuple(layer(tensors, torch.from_numpy(x)).shape))

    def forward(p, i):
        return (layer(p, i["x"]) * i["up"]).sum()

    def backward(p, i):
        leaves = {k: torch.tensor(np.asarray(v), dtype=torch.float64, requires_grad=True) for k, v in p.items()}
        loss = (layer(leaves, torch.tensor(np.asarray(i["x"], float))) * torch.tensor(np.asarray(i["up"], float))).sum()
        found = torch.autograd.grad(loss, list(leaves.values())) if leaves else []
        grads = {k: g.numpy() for k, g in zip(leaves, found, strict=True)}
        return loss.item(), grads | {"x": dx(i["up"], i["x"], p)}

    return check(forward, backward, params, {"x": x, "up": up})


def image(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def assigned(shape, k, step, axis=-1):
    """The gradient of windows cut out along the last axis, each assigned over the one before."""

    def dx(up, x, p):
        found = np.zeros(shape)
        for n in range(up.shape[0]):
            found[..., n * step : n * step + k] = up[n]
        return found

    return dx


def cut(p, x):
    return torch.stack([x[..., 2 * n : 2 * n + 3] for n in range(4)])


def unfolded(p, x):
    return x.unfold(-1, 3, 2).movedim(-2, 0)


@pytest.mark.parametrize("layer", [cut, unfolded])
def test_windows_assigned_in_a_loop(layer):
    report = run(layer, assigned((5, 9), 3, 2), image(5, 9))
    assert [c.id for c in report.causes[:1]] == ["ACC-OVERLAP-ASSIGN"], str(report)


def test_windows_side_by_side_can_be_assigned():
    assert run(lambda p, x: x.unfold(-1, 3, 3).movedim(-2, 0), assigned((5, 9), 3, 3), image(5, 9)).ok


CONVS = {
    "strided": lambda p, x: F.conv2d(x, p["K"], stride=2, padding=(1, 2)),
    "dilated": lambda p, x: F.conv2d(x, p["K"], dilation=2, padding=2),
    "grouped": lambda p, x: F.conv2d(x, p["K"][:, :2], groups=2, padding=1),
    "columns": lambda p, x: F.unfold(x, (3, 2), padding=1, stride=(1, 2)),
    "average": lambda p, x: F.avg_pool2d(x, 3, 2, 1),
    "average inside": lambda p, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "maximum": lambda p, x: F.max_pool2d(x, 3, 2, 1),
}


@pytest.mark.parametrize("name", CONVS)
def test_patches_added_up_are_the_gradient(name):
    """What the wrong formulas start from, every window's share, gives autograd's gradient when it is added."""
    params = {"x": image(3, 4, 7, 8), "K": image(6, 4, 3, 3, seed=2)}
    record = Record.run(lambda p, i: (CONVS[name](p, p["x"]) ** 2).sum(), params, {})
    (found,) = (o for o in operations(record) if "windows" in o.attributes)
    up = record.grad(found.output)
    windows, patches = found.attributes["windows"], found.attributes["patches"]
    right = found.true(record, up)["x"]
    assert np.allclose(windows.crop(windows.add(patches(up.numpy()))), right, rtol=1e-12, atol=1e-12)


TIED = np.round(image(3, 2, 6, 6, seed=3))


def windows_of(x):
    """(B, C, h, w, 4) of the 2 x 2 windows, and back."""
    return x.reshape(3, 2, 3, 2, 3, 2).transpose(0, 1, 2, 4, 3, 5).reshape(3, 2, 3, 3, 4)


def image_of(blocks):
    return blocks.reshape(3, 2, 3, 3, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(3, 2, 6, 6)


def shares(rule):
    def dx(up, x, p):
        blocks = windows_of(x)
        largest = (blocks == blocks.max(-1, keepdims=True)).astype(float)
        return image_of(rule(largest) * up.reshape(3, 2, 3, 3, 1))

    return dx


def uneven(largest):
    weights = largest * np.array([1.0, 2.0, 3.0, 4.0])
    return weights / weights.sum(-1, keepdims=True)


MAXIMA = {
    "pooled": lambda p, x: F.max_pool2d(x, 2),
    "by axes": lambda p, x: x.reshape(3, 2, 3, 2, 3, 2).amax(dim=(3, 5)),
}


@pytest.mark.parametrize("name", MAXIMA)
def test_every_tie_with_the_full_gradient_is_a_mistake(name):
    report = run(MAXIMA[name], shares(lambda largest: largest), TIED)
    assert [c.id for c in report.causes[:1]] == ["POOL-TIES"], str(report)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("pooled", lambda largest: largest / largest.sum(-1, keepdims=True)),
        ("pooled", lambda largest: largest * (np.cumsum(largest[..., ::-1], -1)[..., ::-1] == 1)),
        ("pooled", uneven),
        ("by axes", lambda largest: largest * (np.cumsum(largest, -1) == 1)),
    ],
)
def test_shares_of_ties_that_sum_to_one_are_right(name, rule):
    report = run(MAXIMA[name], shares(rule), TIED)
    assert report.ok, str(report)
    assert "tied" in " ".join(report.fine)


@pytest.mark.parametrize(
    "rule", [lambda a: a / a.sum(-1, keepdims=True) ** 2, lambda a: 3 * uneven(a) - 2 * uneven(a) * 0.9]
)
def test_shares_that_do_not_sum_to_one_are_wrong(rule):
    assert not run(MAXIMA["pooled"], shares(rule), TIED).ok


def test_a_divisor_at_the_edge():
    """Where windows hang over the image, torch divides by all their places, unless it is told not to."""
    ones = F.avg_pool2d(torch.ones(1, 1, 7, 7, dtype=torch.float64), 3, 2, 1).numpy()

    def dx(up, x, p):
        image = torch.zeros(2, 3, 7, 7, dtype=torch.float64, requires_grad=True)
        y = F.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
        return torch.autograd.grad(y, image, torch.from_numpy(np.asarray(up)))[0].numpy()

    assert ones.min() < 1
    report = run(lambda p, x: F.avg_pool2d(x, 3, 2, 1), dx, image(2, 3, 7, 7))
    assert [c.id for c in report.causes[:1]] == ["POOL-NO-DIVIDE"], str(report)


def test_a_view_that_is_undone_in_another_order():
    def dx(up, x, p):
        return up.reshape(5, 3, 2, 4).transpose(0, 3, 1, 2)

    report = run(lambda p, x: x.flatten(1), dx, image(5, 4, 3, 2))
    assert [c.id for c in report.causes[:1]] == ["SHAPE-FLATTEN-ORDER"], str(report)


def test_eval_mode_is_differentiated_as_such():
    mean, var = image(4, seed=5), np.abs(image(4, seed=6)) + 0.5

    def layer(p, x):
        return F.batch_norm(x, torch.from_numpy(mean), torch.from_numpy(var), p["g"], p["b"])

    def training(up, x, p):
        d, xhat = up * p["g"], (x - mean) / np.sqrt(var + 1e-5)
        return (d - d.mean(0) - xhat * (d * xhat).mean(0)) / np.sqrt(var + 1e-5)

    report = run(layer, training, image(6, 4), g=image(4, seed=7), b=image(4, seed=8))
    assert [c.id for c in report.causes[:1]] == ["NORM-STATS-CONST"], str(report)


def test_dropout_is_found_in_any_spelling():
    x = image(6, 5)
    keep = (np.random.default_rng(2).random((6, 5)) < 0.7) * 1.0
    mask = torch.from_numpy(keep)
    spellings = [
        lambda p, x: x * mask / 0.7,
        lambda p, x: x / 0.7 * mask,
        lambda p, x: torch.where(mask > 0, x, 0.0) * (1 / 0.7),
        lambda p, x: (x * (1 / 0.7)).masked_fill(mask == 0, 0.0),
        lambda p, x: mask * (x * 10.0) / 7.0,
    ]
    for layer in spellings:
        record = Record.run(lambda p, i, layer=layer: torch.tanh(layer(p, p["x"])).sum(), {"x": x}, {})
        found = [o for o in operations(record) if o.kind == "dropout"]
        assert [(o.attributes["scale"], o.roles["x"] is record.named["x"]) for o in found] == [
            (pytest.approx(1 / 0.7), True)
        ]
        assert (found[0].attributes["mask"] == (keep > 0)).all()
        up = record.grad(found[0].output)
        use = Use(found[0], up.numpy(), found[0].true(record, up), {}, False, record)
        assert np.allclose(use.true["x"], up.numpy() * keep / 0.7)


def test_relu_is_no_dropout():
    record = Record.run(lambda p, i: (p["x"] * (p["x"] > 0) * 2.0).exp().sum(), {"x": image(6, 5)}, {})
    assert not [o for o in operations(record) if o.kind == "dropout"]


def test_a_mean_of_blocks_that_is_not_divided():
    def blocks(p, x):
        return torch.tanh(x.reshape(3, 2, 3, 2, 3, 2).mean(dim=(3, 5)))

    def dx(up, x, p):
        means = x.reshape(3, 2, 3, 2, 3, 2).mean((3, 5))
        return (up * (1 - np.tanh(means) ** 2)).repeat(2, axis=2).repeat(2, axis=3)

    report = run(blocks, dx, image(3, 2, 6, 6))
    assert [c.id for c in report.causes[:1]] == ["POOL-NO-DIVIDE"], str(report)


def test_channels_of_a_kernel_that_are_not_exchanged():
    def dx(up, x, p):
        kernel = torch.from_numpy(np.asarray(p["K"]).swapaxes(0, 1).copy())
        return F.conv_transpose2d(torch.from_numpy(np.array(up)), kernel, padding=1).numpy()

    report = run(lambda p, x: F.conv2d(x, p["K"], padding=1), dx, image(3, 4, 6, 5), K=image(4, 4, 3, 3, seed=2))
    assert [c.id for c in report.causes[:1]] == ["LIN-W-NOT-T"], str(report)


def grouped(p, x):
    """Group norm written out: the gain meets a view of what is normalised."""
    y = x.reshape(len(x), 2, -1)
    y = (y - y.mean(-1, keepdim=True)) / torch.sqrt(y.var(-1, keepdim=True, correction=0) + 1e-5)
    return y.reshape(x.shape) * p["g"][:, None, None]


def instances(p, x):
    """torch's instance norm, which is batch norm of a view."""
    return F.instance_norm(x, weight=p["g"])


def normalised(x, axes):
    rstd = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)
    return (x - x.mean(axis=axes, keepdims=True)) * rstd, rstd


def without_gain(up, x, p):
    xhat, rstd = normalised(x.reshape(len(x), 2, -1), 2)
    d = up.reshape(xhat.shape)
    return (rstd * (d - d.mean(2, keepdims=True) - xhat * (d * xhat).mean(2, keepdims=True))).reshape(x.shape)


def over_the_batch(up, x, p):
    xhat, rstd = normalised(x, (2, 3))
    d, axes = up * p["g"][:, None, None], (0, 2, 3)
    return rstd * (d - d.mean(axes, keepdims=True) - xhat * (d * xhat).mean(axes, keepdims=True))


@pytest.mark.parametrize(
    ("layer", "dx", "cause"),
    [(grouped, without_gain, "NORM-GAMMA-DROPPED"), (instances, over_the_batch, "NORM-WRONG-AXIS")],
)
def test_norms_of_a_view(layer, dx, cause):
    report = run(layer, dx, image(3, 4, 4, 3), g=image(4, seed=3))
    assert [c.id for c in report.causes[:1]] == [cause], str(report)


def test_zeros_put_in_front_by_cat():
    def dx(up, x, p):
        return up[:, : x.shape[1]]

    report = run(lambda p, x: torch.cat([x.new_zeros(len(x), 2), x], dim=1), dx, image(3, 6))
    assert [c.id for c in report.causes[:1]] == ["CONV-PAD-CROP"], str(report)
