"""Softmax and its logarithm on ``kernels/cuda/softmax.cu``. `xp` is CuPy or what emulates it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cuda import runtime
from deepgpu.backends.cuda.elementwise import alike, dense
from deepgpu.backends.cuda.plans import C_TYPES, up

_WARP_ITEMS = (1, 4, 16)
"""Elements a thread, for rows that one warp holds."""


def softmax(xp: Any, x: Array, axis: int) -> Array:
    """``exp(x - max) / sum(exp(x - max))`` along `axis`."""
    return _forward(xp, x, axis, "false")


def log_softmax(xp: Any, x: Array, axis: int) -> Array:
    """``x - max - log(sum(exp(x - max)))`` along `axis`."""
    return _forward(xp, x, axis, "true")


def softmax_backward(xp: Any, gy: Array, y: Array, axis: int) -> Array:
    """``y (gy - sum(gy y))``."""
    return _backward(xp, gy, y, axis, "false")


def log_softmax_backward(xp: Any, gy: Array, y: Array, axis: int) -> Array:
    """``gy - exp(y) sum(gy)``."""
    return _backward(xp, gy, y, axis, "true")


def _forward(xp: Any, x: Array, axis: int, log: str) -> Array:
    x = dense(xp, x)
    y = xp.empty_like(x)
    _launch("softmax", (x, y), axis, log)
    return y


def _backward(xp: Any, gy: Array, y: Array, axis: int, log: str) -> Array:
    gy, y = alike(xp, gy.astype(y.dtype, copy=False), y)
    gx = xp.empty_like(y)
    _launch("softmax_backward", (gy, y, gx), axis, log)
    return gx


def _launch(kernel: str, arrays: tuple[Array, ...], axis: int, log: str) -> None:
    """Choose the kernel by the length of the axis and by what lies between its elements in memory."""
    x = arrays[0]
    if x.size == 0:
        return
    dtype, n, inner = C_TYPES[x.dtype.name], *_axis_in_memory(x, axis)
    rows = x.size // n
    if inner > 1:
        name, grid, threads = f"{kernel}_columns<{dtype}, {log}>", up(rows, 256), 256
        sizes: tuple[Any, ...] = (np.int64(rows), np.int32(n), np.int32(inner))
    elif n <= 32 * _WARP_ITEMS[-1]:
        items = next(i for i in _WARP_ITEMS if n <= 32 * i)
        name, grid, threads = f"{kernel}_warp<{dtype}, {log}, {items}>", up(rows, 4), 128
        sizes = (np.int32(rows), np.int32(n))
    else:
        name, grid, threads = f"{kernel}_block<{dtype}, {log}>", rows, 256
        sizes = (np.int32(n),)
    runtime.launch("softmax.cu", name, (grid,), (threads,), (*arrays, *sizes))


def _axis_in_memory(x: Array, axis: int) -> tuple[int, int]:
    """The length of an axis of a dense array, and how many elements lie between two neighbours along it."""
    if x.ndim == 0:
        return 1, 1
    n, stride = x.shape[axis], x.strides[axis] // x.itemsize
    if n == 1:  # its stride says nothing; alone it is a row
        return 1, 1
    assert math.prod(x.shape) % (n * stride) == 0
    return n, stride
