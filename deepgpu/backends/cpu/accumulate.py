"""Sums of gradients on the CPU."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.layout import is_dense, same_layout

WORTH = 1 << 15
"""Elements that are worth a task of their own; below two tasks NumPy's loop is as fast."""

KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import accumulate

    return accumulate


def accumulate(total: Array, other: Array) -> None:
    """See :meth:`deepgpu.backends.base.Backend.accumulate`."""
    fits = total.dtype == other.dtype and total.dtype in KERNEL_DTYPES
    if total.size < 2 * WORTH or not fits or not is_dense(total) or not same_layout(total, other):
        total += other
        return
    tasks = parts(total.size, WORTH)
    _kernels().accumulate(tasks, total.ravel("K"), other.ravel("K"), tasks)
