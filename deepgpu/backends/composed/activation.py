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
    """``gy`` where ``y > 0``, else 0: a NaN or an infinity in `gy` does not pass where the unit was off."""
    g = widened(gy)
    return rounded(xp.where(widened(y) > 0, g, g.dtype.type(0)), gy.dtype)
