"""Recording from outside: calls told apart, fan-outs, structures, and that everything is put back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import manual.networks
import torch_impl.networks
from handgrad import experiments
from handgrad.isolate import isolate
from handgrad.recording import by_hand, with_autograd
from handgrad.trace import Trace
from manual.module import Module
from manual.nn import Identity, Linear, MSELoss, Sequential
from parity_tests.tracing.planting import LAYERED, plant, returned

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((4, 3))
UP = RANDOM.standard_normal((4, 3))


class Cell(Module):
    """h -> cell(h) three times, with the state at the second step read a second time at the end."""

    def __init__(self):
        self.cell = Linear(3, 3, dtype=np.float64)
        self.same = Identity()

    def forward(self, x):
        h1, s1 = self.cell.forward(x)
        h2, s2 = self.cell.forward(h1)
        h3, s3 = self.cell.forward(h2)
        a, sa = self.same.forward(h2)  # Identity saves nothing: both calls save the same None
        b, sb = self.same.forward(h3)
        return a + 2 * b, (s1, s2, s3, sa, sb)

    def backward(self, grad_output, saved, *, input_grad=True):
        s1, s2, s3, sa, sb = saved
        # Not in reverse order of the calls: the graph allows it.
        grad_h2 = self.same.backward(grad_output, sa)
        grad_h3 = self.same.backward(2 * grad_output, sb)
        grad_h2 = grad_h2 + self.cell.backward(grad_h3, s3)
        return self.cell.backward(self.cell.backward(grad_h2, s2), s1)


class TorchCell(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(3, 3, dtype=torch.float64)
        self.same = nn.Identity()

    def forward(self, x):
        h2 = self.cell(self.cell(x))
        h3 = self.cell(h2)
        return self.same(h2) + 2 * self.same(h3)


def cells():
    hand, autograd = Cell(), TorchCell()
    autograd.load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    return hand, autograd


def recorded(hand, autograd, x=X, up=UP):
    with by_hand({"": hand}) as ours:
        _, saved = hand.forward(x)
        hand.backward(up, saved)
    with with_autograd({"": autograd}) as theirs:
        autograd(torch.tensor(x, requires_grad=True)).backward(torch.tensor(up))
    return ours, theirs


def test_each_call_of_a_module_has_a_name_and_its_own_gradients():
    ours, theirs = recorded(*cells())
    calls = ["network", "cell", "cell#2", "cell#3", "same", "same#2"]
    assert [call.name for call in ours.calls] == [call.name for call in theirs.calls] == calls
    assert set(ours.values) == set(theirs.values) == {f"{call}.{end}" for call in calls for end in ("input", "output")}
    assert set(ours.grads) == set(theirs.grads) == set(ours.values)
    for part, other in ((ours.values, theirs.values), (ours.grads, theirs.grads)):
        for name, value in part.items():
            assert np.allclose(value, other[name], rtol=1e-12, atol=0), name
    # What each of two readers hands back, and their sum at the one that they read.
    assert np.array_equal(theirs.grads["same.input"], UP)
    total = theirs.grads["same.input"] + theirs.grads["cell#3.input"]
    assert np.allclose(theirs.grads["cell#2.output"], total, rtol=1e-14, atol=0)
    assert not np.allclose(theirs.grads["same.input"], total, rtol=1e-2, atol=0)


def test_a_gradient_handed_down_in_parts_is_their_sum():
    hand, autograd = cells()
    right = hand.backward
    with by_hand({"": hand}) as ours:
        _, saved = hand.forward(X)
        vars(hand)["backward"](0.25 * UP, saved)
        vars(hand)["backward"](0.75 * UP, saved)
    _, theirs = recorded(hand, autograd)
    assert hand.backward == right
    assert np.allclose(ours.grads["cell.input"], theirs.grads["cell.input"], rtol=1e-12, atol=0)


def shared(nn_, dtype, base):
    """A layered network in which one linear layer and one sigmoid stand three times."""

    class Shared(base):
        def __init__(self, sizes, bias=True, *, logits=False, dtype=dtype):
            linear, sigmoid = nn_.Linear(2, 2, dtype=dtype), nn_.Sigmoid()
            super().__init__(linear, sigmoid, linear, sigmoid, linear, sigmoid)

    return Shared


@pytest.fixture
def shared_experiment(monkeypatch):
    monkeypatch.setattr(manual.networks, "MLP", shared(manual.nn, np.float32, Sequential))
    monkeypatch.setattr(torch_impl.networks, "MLP", shared(nn, torch.float32, nn.Sequential))
    data = experiments.get("layered").data()
    data = replace(data, targets=np.hstack([data.targets, 1 - data.targets]))
    weight, bias = RANDOM.standard_normal((2, 2)), RANDOM.standard_normal(2)
    state = {f"{i}.{name}": value for i in (0, 2, 4) for name, value in (("weight", weight), ("bias", bias))}
    network = replace(experiments.get("layered").network, name="mlp", sizes=(2, 2, 2, 2))
    return replace(experiments.get("layered"), network=network, data=lambda: data, weights=lambda seed, network: state)


def test_an_experiment_whose_layers_are_shared(shared_experiment):
    trace = Trace(shared_experiment)
    assert trace.ok, trace.first_wrong
    assert (trace.hand_lacks, trace.autograd_lacks) == ([], [])
    names = [row.name for row in trace.rows]
    assert [name for name in names if name.endswith(".output") and name[0] in "01"] == [
        *("0.output", "1.output", "0#2.output", "1#2.output", "0#3.output", "1#3.output"),
    ]
    isolated = isolate(trace)
    assert [alone.name for alone in isolated][:7] == ["network", "0", "1", "0#2", "1#2", "0#3", "1#3"]
    assert all(alone.ok for alone in isolated)


def test_a_mistake_in_a_shared_layer_shows_at_its_last_call(monkeypatch, shared_experiment):
    plant(monkeypatch, "0", "backward", returned(lambda g: -g))
    trace = Trace(shared_experiment)
    assert trace.first_wrong.name == "d_L_d_0#3.input"
    assert [alone.name for alone in isolate(trace) if not alone.ok] == ["0", "0#2", "0#3"]


def test_several_inputs_have_an_index_and_none_at_the_end_is_none():
    loss = MSELoss()
    with by_hand({"": loss}) as ours:
        _, saved = loss.forward(X, UP)
        loss.backward(1.0, saved)
    with with_autograd({"": nn.MSELoss()}) as theirs:
        pass
    assert list(ours.values) == ["network.input[0]", "network.input[1]", "network.output"]
    assert list(ours.grads) == ["network.output", "network.input[0]", "network.input[1]"]
    assert ours.grads["network.output"].dtype == np.float64  # the Python number 1.0 takes the loss's dtype
    assert theirs.values == {}

    class Optional(Module):
        def forward(self, x, state=None):
            return x * 2, None

        def backward(self, grad_output, saved, *, input_grad=True):
            return grad_output * 2, None

    module = Optional()
    with by_hand({"": module}) as ours:
        _, saved = module.forward(X, None)
        module.backward(UP, saved)
    assert list(ours.values) == ["network.input", "network.output"]
    assert list(ours.grads) == ["network.output", "network.input"]


def test_structures_are_gone_through():
    lstm = nn.LSTM(3, 2, dtype=torch.float64)
    state = tuple(torch.tensor(RANDOM.standard_normal((1, 5, 2)), requires_grad=True) for _ in range(2))
    x = torch.tensor(RANDOM.standard_normal((4, 5, 3)), requires_grad=True)
    with with_autograd({"": lstm}) as found:
        output, (h, c) = lstm(x, state)
        (output.sum() + 2 * h.sum() + 3 * c.sum()).backward()
    ends = ["input[0]", "input[1][0]", "input[1][1]", "output[0]", "output[1][0]", "output[1][1]"]
    assert list(found.values) == [f"network.{end}" for end in ends]
    assert set(found.grads) == set(found.values)
    assert (found.grads["network.output[1][1]"] == 3).all()
    assert np.array_equal(found.grads["network.input[1][0]"], state[0].grad.cpu().numpy())


def test_all_is_put_back_even_where_something_is_raised():
    hand, autograd = cells()
    own = lambda x: (x, None)  # noqa: E731
    vars(hand.same)["forward"] = own

    def fail():
        with by_hand({"": hand}), with_autograd({"": autograd}):
            assert "forward" in vars(hand.cell)
            assert autograd.cell._forward_hooks
            hand.forward(X[:, :2])

    for _ in range(2):
        with pytest.raises(ValueError, match="was given an input"):
            fail()
    assert vars(hand.same)["forward"] is own
    assert "backward" not in vars(hand.same)
    for module in (hand, hand.cell):
        assert not {"forward", "backward"} & set(vars(module))
    for module in autograd.modules():
        assert [len(hooks) for hooks in (module._forward_hooks, module._forward_pre_hooks)] == [0, 0]


def test_recording_changes_no_number():
    trace = Trace(LAYERED)
    side = trace.hand_side()
    side.step(trace.samples)
    found = {row.name: row.hand for row in trace.rows}
    for name, parameter in side.network.named_parameters():
        assert np.array_equal(found[name], parameter.data)
        assert np.array_equal(found[f"d_L_d_{name}"], parameter.grad)
    other = trace.torch_side()
    other.step(trace.samples)
    found = {row.name: row.autograd for row in trace.rows}
    for name, parameter in other.network.named_parameters():
        assert np.array_equal(found[name], parameter.detach().cpu().numpy())
        assert np.array_equal(found[f"d_L_d_{name}"], parameter.grad.cpu().numpy())


def test_what_was_recorded_is_not_touched_by_what_comes_later():
    """An in-place operation behind a module changes neither what it gave nor its gradient."""
    chain = nn.Sequential(nn.Linear(3, 2, dtype=torch.float64), nn.ReLU(inplace=True))
    x = torch.tensor(X, requires_grad=True)
    with with_autograd({"": chain}) as found:
        chain(x).backward(torch.tensor(UP[:, :2]))
    assert np.array_equal(found.values["0.output"], chain[0](x).detach().cpu().numpy())
    assert (found.values["0.output"] < 0).any()
    assert np.array_equal(found.grads["0.output"], UP[:, :2] * (chain[0](x) > 0).cpu().numpy())


def test_what_was_recorded_is_a_copy():
    hand, autograd = cells()
    x, tensor = X.copy(), torch.tensor(X)
    with by_hand({"": hand}) as ours, with_autograd({"": autograd}) as theirs:
        y, _ = hand.forward(x)
        output = autograd(tensor).detach()
        for given in (x, y, tensor, output):
            given *= 0
    for found in (ours, theirs):
        assert np.array_equal(found.values["network.input"], X)
        assert np.abs(found.values["network.output"]).min() > 0
