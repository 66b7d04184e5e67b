"""How a backend lays images out in memory; the same for every array namespace ``xp``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array


def channels_last_view(x: Array) -> Array:
    """The view ``(N, spatial..., C)`` of an array ``(N, C, spatial...)``."""
    return x.transpose(0, *range(2, x.ndim), 1)


def channels_first_view(x: Array) -> Array:
    """The view ``(N, C, spatial...)`` of an array ``(N, spatial..., C)``."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def image_of_pixels(pixels: Array, shape: Sequence[int]) -> Array:
    """The view ``(N, C, spatial...)``, of this shape, of an array with the memory of ``(N, spatial..., C)``."""
    n, c, *spatial = shape
    return channels_first_view(pixels.reshape(n, *spatial, c))


def channels_last(xp: Any, x: Array) -> Array:
    """`x` itself if its memory is channels-last, else a copy whose memory is; the logical shape stays."""
    return channels_first_view(xp.ascontiguousarray(channels_last_view(x)))


def empty_channels_last(xp: Any, shape: Sequence[int], dtype: Any) -> Array:
    """An uninitialised array of logical shape ``(N, C, spatial...)`` on ``(N, spatial..., C)``-contiguous memory."""
    n, c, *spatial = shape
    return channels_first_view(xp.empty((n, *spatial, c), dtype))


def memory_order(x: Array) -> list[int]:
    """The dimensions from the outermost in memory to the innermost; one that was expanded is an outer one."""
    return sorted(range(x.ndim), key=lambda d: -abs(x.strides[d]) if x.strides[d] else -x.size * x.itemsize)


def merged(sizes: Sequence[int], *strides: Sequence[int]) -> list[list[int]]:
    """``[size, stride, ...]`` of the dimensions above size 1; what is one dimension by all strides counts as one."""
    found: list[list[int]] = []
    for size, *steps in zip(sizes, *strides, strict=True):
        if size == 1:
            continue
        if found and found[-1][1:] == [size * step for step in steps]:
            found[-1] = [found[-1][0] * size, *steps]
        else:
            found.append([size, *steps])
    return found


def places(dimensions: Sequence[Sequence[int]]) -> np.ndarray:
    """Where each element of the dimensions ``(size, stride)`` lies, in their order."""
    found = np.zeros(1, np.int64)
    for size, stride in dimensions:
        found = np.add.outer(found, np.arange(size) * stride).reshape(-1)
    return found


def is_dense(x: Array) -> bool:
    """Whether the elements lie end to end in memory, in whatever order of axes."""
    if x.flags.c_contiguous:
        return True
    expected = x.itemsize
    for stride, size in sorted((stride, size) for stride, size in zip(x.strides, x.shape, strict=True) if size > 1):
        if stride != expected:
            return False
        expected *= size
    return True


def same_layout(x: Array, y: Array) -> bool:
    """Whether equal places in memory hold equal indices of two arrays of one shape."""
    if x.strides == y.strides:
        return True
    return all(s == t or size == 1 for s, t, size in zip(x.strides, y.strides, x.shape, strict=True))
