"""Copies in C order on the CPU: where memory has the dimensions in another order, by all threads and in squares."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import broadcast, copy, memory
from deepgpu.backends.cpu.parts import parts

WORTH = 1 << 13
"""Elements that are worth a task of their own."""

LARGE = 1 << 12
"""Elements from which on the kernel is faster than NumPy."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import transpose

    return transpose


def contiguous(x: Array, dtype: Any = None) -> Array:
    """The array in C order, and in this dtype if it is given; itself if it is that already."""
    if x.size < LARGE or x.flags.c_contiguous or x.dtype != np.float32 or dtype not in (None, np.float32):
        return np.ascontiguousarray(x, dtype)
    y = broadcast.repeated(x) if 0 in x.strides else None
    if y is not None:
        return y
    y = memory.empty(x.shape, np.float32)
    if not _kernels().transpose(x, y, parts(x.size, WORTH)):
        copy.assign(y, x)
    return y


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """A view of this shape where strides allow it, else a copy."""
    if x.size < LARGE or x.flags.c_contiguous:
        return x.reshape(shape)
    try:
        return x.reshape(shape, copy=False)
    except ValueError:
        return contiguous(x).reshape(shape)
