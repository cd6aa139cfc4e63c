"""ConvNet against its twin, for the images at hand and for other sizes."""

import pytest

import manual.networks as by_hand
import torch_impl.networks as with_autograd
from parity_tests.parity import check_module, normal


def twins(**options):
    return [networks.ConvNet(**options) for networks in (by_hand, with_autograd)]


@pytest.mark.parametrize(("size", "classes"), [(4, 3), (5, 2), (8, 10), (13, 4)])
def test_convnet(size, classes, device):
    """In float32, where the truth is autograd in float64: the complex step would cost a forward for every weight."""
    check_module(*twins(image_size=size, classes=classes), normal(3, 1, size, size), dtype="float32", device=device)


def test_state_dict_keys_are_torchs():
    hand, theirs = twins()
    assert {k: v.shape for k, v in hand.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }


def test_the_layers_stand_in_the_order_of_torchs():
    """The largest of a window goes through ReLU alike before and after: no number tells the two orders apart."""
    hand, theirs = ([type(layer).__name__ for layer in network] for network in twins())
    assert hand == theirs


def test_images_that_cannot_be_pooled_twice():
    for networks in (by_hand, with_autograd):
        with pytest.raises(ValueError, match="4 or above, not 3"):
            networks.ConvNet(image_size=3)
