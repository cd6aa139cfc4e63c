"""SGD against torch."""

import numpy as np
import pytest
import torch

from manual import nn, optim


def twins(groups, dtype):
    random = np.random.default_rng(2)
    arrays = [random.normal(size=shape).astype(dtype) for shape in [(3, 2), (4,), ()]]
    hand = [nn.Parameter(array.copy()) for array in arrays]
    theirs = [torch.nn.Parameter(torch.tensor(array)) for array in arrays]
    if not groups:
        return hand, theirs, optim.SGD(hand, lr=0.1), torch.optim.SGD(theirs, lr=0.1)
    split = lambda ps: [{"params": ps[:1], "lr": 0.3}, {"params": ps[1:]}]  # noqa: E731
    return hand, theirs, optim.SGD(split(hand), lr=0.1), torch.optim.SGD(split(theirs), lr=0.1)


@pytest.mark.parametrize("groups", [False, True])
def test_a_hundred_steps(groups, dtype):
    hand, theirs, ours, torchs = twins(groups, dtype)
    random = np.random.default_rng(3)
    for _ in range(100):
        ours.zero_grad()
        torchs.zero_grad()
        for p, q in zip(hand, theirs, strict=True):
            grad = random.normal(size=p.shape).astype(dtype)
            p.accumulate(grad)
            q.grad = torch.tensor(grad)
        ours.step()
        torchs.step()
    for p, q in zip(hand, theirs, strict=True):
        assert p.dtype == np.dtype(dtype)
        assert isinstance(p.data, np.ndarray)
        # One rounding a step on each side, of numbers of order one to ten.
        np.testing.assert_allclose(p.data, q.detach().cpu().numpy(), rtol=0, atol=100 * np.finfo(dtype).eps)


def test_a_parameter_without_gradient_stays():
    p, q = nn.Parameter(np.ones(3)), nn.Parameter(np.ones(3))
    optimizer = optim.SGD([p, q], lr=0.5)
    p.accumulate(np.ones(3))
    optimizer.step()
    assert p.data.tolist() == [0.5] * 3
    assert q.data.tolist() == [1.0] * 3
    assert optimizer.state_dict()["state"] == {}  # without momentum there is none
    optimizer.zero_grad()
    assert p.grad is None


def test_state_dict_has_torchs_form():
    _, _, ours, torchs = twins(True, "float64")
    mine, others = ours.state_dict(), torchs.state_dict()
    assert mine["state"] == others["state"] == {}
    for group, other in zip(mine["param_groups"], others["param_groups"], strict=True):
        assert group == other


@pytest.mark.parametrize("lr", [-0.1, float("nan")])
def test_bad_rates(lr):
    with pytest.raises(ValueError, match="learning rate"):
        optim.SGD([nn.Parameter(np.ones(1))], lr=lr)


def test_nothing_to_train():
    with pytest.raises(ValueError, match=r"network\.parameters"):
        optim.SGD([])


def test_default_rate_is_torchs():
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
    assert optim.SGD([nn.Parameter(np.ones(1))]).param_groups[0]["lr"] == theirs.param_groups[0]["lr"]


def test_parameters_are_numbered_through_all_groups():
    parameters = [nn.Parameter(np.ones(1)) for _ in range(5)]
    groups = [{"params": parameters[:2]}, {"params": parameters[2:4]}, {"params": parameters[4:]}]
    numbers = [group["params"] for group in optim.SGD(groups).state_dict()["param_groups"]]
    assert numbers == [[0, 1], [2, 3], [4]]


def test_an_array_taken_out_before_the_step_stays():
    p = nn.Parameter(np.ones(2))
    before = p.data
    p.accumulate(np.ones(2))
    optim.SGD([p], lr=0.5).step()
    assert before.tolist() == [1.0, 1.0]


def test_only_parameters_and_each_once():
    p = nn.Parameter(np.ones(1))
    with pytest.raises(ValueError, match="twice"):
        optim.SGD([p, p])
    with pytest.raises(ValueError, match="twice"):
        optim.SGD([{"params": [p]}, {"params": [p]}])
    with pytest.raises(TypeError, match="takes parameters"):
        optim.SGD([np.ones(2)])
    with pytest.raises(TypeError, match="takes parameters"):
        optim.SGD([p, np.ones(2)])


def test_parameters_may_come_from_a_generator():
    network = nn.Linear(3, 2)
    for given in (network.parameters(), [{"params": network.parameters(), "lr": 0.5}]):
        optimizer = optim.SGD(given)
        assert optimizer.param_groups[0]["params"] == [network.weight, network.bias]
        assert optimizer.state_dict()["param_groups"][0]["params"] == [0, 1]


@pytest.mark.parametrize("group", [True, False])
def test_a_rate_of_numpys_changes_no_dtype(group):
    p = nn.Parameter(np.ones(3, np.float32))
    given = [{"params": [p], "lr": np.float64(0.5)}] if group else [p]
    optimizer = optim.SGD(given, lr=np.float64(0.5))
    p.accumulate(np.ones(3, np.float32))
    optimizer.step()
    assert p.dtype == np.float32
    assert p.data.tolist() == [0.5] * 3


def test_a_rate_of_0_stays_where_it_is():
    p = nn.Parameter(np.ones(3))
    optimizer = optim.SGD([p], lr=0)
    p.accumulate(np.ones(3))
    optimizer.step()
    assert p.data.tolist() == [1.0] * 3


def test_momentum_grows_to_one_over_one_minus_mu():
    """With a constant gradient the buffer is its geometric series: 1, 1.5, 1.75, ... for mu = 0.5."""
    p = nn.Parameter(np.zeros(1))
    optimizer = optim.SGD([p], lr=1, momentum=0.5)
    for expected in (1, 1.5, 1.75, 1.875):
        before = p.data
        p.grad = np.ones(1)
        optimizer.step()
        assert (before - p.data).tolist() == [expected]


def test_nesterov_is_the_gradient_ahead():
    """The docstring's change of variables: torch's form on u is Sutskever's on w, with u = w - lr mu b."""
    lr, mu = 0.1, 0.7
    slope = lambda w: 2 * w + w**3  # noqa: E731
    w, b = 1.5, 0.0
    u = nn.Parameter(np.array(1.5))
    optimizer = optim.SGD([u], lr=lr, momentum=mu, nesterov=True)
    for _ in range(20):
        u.grad = slope(u.data)
        optimizer.step()
        b = mu * b + slope(w - lr * mu * b)
        w = w - lr * b
        assert float(u.data) == pytest.approx(w - lr * mu * b, rel=1e-12)


def test_a_momentum_that_is_set_to_0_leaves_the_buffer():
    p = nn.Parameter(np.ones(2))
    optimizer = optim.SGD([p], lr=0.5, momentum=0.5)
    for mu in (0.5, 0):
        optimizer.param_groups[0]["momentum"] = mu
        p.grad = np.ones(2)
        optimizer.step()
    assert p.data.tolist() == [0.0, 0.0]
    assert optimizer.state[p]["momentum_buffer"].tolist() == [1.0, 1.0]


def test_complex_parameters():
    """Every line is linear: torch's numbers, and a complex step goes through."""
    options = {"lr": 0.1, "momentum": 0.7, "weight_decay": 0.2, "nesterov": True, "maximize": True}
    p, q = (
        nn.Parameter(np.array([1 + 2j, -3j])),
        torch.nn.Parameter(torch.tensor([1 + 2j, -3j], dtype=torch.complex128)),
    )
    ours, theirs = optim.SGD([p], **options), torch.optim.SGD([q], **options)
    for _ in range(5):
        p.grad, q.grad = p.data * (1 - 1j), (q * (1 - 1j)).detach()
        ours.step()
        theirs.step()
    np.testing.assert_allclose(p.data, q.detach().cpu().numpy(), rtol=1e-14)
