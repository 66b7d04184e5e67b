"""Sums on the CPU, of large dense arrays by all threads, whichever axes they go over; NumPy's of others."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu.parts import MOST, folded, parts
from deepgpu.backends.layout import is_dense

WORTH = 1 << 14
"""Elements that are worth a task of their own; below two tasks NumPy's loop is as fast."""

WIDTH = 64
"""Elements that a row should have; shorter ones are folded together."""

LEAST = 16
"""Rows that a task should have: its sums of columns are in float64, and are to be added to those of the others."""

STRIP, FEW = 128, 8
"""Columns that are one task if there are enough for so many."""

KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import reduction

    return reduction


def sum(x: Array, axes: Sequence[int], keepdims: bool) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.sum`; None where NumPy is to do it."""
    if x.size < 2 * WORTH or x.dtype not in KERNEL_DTYPES or not is_dense(x):
        return None
    if len(axes) == x.ndim:
        total = _of_everything(x)
    else:
        total = _of_some(x, axes)
    return total.reshape([1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes])


def _of_some(x: Array, axes: Sequence[int]) -> Array:
    """In the order of memory, neighbouring axes that are summed over are one, and so are those that stay."""
    order = sorted((d for d in range(x.ndim) if x.shape[d] > 1), key=lambda d: -x.strides[d])
    sizes: list[int] = []
    for before, d in zip([None, *order], order, strict=False):
        if before is not None and (before in axes) == (d in axes):
            sizes[-1] *= x.shape[d]
        else:
            sizes.append(x.shape[d])
    memory_order = x.transpose(*order, *[d for d in range(x.ndim) if d not in order]).reshape(sizes)
    if order[-1] in axes:
        totals = _of_rows(memory_order.reshape(-1, sizes[-1])).reshape(sizes[:-1])
        summed = range(totals.ndim - 2, -1, -2)
    elif len(sizes) == 1:
        totals, summed = memory_order, range(0)
    else:
        *outer, rows, width = sizes
        totals = _of_columns(memory_order.reshape(-1, rows, width)).reshape(*outer, width)
        summed = range(totals.ndim - 3, -1, -2)
    totals = totals.sum(axis=tuple(summed)) if summed else totals
    kept = [d for d in order if d not in axes]
    return totals.astype(x.dtype).reshape([x.shape[d] for d in kept]).transpose(np.argsort(kept))


def _of_everything(x: Array) -> Array:
    sums = np.empty(parts(x.size, WORTH))
    _kernels().run_sums(len(sums), x.ravel("K"), sums)
    return sums.sum(keepdims=True).astype(x.dtype)


def _of_rows(rows: Array) -> Array:
    """Sums, float64, over the last axis of ``(rows, width)``."""
    sums, tasks = np.empty(len(rows)), parts(rows.size, WORTH, min(len(rows), MOST))
    _kernels().row_sums(tasks, rows, sums, tasks)
    return sums


def _of_columns(x: Array) -> Array:
    """Sums, float64, over the middle axis of ``(outer, rows, width)``."""
    outer, _, width = x.shape
    if outer * width >= FEW * STRIP:
        sums, strips = np.empty((outer, width)), -(-width // STRIP)
        _kernels().middle_sums(outer * strips, x, sums, STRIP)
        return sums
    return np.stack([_of_few_columns(one) for one in x])


def _of_few_columns(x: Array) -> Array:
    """The same of one ``(rows, width)``, whose rows are split among the tasks, short ones folded together."""
    width = x.shape[1]
    rows = x.reshape(folded(len(x), width, WIDTH))
    tasks = parts(x.size, WORTH, min(-(-len(rows) // LEAST), MOST))
    sums = np.empty((tasks, rows.shape[1]))
    _kernels().column_sums(tasks, rows, sums, np.empty(sums.shape, x.dtype))
    return sums.reshape(-1, width).sum(axis=0)
