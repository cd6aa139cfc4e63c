"""Windows: where their entries lie, and that scatter is the transpose of gather."""

import numpy as np
import pytest

from manual.nn.windows import Windows, gather, scatter
from parity_tests.parity import normal


def test_sizes():
    windows = Windows((2, 3), (1, 2), (3, 1))
    assert windows.axes == 2
    assert windows.span == (4, 3)
    assert windows.counts((6, 8)) == (3, 3)
    assert windows.reach((3, 3)) == (6, 7)


def test_entries_in_scan_order():
    windows = Windows((2, 2), (2, 1), (1, 2))
    x = np.arange(20.0).reshape(4, 5)
    columns = gather(x, windows)
    assert columns.shape == (4, 2, 3)
    assert columns[:, 0, 0].tolist() == [0, 2, 5, 7]
    assert columns[:, 1, 2].tolist() == [12, 14, 17, 19]


@pytest.mark.parametrize("samples", [(), (2,), (2, 3), (0, 2)], ids=str)
@pytest.mark.parametrize(("size", "stride", "dilation", "shape"), [((3,), (2,), (1,), (8,)),
                                                                   ((2, 3), (1, 2), (2, 1), (4, 6))])  # fmt: skip
def test_scatter_is_the_transpose_of_gather(samples, size, stride, dilation, shape):
    """sum(g * gather(x)) = sum(scatter(g) * x), on integers."""
    windows = Windows(size, stride, dilation)
    x = np.round(3 * normal(*samples, *shape))
    columns = gather(x, windows)
    g = np.round(3 * normal(*columns.shape, seed=1))
    back = scatter(g, windows, shape)
    assert back.shape == x.shape
    assert (g * columns).sum() == (back * x).sum()


def test_overlaps_add_up():
    assert scatter(np.ones((3, 4)), Windows((3,), (1,), (1,)), (6,)).tolist() == [1, 2, 3, 3, 2, 1]
