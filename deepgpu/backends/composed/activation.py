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


def prelu(xp: Any, x: Array, weight: Array) -> Array:
    """``x`` where positive, else ``weight x``."""
    return rounded(xp.where(x > 0, widened(x), widened(x) * widened(_along(weight, x))), x.dtype)


def prelu_backward(xp: Any, gy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """``(gx, gweight)``."""
    g, at, positive = widened(gy), widened(x), x > 0
    gx = xp.where(positive, g, g * widened(_along(weight, x)))
    each = xp.where(positive, g.dtype.type(0), g * at)
    gweight = each.sum(axis=tuple(d for d in range(x.ndim) if d != 1 or len(weight) == 1)).reshape(-1)
    return rounded(gx, x.dtype), rounded(gweight, weight.dtype)


def _along(weight: Array, x: Array) -> Array:
    """Slopes as they broadcast over an image."""
    return weight.reshape(1, -1, *[1] * (x.ndim - 2)) if x.ndim > 1 else weight.reshape(())
