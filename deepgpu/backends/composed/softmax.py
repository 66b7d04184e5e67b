"""Softmax and its logarithm, composed of array operations. `xp` is the array namespace, NumPy or CuPy.

A row of minus infinities has no maximum to subtract: ``-inf - -inf`` is NaN and so is the whole row, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.precision import rounded, widened


def softmax(xp: Any, x: Array, axis: int) -> Array:
    """``exp(x - max) / sum(exp(x - max))`` along `axis`."""
    if x.size == 0:
        return xp.empty_like(x)
    with np.errstate(invalid="ignore"):
        e = xp.exp(_shifted(x, axis))
        return rounded(e / e.sum(axis=axis, keepdims=True), x.dtype)


def log_softmax(xp: Any, x: Array, axis: int) -> Array:
    """``x - max - log(sum(exp(x - max)))`` along `axis`."""
    if x.size == 0:
        return xp.empty_like(x)
    with np.errstate(invalid="ignore"):
        shifted = _shifted(x, axis)
        return rounded(shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True)), x.dtype)


def softmax_backward(xp: Any, gy: Array, y: Array, axis: int) -> Array:
    """``y (gy - sum(gy y))``."""
    g, p = widened(gy), widened(y)
    with np.errstate(invalid="ignore"):
        return rounded(p * (g - (g * p).sum(axis=axis, keepdims=True)), gy.dtype)


def log_softmax_backward(xp: Any, gy: Array, y: Array, axis: int) -> Array:
    """``gy - exp(y) sum(gy)``."""
    g, logp = widened(gy), widened(y)
    with np.errstate(invalid="ignore"):
        return rounded(g - xp.exp(logp) * g.sum(axis=axis, keepdims=True), gy.dtype)


def _shifted(x: Array, axis: int) -> Array:
    """``x - max(x)``, where exp cannot overflow."""
    x = widened(x)
    return x - x.max(axis=axis, keepdims=True)
