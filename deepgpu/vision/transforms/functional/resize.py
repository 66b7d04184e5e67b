"""Images in another size.

Tensors are resized by a product with a matrix of weights from each side. With ``antialias``, the weights are those of
Pillow: the filter is as wide as the pixels that one new pixel covers. Without, an image made smaller is only looked at
where the new pixels' centres fall (PyTorch's ``interpolate`` with ``align_corners=False``).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.creation import as_tensor, from_numpy
from deepgpu.ops.matmul import matmul
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms.functional.image import get_dimensions, is_image, size_pair
from deepgpu.vision.transforms.functional.window import crop
from deepgpu.vision.transforms.interpolation import InterpolationMode, as_mode, for_tensors, pillow_number

_NEAREST = (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT)
_MODES = (*_NEAREST, InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)


def resized_size(height: int, width: int, size: Any, max_size: int | None = None) -> tuple[int, int]:
    """The (height, width) that an image gets.

    Parameters
    ----------
    height, width
        What it has.
    size
        Both; or one int for the shorter edge, and the other in proportion.
    max_size
        The most that the longer edge may get, where ``size`` is one int.
    """
    if not isinstance(size, (int, np.integer)) and len(size) == 2:
        if max_size is not None:
            raise ValueError(f"`resize`: `max_size` takes effect only where `size` is one int, but got {size}")
        return size_pair("resize", size)
    short = size_pair("resize", size)[0]
    long = int(short * max(height, width) / min(height, width))
    if max_size is not None:
        if max_size <= short:
            raise ValueError(takes("resize", "max_size", f"more than `size` = {short}", max_size))
        if long > max_size:
            short, long = int(max_size * short / long), max_size
    return (long, short) if height > width else (short, long)


def resize(
    img: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """An image in another size.

    Parameters
    ----------
    img
        A Pillow image or a tensor (..., H, W).
    size
        (height, width); or one int for the shorter edge, and the other in proportion.
    interpolation
        An :class:`InterpolationMode`; for tensors NEAREST, NEAREST_EXACT, BILINEAR or BICUBIC.
    max_size
        The most that the longer edge may get, where ``size`` is one int.
    antialias
        Average over what a new pixel covers where an image gets smaller, in BILINEAR and BICUBIC. Pillow always does.
    """
    mode = as_mode(interpolation, "resize")
    pil = is_image(img, "resize")
    _, h, w = get_dimensions(img)
    height, width = resized_size(h, w, size, max_size)
    if (h, w) == (height, width):
        return img
    if pil:
        return img.resize((width, height), pillow_number(mode))
    for_tensors(mode, "resize", _MODES)
    if mode in _NEAREST:
        rows, columns = _nearest(h, height, mode), _nearest(w, width, mode)
        return img[..., as_tensor(rows[:, None], device=img.device), as_tensor(columns, device=img.device)]
    dtype = img.dtype if img.dtype.is_floating_point else dtypes.float32
    left, right = (
        from_numpy(_weights(old, new, mode, bool(antialias)).astype(dtype.numpy)).to(img.device)
        for old, new in ((h, height), (w, width))
    )
    resized = matmul(left, matmul(img.to(dtype), right.t()))
    return resized if img.dtype is dtype else _as_integers(resized, img.dtype)


def _as_integers(image: Tensor, dtype: dtypes.dtype) -> Tensor:
    """Rounded; BICUBIC reaches beyond the range."""
    info = dtypes.iinfo(dtype)
    return image.round().clamp(info.min, info.max).to(dtype)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A window of an image in another size; see :func:`crop` and :func:`resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def _nearest(old: int, new: int, mode: InterpolationMode) -> np.ndarray:
    """Which old pixel each new one is: where its corner lies, or its centre."""
    at = np.arange(new) + (0.5 if mode is InterpolationMode.NEAREST_EXACT else 0.0)
    return np.minimum((at * (old / new)).astype(np.int64), old - 1)


@functools.lru_cache(maxsize=32)
def _weights(old: int, new: int, mode: InterpolationMode, antialias: bool) -> np.ndarray:
    """The matrix (new, old) that resizes one dimension."""
    scale = old / new
    stretch = max(scale, 1.0) if antialias else 1.0
    reach, curve = (1.0, _triangle) if mode is InterpolationMode.BILINEAR else (2.0, _cubic)
    centre = (np.arange(new)[:, None] + 0.5) * scale
    if antialias:
        pixels = np.arange(old)[None] + 0.5
        # what Pillow counts as within reach of the filter
        first = np.maximum(np.floor(centre - reach * stretch + 0.5), 0)
        last = np.minimum(np.floor(centre + reach * stretch + 0.5), old)
        weights = np.where((pixels > first) & (pixels < last), curve((pixels - centre) / stretch, -0.5), 0.0)
        return weights / weights.sum(1, keepdims=True)
    # pixels beyond the edge are the edge's
    weights = np.zeros((new, old))
    at = np.maximum(centre - 0.5, 0) if mode is InterpolationMode.BILINEAR else centre - 0.5
    for offset in range(-math.ceil(reach) + 1, math.ceil(reach) + 1):
        pixel = np.floor(at) + offset
        index = np.clip(pixel, 0, old - 1).astype(np.int64)
        np.add.at(weights, (np.arange(new)[:, None], index), curve(pixel - at, -0.75))
    return weights


def _triangle(x: np.ndarray, _: float) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Keys, "Cubic convolution interpolation for digital image processing", 1981, with his parameter ``a``."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
