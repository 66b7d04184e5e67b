"""Sums on the CPU: NumPy's, but for large arrays over everything, over the last axes, or over all axes but the last."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu.parts import MOST, parts
from deepgpu.backends.layout import is_dense

WORTH = 1 << 14
"""Elements that are worth a task of their own; below two tasks NumPy's loop is as fast."""

WIDTH = 64
"""Elements that a row should have; shorter ones are folded together."""

LEAST = 16
"""Rows that a task should have: its sums of columns are in float64, and are to be added to those of the others."""

KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import reduction

    return reduction


def sum(x: Array, axes: Sequence[int], keepdims: bool) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.sum`; None where NumPy is to do it."""
    if x.size < 2 * WORTH or x.dtype not in KERNEL_DTYPES:
        return None
    if len(axes) == x.ndim:
        total = _of_everything(x)
    elif x.flags.c_contiguous and sorted(axes) == list(range(x.ndim - len(axes), x.ndim)):
        total = _of_rows(x.reshape(math.prod(x.shape[: x.ndim - len(axes)]), -1))
    elif len(axes) == x.ndim - 1:
        total = _of_columns(x, axes)
    else:
        return None
    if total is None:
        return None
    return total.reshape([1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes])


def _of_everything(x: Array) -> Array | None:
    if not is_dense(x):
        return None
    sums = np.empty(parts(x.size, WORTH))
    _kernels().run_sums(len(sums), x.ravel("K"), sums)
    return sums.sum(keepdims=True).astype(x.dtype)


def _of_rows(rows: Array) -> Array:
    sums, tasks = np.empty(len(rows)), parts(rows.size, WORTH, min(len(rows), MOST))
    _kernels().row_sums(tasks, rows, sums, tasks)
    return sums.astype(rows.dtype)


def _of_columns(x: Array, axes: Sequence[int]) -> Array | None:
    axis = next(i for i in range(x.ndim) if i not in axes)
    pixels = x.transpose(*axes, axis)
    if not pixels.flags.c_contiguous:
        return None
    channels = x.shape[axis]
    count, fold = x.size // channels, 1
    while count % 2 == 0 and fold * channels < WIDTH:
        count, fold = count // 2, fold * 2
    rows = pixels.reshape(count, fold * channels)
    tasks = parts(x.size, WORTH, min(-(-count // LEAST), MOST))
    sums = np.empty((tasks, rows.shape[1]))
    _kernels().column_sums(tasks, rows, sums, np.empty(sums.shape, x.dtype))
    return sums.reshape(-1, channels).sum(axis=0).astype(x.dtype)
