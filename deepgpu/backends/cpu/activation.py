"""Activations on the CPU, over flat memory: the layout of what comes in is the layout of what goes out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import activation as composed
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.layout import same_layout

WORTH = 1 << 15
"""Elements that are worth a task of their own."""


KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import activation

    return activation


def relu(x: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.relu`."""
    return composed.relu(np, x) if x.dtype not in KERNEL_DTYPES else _clamp(x, 0, np.nan)


def relu_backward(gy: Array, y: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.relu_backward`."""
    if y.dtype not in KERNEL_DTYPES or gy.dtype != y.dtype:
        return composed.relu_backward(np, gy, y)
    return _clamp_backward(gy, y, 0, np.nan)


def hardtanh(x: Array, low: float, high: float) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.hardtanh`."""
    return composed.hardtanh(np, x, low, high) if x.dtype not in KERNEL_DTYPES else _clamp(x, low, high)


def hardtanh_backward(gy: Array, y: Array, low: float, high: float) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.hardtanh_backward`."""
    if y.dtype not in KERNEL_DTYPES or gy.dtype != y.dtype:
        return composed.hardtanh_backward(np, gy, y, low, high)
    return _clamp_backward(gy, y, low, high)


def _clamp(x: Array, low: float, high: float) -> Array:
    y = memory.empty_like(x)
    tasks = parts(x.size, WORTH)
    _kernels().clamp(tasks, _flat(x, y), y.ravel("K"), x.dtype.type(low), x.dtype.type(high), tasks)
    return y


def _clamp_backward(gy: Array, y: Array, low: float, high: float) -> Array:
    gx = memory.empty_like(y)
    tasks = parts(y.size, WORTH)
    limits = y.dtype.type(low), y.dtype.type(high)
    _kernels().clamp_backward(tasks, _flat(gy, gx), _flat(y, gx), gx.ravel("K"), *limits, tasks)
    return gx


def _flat(x: Array, like: Array) -> Array:
    """The elements of `x` in the order in which those of the dense array `like` lie in memory."""
    if not same_layout(x, like):
        laid_out = memory.empty_like(like)
        laid_out[...] = x
        x = laid_out
    return x.ravel("K")
