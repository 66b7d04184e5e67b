"""Cross-entropy of class labels on ``kernels/cuda/cross_entropy.cu``. `xp` is CuPy or what emulates it."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import cross_entropy as composed
from deepgpu.backends.cuda import runtime
from deepgpu.backends.cuda.layout import channels_last, image, matrix
from deepgpu.backends.cuda.plans import C_TYPES, up
from deepgpu.backends.precision import accumulation_dtype

_WARP_ROW = 512
"""Rows of more classes belong to a block."""


def cross_entropy(xp: Any, x: Array, labels: Array, weight: Array | None, smoothing: float) -> tuple[Array, Array]:
    """The loss of each row, and its maximum and logarithm of a sum ``(2, rows...)``."""
    if x.size == 0:
        return composed.cross_entropy(xp, x, labels, weight, smoothing)
    stats = accumulation_dtype(x.dtype)
    loss, norms = xp.empty(labels.shape, stats), xp.empty((2, *labels.shape), stats)
    rows = _rows(xp, x)
    labels, weight = xp.ascontiguousarray(labels), _contiguous(xp, weight)
    _launch("cross_entropy", rows, (rows, labels, weight, loss, norms), smoothing)
    return loss, norms


def cross_entropy_backward(
    xp: Any, g: Array, x: Array, norms: Array, labels: Array, weight: Array | None, smoothing: float
) -> Array:
    """The gradient of the rows' losses; `g` is a number a row, or one for all."""
    if x.size == 0:
        return composed.cross_entropy_backward(xp, g, x, norms, labels, weight, smoothing)
    stats = accumulation_dtype(x.dtype)
    g = g.astype(stats, copy=False)
    stride = 1 if g.ndim else 0  # the gradient of a sum or a mean is one number for all
    g = xp.ascontiguousarray(g) if stride else g
    rows = _rows(xp, x)
    gx = xp.empty_like(rows)
    labels, weight = xp.ascontiguousarray(labels), _contiguous(xp, weight)
    arrays = (g, np.int32(stride), rows, norms, labels, weight, gx)
    _launch("cross_entropy_backward", rows, arrays, smoothing)
    return gx.reshape(x.shape) if x.ndim < 3 else image(gx, x.shape)


def _rows(xp: Any, x: Array) -> Array:
    """A row of logits a label: images are taken channels-last."""
    if x.ndim < 3:
        return xp.ascontiguousarray(x.reshape(-1, x.shape[-1]))
    return matrix(channels_last(xp, x))


def _contiguous(xp: Any, x: Array | None) -> Array | None:
    return None if x is None else xp.ascontiguousarray(x)


def _launch(kernel: str, x: Array, arrays: tuple[Any, ...], smoothing: float) -> None:
    rows, n = x.shape
    warp = n <= _WARP_ROW
    name = f"{kernel}<{C_TYPES[x.dtype.name]}, {32 if warp else 256}>"
    sizes = (np.int32(rows), np.int32(n), accumulation_dtype(x.dtype).type(smoothing))
    grid, threads = (up(rows, 4), 128) if warp else (rows, 256)
    runtime.launch("cross_entropy.cu", name, (grid,), (threads,), (*arrays, *sizes))
