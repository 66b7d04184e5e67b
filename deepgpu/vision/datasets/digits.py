"""Handwritten digits that come with the package: for first steps and tests without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from deepgpu.ops.creation import from_numpy
from deepgpu.vision.datasets.idx import read_idx
from deepgpu.vision.datasets.vision import ImagesInMemory

_FOLDER = Path(__file__).parent / "data"
_TRAINING = 1437  # of 1797: 80 %


class Digits(ImagesInMemory):
    """1797 handwritten digits of 8 x 8 grey pixels: the first 1437 to train on, the last 360 to test.

    Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
    https://doi.org/10.24432/C50P49; CC BY 4.0. The same samples in the same order as scikit-learn's ``load_digits``,
    whose values 0 to 16 are spread over 0 to 255 here.

    Parameters
    ----------
    train
        The training images, else the test images.
    transform
        A function of the Pillow image.
    target_transform
        A function of the class index.

    Attributes
    ----------
    data
        A uint8 tensor (N, 8, 8).
    targets
        An int64 tensor (N,).
    """

    classes = tuple("0123456789")

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.train = train
        part = slice(None, _TRAINING) if train else slice(_TRAINING, None)
        pixels = read_idx(_FOLDER / "digits-images-idx3-ubyte.gz")[part]
        labels = read_idx(_FOLDER / "digits-labels-idx1-ubyte.gz")[part]
        self.data = from_numpy((pixels.astype(np.uint16) * 255 // 16).astype(np.uint8))
        self.targets = from_numpy(labels.astype(np.int64))

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"
