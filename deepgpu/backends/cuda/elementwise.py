"""Activations on ``kernels/cuda/elementwise.cu``. `xp` is CuPy or what emulates it."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import activation as composed
from deepgpu.backends.cuda import runtime
from deepgpu.backends.cuda.plans import C_TYPES, MULTIPROCESSORS, up
from deepgpu.backends.layout import is_dense, same_layout
from deepgpu.backends.precision import accumulation_dtype

_THREADS = 256
_FLOATING = ("float32", "float64", "float16", "bfloat16")


def relu(xp: Any, x: Array) -> Array:
    """``max(x, 0)``; integers too, on array operations."""
    return _unary(xp, "Relu", x) if x.dtype.name in _FLOATING else composed.relu(xp, x)


def relu_backward(xp: Any, gy: Array, y: Array) -> Array:
    """``gy``, but 0 where ``y <= 0``."""
    return _binary(xp, "ReluBackward", gy, y) if _is_served(gy, y) else composed.relu_backward(xp, gy, y)


def hardtanh(xp: Any, x: Array, low: float, high: float) -> Array:
    """``min(max(x, low), high)``."""
    if x.dtype.name not in _FLOATING:
        return composed.hardtanh(xp, x, low, high)
    return _unary(xp, "Hardtanh", x, low, high)


def hardtanh_backward(xp: Any, gy: Array, y: Array, low: float, high: float) -> Array:
    """``gy``, but 0 where ``y`` is at a limit."""
    if not _is_served(gy, y):
        return composed.hardtanh_backward(xp, gy, y, low, high)
    return _binary(xp, "HardtanhBackward", gy, y, low, high)


def erf(xp: Any, x: Array) -> Array:
    """The error function, of floating-point numbers."""
    return _unary(xp, "Erf", x)


def _is_served(gy: Array, y: Array) -> bool:
    return gy.dtype == y.dtype and gy.dtype.name in _FLOATING and gy.shape == y.shape


def _unary(xp: Any, function: str, x: Array, low: float = 0, high: float = 0) -> Array:
    x = dense(xp, x)
    y = xp.empty_like(x)
    _launch("unary", function, (x, y), low, high)
    return y


def _binary(xp: Any, function: str, gy: Array, y: Array, low: float = 0, high: float = 0) -> Array:
    gy, y = alike(xp, gy, y)
    gx = xp.empty_like(y)
    _launch("binary", function, (gy, y, gx), low, high)
    return gx


def dense(xp: Any, x: Array) -> Array:
    """`x` itself if its elements lie end to end in whatever order of axes, else a copy of which that is true."""
    return x if is_dense(x) else xp.ascontiguousarray(x)


def alike(xp: Any, x: Array, y: Array) -> tuple[Array, Array]:
    """Both dense, and `x` laid out as `y`."""
    y = dense(xp, y)
    if not (is_dense(x) and same_layout(x, y)):
        copy = xp.empty_like(y)
        copy[...] = x
        x = copy
    return x, y


def vector(*arrays: Array) -> int:
    """How many elements a thread may load at once: 16 bytes of them if all arrays begin at 16 bytes, else one."""
    aligned = all(x.data.ptr % 16 == 0 for x in arrays)
    return 16 // arrays[0].itemsize if aligned else 1


def _launch(kernel: str, function: str, arrays: tuple[Array, ...], low: float, high: float) -> None:
    x = arrays[0]
    width, dtype = vector(*arrays), x.dtype
    number = accumulation_dtype(dtype).type
    limits = (number(dtype.type(low)), number(dtype.type(high)))  # as the elements' dtype rounds them
    blocks = min(up(x.size, _THREADS * width), 8 * MULTIPROCESSORS)
    name = f"{kernel}<{function}, {C_TYPES[dtype.name]}, {width}>"
    runtime.launch("elementwise.cu", name, (blocks,), (_THREADS,), (*arrays, np.int64(x.size), *limits))
