"""RNN, LSTM and GRU against torch."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.nn.rnn.cases import LAYERS, check, half_normal, layer_state
from parity_tests.parity import check_exact, integers

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

layers = pytest.mark.parametrize("kind", LAYERS)
OPTIONS = {"num_layers": 2, "bias": False, "batch_first": True, "bidirectional": True}
PAIRS = [{}, *({name: OPTIONS[name] for name in names} for names in itertools.combinations(OPTIONS, 2))]
SINGLES = [{name: value} for name, value in OPTIONS.items()]
ALL = [*PAIRS, *SINGLES, OPTIONS]


@layers
@pytest.mark.parametrize("options", ALL, ids=lambda options: " ".join(options) or "plain")
def test_options(kind, options, dtype, device):
    """Time 4, batch 3, input 5, hidden 2; every option alone, in pairs, and all of them."""
    x = half_normal(3, 4, 5) if options.get("batch_first") else half_normal(4, 3, 5)
    state = layer_state(kind, options, 3)
    check(lambda nn: LAYERS[kind](nn, 5, 2, **options), x, state, dtype=dtype, device=device)


@layers
@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["plain", "all options"])
def test_without_a_state(kind, options, dtype, device):
    check(lambda nn: LAYERS[kind](nn, 5, 2, **options), half_normal(3, 4, 5), dtype=dtype, device=device)


@layers
@pytest.mark.parametrize("options", [{}, *SINGLES], ids=lambda options: " ".join(options) or "plain")
@pytest.mark.parametrize("given", [True, False], ids=["state", "no state"])
def test_without_a_batch_axis(kind, options, given, dtype, device):
    """Also with batch_first, which then says nothing."""
    state = [layer_state(kind, options)] if given else []
    check(lambda nn: LAYERS[kind](nn, 5, 2, **options), half_normal(4, 5), *state, dtype=dtype, device=device)


@layers
@pytest.mark.parametrize("shape", [(1, 3, 5), (4, 1, 5), (1, 1, 5), (4, 0, 5), (1, 5)], ids=str)
def test_one_step_one_sample_or_none(kind, shape, dtype, device):
    options = {"bidirectional": True}
    check(
        lambda nn: LAYERS[kind](nn, 5, 2, **options),
        half_normal(*shape),
        layer_state(kind, options, *shape[1:-1]),
        dtype=dtype,
    )


@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm", "gru"])
def test_one_unit(kind, dtype, device):
    check(lambda nn: LAYERS[kind](nn, 1, 1), half_normal(3, 2, 1), layer_state(kind, {}, 2, hidden=1), dtype=dtype)


def test_a_wider_projection(dtype, device):
    build = lambda nn: nn.LSTM(2, 4, 2, bidirectional=True, proj_size=3)  # noqa: E731
    check(build, half_normal(2, 3, 2), (half_normal(4, 3, 3), half_normal(4, 3, 4)), dtype=dtype, device=device)


def test_three_layers(dtype, device):
    check(
        lambda nn: nn.GRU(4, 2, 3, bidirectional=True),
        half_normal(2, 3, 4),
        half_normal(6, 3, 2),
        dtype=dtype,
        device=device,
    )


@layers
@pytest.mark.parametrize("batch", [(3,), ()], ids=["batch", "no batch"])
@pytest.mark.parametrize("unused", [(0,), (1,)], ids=["output", "h_n"])
def test_what_is_not_used_has_no_gradient(kind, unused, batch, dtype, device):
    options = {"num_layers": 2, "bidirectional": True}
    x, state = half_normal(2, *batch, 4), layer_state(kind, options, *batch)
    check(lambda nn: LAYERS[kind](nn, 4, 2, **options), x, state, unused=unused, dtype=dtype)


@pytest.mark.parametrize("unused", [(2,), (1, 2), (0, 1), (0, 2)], ids=str)
def test_what_is_not_used_of_an_lstm(unused, dtype, device):
    check(lambda nn: nn.LSTM(5, 2), half_normal(4, 3, 5), layer_state("lstm", {}, 3), unused=unused, dtype=dtype)


def test_none_for_the_whole_last_state():
    """None in the place of (grad_h_n, grad_c_n), or of everything."""
    lstm, x = nn.LSTM(5, 2, bidirectional=True, dtype=np.float64), half_normal(4, 3, 5)
    _, saved = lstm.forward(x, layer_state("lstm", {"bidirectional": True}, 3))
    g = half_normal(4, 3, 4)
    for one, two in zip(lstm.backward((g, None), saved), lstm.backward((g, (None, None)), saved), strict=True):
        assert np.array_equal(one, two)
    grad_x, (grad_h, grad_c) = lstm.backward((None, None), saved)
    assert not any(grad.any() for grad in (grad_x, grad_h, grad_c))


@pytest.mark.parametrize(("proj_size", "shown"), [(0, 3), (2, 2)])
def test_what_is_saved_has_time_first(proj_size, shown):
    """Of each layer and direction: its input, the states before the steps, and what the steps gave."""
    for shape, N in [((2, 4, 5), 2), ((4, 5), 1)]:
        _, saved = nn.LSTM(5, 3, batch_first=True, proj_size=proj_size, dtype=np.float64).forward(half_normal(*shape))
        (one,) = saved.layers[0].directions
        assert [array.shape for array in one[:3]] == [(4, N, 5), (4, N, shown), (4, N, 3)]
        assert len(one.steps) == 4


class Untouched(np.ndarray):
    """An array that nothing may be computed with."""

    def __array_ufunc__(self, *arguments, **options):
        raise AssertionError("computed with")


@pytest.mark.parametrize("bidirectional", [False, True])
def test_no_product_for_an_input_gradient_that_nobody_asked_for(bidirectional):
    """The first layer's weights of the input are needed for that alone; those above hand the gradient down."""
    gru, x = nn.GRU(5, 2, 2, bidirectional=bidirectional), half_normal(4, 3, 5).astype(np.float32)
    (y, _), saved = gru.forward(x)
    gru.weight_ih_l0.data = gru.weight_ih_l0.data.view(Untouched)
    assert gru.backward((y, None), saved, input_grad=False) == (None, None)
    with pytest.raises(AssertionError, match="computed with"):
        gru.backward((y, None), saved)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.sampled_from(list(LAYERS)),
    st.integers(1, 3),
    st.integers(2, 3),
    st.tuples(st.integers(1, 3), st.integers(0, 3)),
    st.fixed_dictionaries(
        {"num_layers": st.integers(1, 2), "bias": st.booleans(), "batch_first": st.booleans()},
        optional={"bidirectional": st.just(True)},
    ),
    st.integers(0, 99),
)
def test_any_layer(kind, inputs, hidden, sizes, options, seed):
    steps, batch = sizes
    shape = (batch, steps, inputs) if options["batch_first"] else (steps, batch, inputs)
    state = layer_state(kind, options, batch, hidden=hidden, seed=seed)
    check(lambda nn: LAYERS[kind](nn, inputs, hidden, **options), half_normal(*shape, seed=seed), state, seed=seed)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2}], ids=str)
def test_relu_is_exact_on_integers(options):
    x = integers(3, 2, 4, below=5) - 2.0
    h = integers(options.get("num_layers", 1) * (2 if "bidirectional" in options else 1), 2, 2, below=5) - 2.0
    check_exact(lambda nn: nn.RNN(4, 2, nonlinearity="relu", **options), x, h)


@layers
@pytest.mark.parametrize("size", [30.0, 1e4])
def test_saturated(kind, size, dtype, device):
    """Gates at their ends: nothing overflows, and gradients are 0 where torch's are."""
    check(lambda nn: LAYERS[kind](nn, 5, 2), size * half_normal(3, 2, 5), layer_state(kind, {}, 2), dtype=dtype)


@pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
def test_a_long_sequence(kind, device):
    """A hundred steps, in float32 against the truth of float64: errors do not build up more than autograd's."""
    check(
        lambda nn: LAYERS[kind](nn, 3, 4), half_normal(100, 2, 3), layer_state(kind, {}, 2, hidden=4), dtype="float32"
    )
