"""Activations, composed of array operations. `xp` is the array namespace, NumPy or CuPy."""

from __future__ import annotations

from typing import Any

from deepgpu.backends.base import Array


def relu(xp: Any, x: Array) -> Array:
    """``max(x, 0)``; NaN stays NaN."""
    return xp.maximum(x, x.dtype.type(0), out=xp.empty_like(x))


def relu_backward(xp: Any, gy: Array, y: Array) -> Array:
    """``gy`` where ``y > 0``, else 0: a NaN or an infinity in `gy` does not pass where the unit was off."""
    return xp.where(y > 0, gy, gy.dtype.type(0))
