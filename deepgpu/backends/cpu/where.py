"""A choice by a mask on the CPU: NumPy's branches at each element, which a random mask makes slow."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import broadcast
from deepgpu.backends.cpu.flat import each_element, each_triple
from deepgpu.backends.cpu.transpose import contiguous
from deepgpu.backends.layout import is_dense

WORTH = 1 << 14
"""Elements that are worth a task of their own."""

LARGE = 1 << 12
"""Elements from which on a kernel is worth its call."""

KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import where

    return where


def where(mask: Array, a: Array, b: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.where`."""
    a, b = (contiguous(v) if 0 in v.strides else v for v in (a, b))  # gradients of sums are expanded
    x = b if a.ndim == 0 else a
    if a.dtype != b.dtype or x.dtype not in KERNEL_DTYPES or x.size < LARGE or not is_dense(x):
        return np.where(mask, a, b)
    if mask.shape != x.shape:
        if np.broadcast_shapes(mask.shape, x.shape) != x.shape:
            return np.where(mask, a, b)
        expanded = np.broadcast_to(mask, x.shape)
        repeated = broadcast.repeated(expanded) if x.flags.c_contiguous else None
        mask = expanded if repeated is None else repeated
    if b.ndim == 0:
        return each_element(_kernels().keep, WORTH, (b[()],), a, mask)
    if a.ndim == 0:
        return each_element(_kernels().fill, WORTH, (a[()],), b, mask)
    if a.shape != b.shape:
        return np.where(mask, a, b)
    return each_triple(_kernels().where, WORTH, mask, a, b)
