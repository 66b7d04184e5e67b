"""PReLU on the CPU, of planar and of channels-last images as they are; the results lie as the input does."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.flat import flat
from deepgpu.backends.cpu.parts import folded, parts
from deepgpu.backends.cpu.transpose import contiguous
from deepgpu.backends.layout import channels_last_view, image_of_pixels

WORTH = 1 << 14
"""Elements that are worth a task of their own."""

WIDTH = 256
"""Elements that a row should have; pixels of fewer channels are folded together."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import prelu

    return prelu


def prelu(x: Array, weight: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.prelu`; for float32 with elements."""
    tasks = parts(x.size, WORTH)
    if _has_rows(x, weight):
        rows = _rows(x)
        y = memory.empty(rows.shape, np.float32)
        _kernels().channels_last(tasks, rows, np.tile(weight, rows.shape[1] // len(weight)), y, tasks)
        return image_of_pixels(y, x.shape)
    y = _planar_like(x, weight)
    _kernels().planar(tasks, flat(x, y), np.ascontiguousarray(weight), _inner(x, weight), y.ravel("K"), tasks)
    return y


def prelu_backward(gy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.prelu_backward`; for float32 with elements."""
    tasks = parts(x.size, WORTH)
    if _has_rows(x, weight):
        rows = _rows(x)
        width = rows.shape[1]
        gx, sums = memory.empty(rows.shape, np.float32), np.empty((tasks, width))
        weights = np.tile(weight, width // len(weight))
        some = np.empty(sums.shape, np.float32)
        _kernels().channels_last_backward(tasks, _rows(gy), rows, weights, gx, some, sums, tasks)
        return image_of_pixels(gx, x.shape), sums.reshape(-1, len(weight)).sum(0).astype(np.float32)
    gx, sums = _planar_like(x, weight), np.empty((tasks, len(weight)))
    arguments = flat(gy, gx), flat(x, gx), np.ascontiguousarray(weight), _inner(x, weight)
    _kernels().planar_backward(tasks, *arguments, gx.ravel("K"), sums, tasks)
    return gx, sums.sum(0).astype(np.float32)


def _has_rows(x: Array, weight: Array) -> bool:
    """Whether neighbours in memory have different weights."""
    return len(weight) > 1 and channels_last_view(x).flags.c_contiguous


def _rows(x: Array) -> Array:
    """``(pixels, channels)``, some pixels a row where there are few channels."""
    return contiguous(channels_last_view(x)).reshape(folded(x.size // x.shape[1], x.shape[1], WIDTH))


def _planar_like(x: Array, weight: Array) -> Array:
    """For results where neighbours have one weight: in C order, or if all have it in the order of `x`."""
    return memory.empty(x.shape, np.float32) if len(weight) > 1 else memory.empty_like(x)


def _inner(x: Array, weight: Array) -> int:
    """Neighbours of one weight."""
    return math.prod(x.shape[2:]) if len(weight) > 1 else x.size
