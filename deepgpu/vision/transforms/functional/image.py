"""What an image is: a Pillow image, or a tensor (..., C, H, W) with any leading dimensions."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

from deepgpu.errors import takes
from deepgpu.tensor import Tensor


def is_pil(img: Any) -> bool:
    """Whether ``img`` is a Pillow image; without importing Pillow, whose image it cannot be if nobody did."""
    return "PIL.Image" in sys.modules and isinstance(img, sys.modules["PIL.Image"].Image)


def pillow(part: str = "Image") -> Any:
    """A module of Pillow, which is not imported before it is needed.

    Raises
    ------
    ImportError
        If Pillow is not installed; says how to install it.
    """
    try:
        return importlib.import_module(f"PIL.{part}")
    except ImportError:
        raise ImportError('images need Pillow, which is not installed: pip install "deepgpu[vision]"') from None


def is_image(img: Any, op: str) -> bool:
    """Whether ``img`` is a Pillow image (True) or a tensor (False).

    Raises
    ------
    TypeError
        If it is neither, or the tensor has fewer than two dimensions.
    """
    if is_pil(img):
        return True
    if not isinstance(img, Tensor):
        raise TypeError(takes(op, "img", "a PIL image or a tensor", type(img).__name__))
    if img.ndim < 2:
        raise TypeError(takes(op, "img", "a tensor (..., H, W)", f"shape {tuple(img.shape)}"))
    return False


def get_dimensions(img: Any) -> list[int]:
    """``[channels, height, width]``; a tensor of two dimensions has one channel."""
    if is_image(img, "get_dimensions"):
        width, height = img.size
        return [len(img.getbands()), height, width]
    return [1 if img.ndim == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]


def get_image_size(img: Any) -> list[int]:
    """``[width, height]``."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """The number of channels."""
    return get_dimensions(img)[0]


def size_pair(op: str, size: Any) -> tuple[int, int]:
    """(height, width) from an int, for a square, or a sequence of one or two ints."""
    values = (size,) if isinstance(size, (int, np.integer)) else tuple(size)
    if len(values) not in (1, 2):
        raise ValueError(takes(op, "size", "one or two ints (height, width)", size))
    return int(values[0]), int(values[-1])
