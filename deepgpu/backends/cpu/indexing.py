"""Sums by index on the CPU: NumPy's unbuffered additions take some ten times as long."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu.parts import parts

LARGE = 1 << 9
"""Values from which on a kernel is worth its call."""

WORTH, MOST = 1 << 14, 8
"""Values that are worth a task of their own, and how many tasks look at all of an index."""

KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import indexing

    return indexing


def add_at(out: Array, index: Any, values: Array) -> bool:
    """Add values at integer arrays for the first dimension or for all; False, and nothing done, at another index."""
    if not isinstance(index, tuple) or out.dtype not in KERNEL_DTYPES or not out.flags.c_contiguous or not out.size:
        return False
    if len(index) not in (1, out.ndim) or not all(_is_inside(i, n) for i, n in zip(index, out.shape, strict=False)):
        return False
    places = np.broadcast_arrays(*index)
    shape, count = places[0].shape + out.shape[len(index) :], places[0].size
    size = math.prod(out.shape[len(index) :])
    if count * size < LARGE or np.broadcast_shapes(values.shape, shape) != shape:
        return False
    added = np.ascontiguousarray(np.broadcast_to(values, shape), out.dtype)
    if len(index) == out.ndim:
        flat = np.ravel_multi_index(places, out.shape).reshape(-1)
        _kernels().add_elements(flat, added.reshape(-1), out.reshape(-1))
    else:
        tasks = parts(count * size, WORTH, MOST)
        rows = np.ascontiguousarray(places[0], np.int64).reshape(-1)
        _kernels().add_rows(tasks, rows, added.reshape(count, size), out.reshape(len(out), size), tasks)
    return True


def _is_inside(index: Any, size: int) -> bool:
    """Whether it is an array of places that are not counted from the end."""
    if not isinstance(index, np.ndarray) or index.dtype.kind not in "iu" or not index.size:
        return False
    return bool(index.min() >= 0 and index.max() < size)
