"""Softmax on the CPU, over rows: the axis is moved last, and is last in the result's memory."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import softmax as composed
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.cpu.transpose import contiguous
from deepgpu.backends.precision import accumulation_dtype, rounded

WORTH = 1 << 12
"""Elements that are worth a task of their own."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import softmax

    return softmax


def softmax(x: Array, axis: int) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.softmax`."""
    return _over_rows("softmax", axis, x)


def log_softmax(x: Array, axis: int) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.log_softmax`."""
    return _over_rows("log_softmax", axis, x)


def softmax_backward(gy: Array, y: Array, axis: int) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.softmax_backward`."""
    return _over_rows("softmax_backward", axis, gy, y)


def log_softmax_backward(gy: Array, y: Array, axis: int) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.log_softmax_backward`."""
    return _over_rows("log_softmax_backward", axis, gy, y)


def _over_rows(name: str, axis: int, *inputs: Array) -> Array:
    """Run the kernel of that name, or the composed function where it has none: float64, and nothing to do."""
    x = inputs[0]
    if accumulation_dtype(x.dtype) != np.float32 or x.size == 0:
        return getattr(composed, name)(np, *inputs, axis)
    last = axis in (-1, x.ndim - 1)
    moved = inputs if last else [np.moveaxis(a, axis, -1) for a in inputs]
    shape = moved[0].shape
    rows = [contiguous(a, np.float32).reshape(-1, shape[-1]) for a in moved]
    y = memory.empty(rows[0].shape, np.float32)
    tasks = parts(y.size, WORTH)
    getattr(_kernels(), name)(tasks, *rows, y, tasks)
    y = rounded(y, x.dtype).reshape(shape)
    return y if last else np.moveaxis(y, -1, axis)
