"""A gradient that does not fit the output is refused by every class, in one sentence, before any `.grad` changes."""

import numpy as np
import pytest

import manual.nn
from manual.networks import Neuron, TwoTwoOne
from manual.networks.perceptron import DoubleSigmoid
from manual.nn.attention import scaled_dot_product_attention, scaled_dot_product_attention_backward
from parity_tests.values.cases import CASES, IMAGES, ROWS, TABLE, Case, classes, leaves, normal, plain, upstream

# Their parts speak for them: the one that the gradient reaches first.
COMPOSITES = {"Sequential", "Transformer", "SwiGLU", "GroupedQueryAttention"}
COMPOSITES |= {f"Transformer{part}{layer}" for part in ("Encoder", "Decoder") for layer in ("", "Layer")}
REFUSING = {name: case for name, case in CASES.items() if name != "Identity"}  # it hands on what it is given
SEQUENCES, HEADS = normal(5, 2, 4), (normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 3))
STATE = (normal(2, 2, 2), normal(2, 2, 3))
MORE = {
    "DoubleSigmoid": Case(lambda nn: DoubleSigmoid(), (TABLE,)),
    "Dropout in training": Case(plain("Dropout", 0.3), (TABLE,)),
    "GroupedQueryAttention": Case(plain("GroupedQueryAttention", 4, 2, 1), (ROWS.swapaxes(1, 2),)),
    "LinearCrossEntropy": Case(plain("LinearCrossEntropy", 4, 3), (TABLE, classes(3, of=3))),
    "LSTM with a projection": Case(
        lambda nn: nn.LSTM(4, 3, bidirectional=True, batch_first=True, proj_size=2), (normal(2, 5, 4), STATE)
    ),
    "MaxPool2d with indices": Case(plain("MaxPool2d", 2, return_indices=True), (IMAGES,)),
    "AdaptiveMaxPool2d with indices": Case(plain("AdaptiveMaxPool2d", 3, return_indices=True), (IMAGES,)),
    "MixtureOfExperts": Case(lambda nn: nn.MixtureOfExperts(4, [nn.Linear(4, 4), nn.Tanh()]), (TABLE,)),
    "MixtureOfExperts with a loss": Case(
        lambda nn: nn.MixtureOfExperts(4, [nn.Linear(4, 4), nn.Tanh()], load_balancing=True), (TABLE,)
    ),
    "NaiveAttention": Case(plain("NaiveAttention"), HEADS),
    "Neuron": Case(lambda nn: Neuron([0.5, 1, 2, 3], 4), (TABLE,)),
    "RotaryEmbedding": Case(plain("RotaryEmbedding", 4), (TABLE,)),
    "SwiGLU": Case(plain("SwiGLU", 4, 3), (TABLE,)),
    "TiedEmbedding": Case(plain("TiedEmbedding", 6, 4), (classes(5, of=6), TABLE)),
    "TiledAttention": Case(plain("TiledAttention"), HEADS),
    "TwoTwoOne": Case(lambda nn: TwoTwoOne(), (TABLE[:, :2],)),
}


def cast(part, dtype):
    """Return the floats of a structure in `dtype`."""
    if isinstance(part, tuple):
        return tuple(cast(each, dtype) for each in part)
    return part if part is None or part.dtype.kind not in "fc" else part.astype(dtype)


def misfits(g):
    """Yield, by name, what is no gradient of an output of g's shape and dtype, and the error that it ends in."""
    yield "an axis more", g[np.newaxis], ValueError
    if g.ndim and len(g) > 1:
        yield "one row of many", g[:1], ValueError
    if g.T.shape != g.shape:
        yield "transposed", g.T, ValueError
    if g.ndim:  # a loss takes any real number
        other = np.float32 if g.dtype == np.float64 else np.float64
        yield "another dtype", g.astype(other), TypeError
        yield "a number", 1.0, TypeError
    yield "complex", g.astype(np.complex128), TypeError
    yield "a list", g.tolist() if g.ndim else [g.item()], TypeError


def with_leaf(structure, number, leaf):
    """Return a structure of tuples with another leaf in the place of that number, counted in order."""
    if not isinstance(structure, tuple):
        return leaf
    parts, first = [], 0
    for part in structure:
        count = len(leaves(part))
        parts.append(with_leaf(part, number - first, leaf) if 0 <= number - first < count else part)
        first += count
    return tuple(parts)


def gradient_of(y, numbers):
    """Return a gradient in the structure of y; an output of integers has none."""
    if isinstance(y, tuple):
        return tuple(gradient_of(part, numbers) for part in y)
    return np.asarray(next(numbers), y.dtype) if y.dtype.kind == "f" else None


def all_misfits(right):
    """Yield the misfits of every output, each beside right gradients for the others, and those of the whole."""
    for number, g in enumerate(leaves(right)):
        for name, wrong, error in misfits(g):
            yield f"{name} for output {number}", with_leaf(right, number, wrong), error
    yield "None", None, TypeError
    if isinstance(right, tuple):
        yield "the first of two alone", right[0], TypeError
        yield "three of two", (*right, right[0]), TypeError


def assert_refused(module, inputs, dtype, name):
    y, saved = module.forward(*cast(inputs, dtype))
    right = gradient_of(y, iter(upstream(leaves(y))))
    names = {type(part).__name__ for _, part in module.named_modules()} if name in COMPOSITES else {name}
    for misfit, wrong, error in all_misfits(right):
        for input_grad in (True, False):
            with pytest.raises(error) as refusal:
                module.backward(wrong, saved, input_grad=input_grad)
            who, sentence = str(refusal.value).split(": backward takes ", 1)
            assert who in names, f"{misfit}: it is {who} that speaks"
            assert "\n" not in sentence
            assert ". " not in sentence, f"{misfit}: more than one sentence"
            assert all(p.grad is None for p in module.parameters()), f"{misfit}: a .grad has changed"
    module.backward(right, saved)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*REFUSING, *MORE])
def test_what_does_not_fit_is_refused(name, dtype):
    case = (REFUSING | MORE)[name]
    assert_refused(case.build(manual.nn).to(dtype), case.inputs, dtype, name.split()[0])


@pytest.mark.parametrize("name", [name for name in REFUSING if "Loss" in name])
def test_of_a_loss_for_each_sample_the_gradient_has_its_shape(name):
    module = REFUSING[name].build(manual.nn).double()
    module.reduction = "none"
    assert_refused(module, REFUSING[name].inputs, "float64", name)


def test_a_loss_takes_any_real_number():
    loss = manual.nn.MSELoss()
    input, target = TABLE.astype(np.float32), TABLE[::-1].astype(np.float32)
    _, saved = loss.forward(input, target)
    expected = 2 * 2 * (input - target) / 12
    for number in (2, 2.0, np.int64(2), np.float64(2), np.array(2), np.array(2.0), np.array(2, np.float32)):
        grad, _ = loss.backward(number, saved)
        assert grad.dtype == np.float32
        np.testing.assert_allclose(grad, expected, rtol=1e-6)
    for number in (2j, np.array(2j), True, "2", np.array("2"), np.array([2.0]), [[1.0], [1.0, 2.0]]):
        with pytest.raises((TypeError, ValueError), match=r"^MSELoss: backward takes a gradient of float32"):
            loss.backward(number, saved)


def test_what_fits_is_taken():
    """One of NumPy's scalars for an output without axes, a list for a pair."""
    relu, cell = manual.nn.ReLU(), manual.nn.LSTMCell(4, 2)
    assert relu.backward(np.float64(3), relu.forward(np.float64(1))[1]) == 3
    (h, c), saved = cell.forward(TABLE.astype(np.float32))
    for one, two in zip(cell.backward([h, c], saved), cell.backward((h, c), saved), strict=True):
        assert np.array_equal(one, two)


def test_the_two_halves_of_a_tied_embedding():
    tied = manual.nn.TiedEmbedding(6, 4, dtype=np.float64)
    for half, given in (("encode", classes(5, of=6)), ("decode", normal(2, 3, 4))):
        y, saved = getattr(tied, half)(given)
        for _, wrong, error in all_misfits(np.ones_like(y)):
            with pytest.raises(error, match=r"^TiedEmbedding: backward takes"):
                getattr(tied, f"{half}_backward")(wrong, saved)
        assert tied.weight.grad is None
    tied.decode_backward(np.ones_like(y), saved)


def test_attention_as_a_function():
    y, saved = scaled_dot_product_attention(*HEADS)
    for _, wrong, error in all_misfits(np.ones_like(y)):
        with pytest.raises(error, match=r"^scaled_dot_product_attention: backward takes"):
            scaled_dot_product_attention_backward(wrong, saved)


def test_the_sentences():
    """What was given, what is accepted, what to do."""
    relu, lstm = manual.nn.ReLU(), manual.nn.LSTMCell(4, 2)
    _, saved = relu.forward(TABLE)
    takes = "ReLU: backward takes a gradient of float64 and shape (3, 4), as the output has, "
    for wrong, says in (
        (None, "not NoneType: give dL/dy as an array"),
        (np.ones((3, 4), np.float32), "not one of float32: write grad_output.astype(np.float64)"),
        (np.ones((4, 3)), "not one of shape (4, 3): give dL/dy, a number for each of y"),
    ):
        with pytest.raises((TypeError, ValueError)) as refusal:
            relu.backward(wrong, saved)
        assert str(refusal.value) == takes + says
    _, saved = lstm.forward(TABLE.astype(np.float32))
    for wrong, given in ((None, "NoneType"), ([None] * 3, "3"), ((None,) * 3, "3")):
        with pytest.raises(TypeError) as refusal:
            lstm.backward(wrong, saved)
        assert str(refusal.value) == (
            f"LSTMCell: backward takes a pair of gradients, as forward returns a pair, not {given}: give None for an "
            "output that is not used"
        )
