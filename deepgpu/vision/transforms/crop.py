"""Windows of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.errors import takes
from deepgpu.ops.creation import from_numpy
from deepgpu.random import default_generator
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms import functional as F
from deepgpu.vision.transforms.base import RandomTransform, Transform, integer, uniform
from deepgpu.vision.transforms.functional.image import size_pair
from deepgpu.vision.transforms.functional.window import PADDING_MODES, four_sides
from deepgpu.vision.transforms.interpolation import InterpolationMode, as_mode


class Pad(Transform):
    """Enlarge images on their sides.

    Parameters
    ----------
    padding
        Pixels on all sides; or (left and right, top and bottom); or (left, top, right, bottom).
    fill
        What the new pixels are in mode "constant": a number, or one for each channel.
    padding_mode
        "constant", "edge", "reflect" or "symmetric".
    """

    exact_on_bytes = True

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        four_sides(padding)
        if padding_mode not in PADDING_MODES:
            raise ValueError(takes("Pad", "padding_mode", f"one of {', '.join(PADDING_MODES)}", repr(padding_mode)))
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def forward(self, img: Any) -> Any:
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode}"


class CenterCrop(Transform):
    """The middle of images.

    Parameters
    ----------
    size
        Height and width, or one int for a square. Smaller images are padded with 0.
    """

    exact_on_bytes = True

    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = size_pair("CenterCrop", size)

    def forward(self, img: Any) -> Any:
        return F.center_crop(img, self.size)

    def extra_repr(self) -> str:
        return f"size={self.size}"


class RandomCrop(RandomTransform):
    """A window of images at a random place.

    Parameters
    ----------
    size
        Height and width, or one int for a square.
    padding
        Pad the image first: pixels on all sides; or (left and right, top and bottom); or (left, top, right, bottom).
    pad_if_needed
        Pad images that are smaller than the window.
    fill, padding_mode
        How to pad, see :class:`Pad`.
    """

    exact_on_bytes = True

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = size_pair("RandomCrop", size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Draw a window: (top, left, height, width)."""
        _, h, w = F.get_dimensions(img)
        height, width = output_size
        if h < height or w < width:
            raise ValueError(
                f"`RandomCrop`: required crop size {(height, width)} is larger than input image size {(h, w)}; "
                "pad it: `pad_if_needed=True`"
            )
        return integer(0, h - height + 1), integer(0, w - width + 1), height, width

    def _padded(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            _, h, w = F.get_dimensions(img)
            missing = max(self.size[1] - w, 0), max(self.size[0] - h, 0)
            if any(missing):
                img = F.pad(img, missing, self.fill, self.padding_mode)
        return img

    def transform_image(self, img: Any) -> Any:
        img = self._padded(img)
        return F.crop(img, *self.get_params(img, self.size))

    def transform_batch(self, images: Tensor) -> Tensor:
        images = self._padded(images)
        n, _, h, w = images.shape
        self.get_params(images, self.size)
        stream, (height, width) = default_generator.numpy, self.size
        top, left = stream.integers(0, h - height + 1, n), stream.integers(0, w - width + 1, n)
        windows = np.lib.stride_tricks.sliding_window_view(images.cpu().numpy(), self.size, axis=(2, 3))
        return from_numpy(windows[np.arange(n), :, top, left]).to(images.device)

    def extra_repr(self) -> str:
        return f"size={self.size}, padding={self.padding}"


class RandomResizedCrop(RandomTransform):
    """A window of random size, shape and place, resized.

    Szegedy et al., "Going Deeper with Convolutions", https://arxiv.org/abs/1409.4842, section 6.

    Parameters
    ----------
    size
        Height and width of the result, or one int for a square.
    scale
        The least and largest area of the window, as a part of the image's.
    ratio
        The least and largest ratio of width to height.
    interpolation, antialias
        How to resize, see :class:`Resize`.
    """

    def __init__(
        self,
        size: Any,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not 0 <= scale[0] <= scale[1]:
            raise ValueError(takes("RandomResizedCrop", "scale", "0 <= least <= largest", scale))
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(takes("RandomResizedCrop", "ratio", "0 < least <= largest", ratio))
        self.size = size_pair("RandomResizedCrop", size)
        self.scale = scale
        self.ratio = ratio
        self.interpolation = as_mode(interpolation, "RandomResizedCrop")
        self.antialias = antialias

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """Draw a window: (top, left, height, width).

        After ten windows that do not fit, the largest in the middle that has an allowed ratio.
        """
        _, height, width = F.get_dimensions(img)
        for _ in range(10):
            area = height * width * uniform(scale[0], scale[1])
            aspect = math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                return integer(0, height - h + 1), integer(0, width - w + 1), h, w
        aspect = min(max(width / height, ratio[0]), ratio[1])
        w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
        return (height - h) // 2, (width - w) // 2, h, w

    def transform_image(self, img: Any) -> Any:
        window = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *window, self.size, self.interpolation, self.antialias)

    def extra_repr(self) -> str:
        scale, ratio = (tuple(round(v, 4) for v in limits) for limits in (self.scale, self.ratio))
        interpolation = f"interpolation={self.interpolation.value}, antialias={self.antialias}"
        return f"size={self.size}, scale={scale}, ratio={ratio}, {interpolation}"


class FiveCrop(Transform):
    """The four corners and the centre, as a tuple.

    Parameters
    ----------
    size
        Height and width of each, or one int for squares.
    """

    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = size_pair("FiveCrop", size)

    def forward(self, img: Any) -> tuple[Any, ...]:
        return F.five_crop(img, self.size)

    def of_batch(self, kind: str) -> str | None:
        return None

    def extra_repr(self) -> str:
        return f"size={self.size}"


class TenCrop(Transform):
    """The four corners and the centre of the image and of the flipped image, as a tuple.

    Parameters
    ----------
    size
        Height and width of each, or one int for squares.
    vertical_flip
        Flip top and bottom rather than left and right.
    """

    def __init__(self, size: Any, vertical_flip: bool = False) -> None:
        super().__init__()
        self.size = size_pair("TenCrop", size)
        self.vertical_flip = vertical_flip

    def forward(self, img: Any) -> tuple[Any, ...]:
        return F.ten_crop(img, self.size, self.vertical_flip)

    def of_batch(self, kind: str) -> str | None:
        return None

    def extra_repr(self) -> str:
        return f"size={self.size}, vertical_flip={self.vertical_flip}"
