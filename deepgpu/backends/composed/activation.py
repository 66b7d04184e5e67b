"""Activations, composed of array operations. `xp` is the array namespace, NumPy or CuPy."""

from __future__ import annotations

from typing import Any

from deepgpu.backends.base import Array
from deepgpu.backends.precision import rounded, widened


def relu(xp: Any, x: Array) -> Array:
    """``max(x, 0)``; NaN stays NaN."""
    y = xp.empty_like(x)
    y[...] = xp.maximum(widened(x), 0)
    return y


def relu_backward(xp: Any, gy: Array, y: Array) -> Array:
    """``gy``, but 0 where ``y <= 0``: a NaN or an infinity in `gy` does not pass where the unit was off."""
    g = widened(gy)
    return rounded(xp.where(widened(y) <= 0, g.dtype.type(0), g), gy.dtype)


def hardtanh(xp: Any, x: Array, low: float, high: float) -> Array:
    """``min(max(x, low), high)``; NaN stays NaN."""
    y = xp.empty_like(x)
    y[...] = xp.minimum(xp.maximum(widened(x), x.dtype.type(low)), x.dtype.type(high))
    return y


def hardtanh_backward(xp: Any, gy: Array, y: Array, low: float, high: float) -> Array:
    """``gy``, but 0 where ``y`` is at a limit."""
    g, at = widened(gy), widened(y)
    outside = (at <= y.dtype.type(low)) | (at >= y.dtype.type(high))
    return rounded(xp.where(outside, g.dtype.type(0), g), gy.dtype)
