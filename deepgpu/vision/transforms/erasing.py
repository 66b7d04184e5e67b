"""Parts of images taken away, so that a network learns to do without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.errors import takes
from deepgpu.ops.creation import from_numpy
from deepgpu.ops.selection import masked_fill
from deepgpu.random import default_generator
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms import functional as F
from deepgpu.vision.transforms.base import RandomTransform, chance, integer, uniform


class RandomErasing(RandomTransform):
    """A rectangle at a random place is replaced, in tensors.

    Zhong et al., "Random Erasing Data Augmentation", https://arxiv.org/abs/1708.04896.

    Parameters
    ----------
    p
        The probability.
    scale
        The least and largest area, as a part of the image's.
    ratio
        The least and largest ratio of height to width.
    value
        What is put there: a number, one for each channel, or "random" for a standard normal number in each pixel.
    inplace
        Overwrite the tensor.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(value, str) and value != "random":
            raise ValueError(takes("RandomErasing", "value", 'a number, a sequence or "random"', repr(value)))
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError(takes("RandomErasing", "scale", "0 <= least <= largest <= 1", scale))
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(takes("RandomErasing", "ratio", "0 < least <= largest", ratio))
        if not 0 <= p <= 1:
            raise ValueError(takes("RandomErasing", "p", "a probability", p))
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(
        img: Tensor, scale: Sequence[float], ratio: Sequence[float], value: Sequence[float] | None = None
    ) -> tuple[int, int, int, int, Tensor]:
        """Draw a rectangle and what to put there: (top, left, height, width, values); ``value`` None draws those too.

        After ten rectangles that do not fit, the whole image with its own values: nothing is erased.
        """
        channels, height, width = F.get_dimensions(img)
        for _ in range(10):
            area = height * width * uniform(scale[0], scale[1])
            aspect = math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (h < height and w < width):
                continue
            values: np.ndarray
            if value is None:
                values = default_generator.numpy.standard_normal((channels, h, w), dtype=np.float32)
            else:
                values = np.asarray(value, np.float64).reshape(-1, 1, 1)
            top, left = integer(0, height - h + 1), integer(0, width - w + 1)
            return top, left, h, w, from_numpy(values).to(device=img.device, dtype=img.dtype)
        return 0, 0, height, width, img

    def transform_image(self, img: Any) -> Tensor:
        if not isinstance(img, Tensor):
            hint = "; put it behind `ToTensor()`"
            raise TypeError(takes("RandomErasing", "img", "a tensor", type(img).__name__) + hint)
        if not chance(self.p):
            return img
        value = None if isinstance(self.value, str) else np.atleast_1d(self.value).tolist()
        if value is not None and len(value) not in (1, img.shape[-3]):
            expected = f"1 or {img.shape[-3]} numbers, as many as channels"
            raise ValueError(takes("RandomErasing", "value", expected, self.value))
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, value), inplace=self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, inplace={self.inplace}"


class Cutout(RandomTransform):
    """A square at a random place becomes 0, in tensors; it may reach beyond the image's edge.

    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
    https://arxiv.org/abs/1708.04552: the centre is uniform over all pixels. torchvision has no such transform.

    Parameters
    ----------
    size
        Height and width of the square in pixels.
    fill
        What it becomes.
    """

    def __init__(self, size: int, fill: float = 0) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(takes("Cutout", "size", "a number of pixels >= 1", size))
        self.size = size
        self.fill = fill

    def transform_image(self, img: Any) -> Tensor:
        if not isinstance(img, Tensor):
            hint = "; put it behind `ToTensor()`"
            raise TypeError(takes("Cutout", "img", "a tensor", type(img).__name__) + hint)
        return self.transform_batch(img[None])[0]

    def transform_batch(self, images: Tensor) -> Tensor:
        n, _, height, width = images.shape
        rows, columns = self._span(n, height), self._span(n, width)
        hole = (rows[:, :, None] & columns[:, None, :])[:, None]
        return masked_fill(images, from_numpy(hole).to(images.device), self.fill)

    def _span(self, n: int, pixels: int) -> np.ndarray:
        """Of ``n`` images, which of the rows (or columns) the square covers: a mask (n, pixels)."""
        first = default_generator.numpy.integers(0, pixels, (n, 1)) - self.size // 2
        at = np.arange(pixels)
        return (at >= first) & (at < first + self.size)

    def extra_repr(self) -> str:
        return f"size={self.size}"
