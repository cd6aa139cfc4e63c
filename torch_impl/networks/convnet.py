"""A small convolutional network in the manner of LeNet, for images with one channel."""

import torch
from torch import nn

FEATURES = (8, 16)  # of the two convolutions
HIDDEN = 32


class ConvNet(nn.Sequential):
    """Two times convolution, ReLU and pooling, then two linear layers: images to the logits of their classes."""

    def __init__(self, image_size: int = 8, classes: int = 10, *, dtype: torch.dtype = torch.float32) -> None:
        if image_size < 4:
            raise ValueError(f"ConvNet pools twice by 2, so image_size is 4 or above, not {image_size}")
        first, second = FEATURES
        super().__init__(
            nn.Conv2d(1, first, 3, padding=1, dtype=dtype),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1, dtype=dtype),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(second * (image_size // 4) ** 2, HIDDEN, dtype=dtype),
            nn.ReLU(),
            nn.Linear(HIDDEN, classes, dtype=dtype),
        )
