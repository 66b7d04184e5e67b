"""Activations on the CPU, over flat memory: the layout of what comes in is the layout of what goes out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import activation as composed
from deepgpu.backends.cpu.flat import each_element

WORTH = 1 << 15
"""Elements that are worth a task of their own."""


KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)

RELU = {dtype: (dtype.type(0), dtype.type(np.nan)) for dtype in KERNEL_DTYPES}
"""The limits of ReLU, made once: NumPy takes a while to make a scalar."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import activation

    return activation


def relu(x: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.relu`."""
    limits = RELU.get(x.dtype)
    return composed.relu(np, x) if limits is None else _clamp(x, *limits)


def relu_backward(gy: Array, y: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.relu_backward`."""
    limits = RELU.get(y.dtype)
    if limits is None or gy.dtype != y.dtype:
        return composed.relu_backward(np, gy, y)
    return _clamp_backward(gy, y, *limits)


def hardtanh(x: Array, low: float, high: float) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.hardtanh`."""
    if x.dtype not in KERNEL_DTYPES:
        return composed.hardtanh(np, x, low, high)
    return _clamp(x, x.dtype.type(low), x.dtype.type(high))


def hardtanh_backward(gy: Array, y: Array, low: float, high: float) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.hardtanh_backward`."""
    if y.dtype not in KERNEL_DTYPES or gy.dtype != y.dtype:
        return composed.hardtanh_backward(np, gy, y, low, high)
    return _clamp_backward(gy, y, y.dtype.type(low), y.dtype.type(high))


def _clamp(x: Array, *limits: Any) -> Array:
    """The elements limited to scalars of their dtype."""
    return each_element(_kernels().clamp, WORTH, limits, x)


def _clamp_backward(gy: Array, y: Array, *limits: Any) -> Array:
    return each_element(_kernels().clamp_backward, WORTH, limits, y, gy)
