"""Convolution and transposed convolution in one, two and three dimensions, from one sum (`sums.py`)."""

from manual.nn.conv.convolution import Conv1d, Conv2d, Conv3d
from manual.nn.conv.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
