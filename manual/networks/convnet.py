"""A small convolutional network in the manner of LeNet, for images with one channel."""

import numpy as np
from numpy.typing import DTypeLike

from manual.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

FEATURES = (8, 16)  # of the two convolutions
HIDDEN = 32


class ConvNet(Sequential):
    """Two times convolution, ReLU and pooling, then two linear layers: images to the logits of their classes.

        (N, 1, S, S)   -> Conv2d 3x3, ReLU, MaxPool2d 2   (N, 8, S/2, S/2)
                       -> Conv2d 3x3, ReLU, MaxPool2d 2   (N, 16, S/4, S/4)
                       -> Flatten, Linear, ReLU           (N, 32)
                       -> Linear                          (N, classes)

    The convolutions are padded by 1, so that only the pooling makes the image smaller. `image_size` S is the images'
    height and width, 4 or above; a rest that the pooling cannot fill is dropped. Nothing of the backward is written
    here: it is what Sequential and the layers give when they are chained. The state-dict keys are "0.weight", ...

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998.
    """

    def __init__(
        self,
        image_size: int = 8,
        classes: int = 10,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if image_size < 4:
            raise ValueError(f"ConvNet pools twice by 2, so image_size is 4 or above, not {image_size}")
        first, second = FEATURES
        super().__init__(
            Conv2d(1, first, 3, padding=1, dtype=dtype, generator=generator),
            ReLU(),
            MaxPool2d(2),
            Conv2d(first, second, 3, padding=1, dtype=dtype, generator=generator),
            ReLU(),
            MaxPool2d(2),
            Flatten(),
            Linear(second * (image_size // 4) ** 2, HIDDEN, dtype=dtype, generator=generator),
            ReLU(),
            Linear(HIDDEN, classes, dtype=dtype, generator=generator),
        )
