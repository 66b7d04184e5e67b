"""Cross-entropy of class labels, composed of array operations. `xp` is the array namespace, NumPy or CuPy.

A row of minus infinities has no maximum to subtract: ``-inf - -inf`` is NaN and so is its loss, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.precision import rounded, widened


@np.errstate(invalid="ignore", divide="ignore", over="ignore")
def cross_entropy(xp: Any, x: Array, labels: Array, weight: Array | None, smoothing: float) -> tuple[Array, Array]:
    """``-sum_j c_j log p_j`` a label, and the maxima and ``log sum exp(x - max)``, ``(2, N, ...)``."""
    axis = min(1, x.ndim - 1)
    wide = widened(x)
    if x.size == 0:
        return xp.zeros(labels.shape, wide.dtype), xp.zeros((2, *labels.shape), wide.dtype)
    top = wide.max(axis=axis)
    shifted = wide - xp.expand_dims(top, axis)
    log_sum = xp.log(xp.exp(shifted).sum(axis=axis))
    index, counts = _index(xp, labels, axis), labels >= 0
    loss = (log_sum - shifted[index]) * (1 - smoothing)
    if weight is not None:
        loss = loss * widened(weight)[index[axis]]
    if smoothing:
        each = xp.expand_dims(log_sum, axis) - shifted
        loss = loss + (each * _along(xp, weight, x, axis)).sum(axis=axis) * (smoothing / x.shape[axis])
    zero = wide.dtype.type(0)
    return xp.where(counts, loss, zero).astype(wide.dtype, copy=False), xp.stack([top, log_sum])


@np.errstate(invalid="ignore", over="ignore")
def cross_entropy_backward(
    xp: Any, g: Array, x: Array, norms: Array, labels: Array, weight: Array | None, smoothing: float
) -> Array:
    """``g (sum(c) softmax(x) - c)``."""
    axis = min(1, x.ndim - 1)
    wide = widened(x)
    if x.size == 0:
        return xp.zeros(x.shape, x.dtype)
    index, counts = _index(xp, labels, axis), labels >= 0
    of_label = xp.full(labels.shape, 1 - smoothing, wide.dtype)
    if weight is not None:
        of_label = of_label * widened(weight)[index[axis]]
    total, spread = of_label, _along(xp, weight, x, axis) * (smoothing / x.shape[axis])
    if smoothing:
        total = total + xp.broadcast_to(spread, x.shape).sum(axis=axis)
    gx = xp.exp(wide - xp.expand_dims(norms[0], axis) - xp.expand_dims(norms[1], axis)) * xp.expand_dims(total, axis)
    if smoothing:
        gx = gx - spread
    gx[index] -= of_label  # every element is one label's, so that none is subtracted from twice
    gx = gx * (xp.expand_dims(widened(g), axis) if g.ndim else widened(g))
    return rounded(xp.where(xp.expand_dims(counts, axis), gx, wide.dtype.type(0)), x.dtype)


def _index(xp: Any, labels: Array, axis: int) -> tuple[Array, ...]:
    """The labels' elements of an array with classes at `axis`; of labels that do not count, the first."""
    shape = labels.shape
    at = [xp.arange(n).reshape([-1 if d == i else 1 for d in range(len(shape))]) for i, n in enumerate(shape)]
    return (*at[:axis], xp.maximum(labels, 0), *at[axis:])


def _along(xp: Any, weight: Array | None, x: Array, axis: int) -> Array:
    """The classes' weights, to be broadcast with `x`."""
    weights = xp.ones(x.shape[axis], widened(x[:0]).dtype) if weight is None else widened(weight)
    return weights.reshape([-1 if d == axis else 1 for d in range(x.ndim)])
