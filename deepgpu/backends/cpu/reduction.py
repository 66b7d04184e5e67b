"""Sums on the CPU: NumPy's, but for those over everything besides the axis that is contiguous in memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu.parts import MOST, parts

WORTH = 1 << 14
"""Elements that are worth a task of their own; below two tasks NumPy's loop is as fast."""

WIDTH = 64
"""Elements that a row should have; shorter ones are folded together."""

KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import reduction

    return reduction


def sum(x: Array, axes: Sequence[int], keepdims: bool) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.sum`; None where NumPy is to do it."""
    if x.size < 2 * WORTH or len(axes) != x.ndim - 1 or x.dtype not in KERNEL_DTYPES:
        return None
    axis = next(i for i in range(x.ndim) if i not in axes)
    pixels = x.transpose(*axes, axis)
    if not pixels.flags.c_contiguous:
        return None
    channels = x.shape[axis]
    count, fold = x.size // channels, 1
    while count % 2 == 0 and fold * channels < WIDTH:
        count, fold = count // 2, fold * 2
    rows = pixels.reshape(count, fold * channels)
    tasks = parts(x.size, WORTH, min(count, MOST))
    sums = np.empty((tasks, rows.shape[1]))
    _kernels().column_sums(tasks, rows, sums, np.empty(sums.shape, x.dtype))
    total = sums.reshape(-1, channels).sum(axis=0).astype(x.dtype)
    return total.reshape([channels if i == axis else 1 for i in range(x.ndim)]) if keepdims else total
