"""Layer norm and RMS norm on the CPU: split the rows over the threads."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import layernorm as composed
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import MOST, parts
from deepgpu.backends.cpu.transpose import contiguous

WORTH = 1 << 13
"""Elements that are worth a task of their own."""

NOTHING = np.empty(0, np.float32)
"""In place of an array that there is not."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import layernorm

    return layernorm


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float, centered: bool
) -> tuple[Array, Array | None, Array]:
    """See :meth:`deepgpu.backends.base.Backend.layer_norm`."""
    if x.dtype != np.float32 or x.size == 0:
        return composed.layer_norm(np, x, weight, bias, eps, centered)
    rows, scale = contiguous(x), weight
    if bias is not None and weight is None:
        scale = np.ones(x.shape[1], np.float32)
    y = memory.empty(rows.shape, np.float32)
    mean, invstd = np.empty(len(rows), np.float32) if centered else NOTHING, np.empty(len(rows), np.float32)
    tasks = parts(rows.size, WORTH, min(len(rows), MOST))
    _kernels().layer_norm(tasks, rows, _row(scale), _row(bias), y, mean, invstd, eps, tasks)
    return y, mean if centered else None, invstd


def layer_norm_backward(
    gy: Array, x: Array, weight: Array | None, mean: Array | None, invstd: Array, affine: bool
) -> tuple[Array, Array | None, Array | None]:
    """See :meth:`deepgpu.backends.base.Backend.layer_norm_backward`."""
    if not gy.dtype == x.dtype == np.float32 or x.size == 0:
        return composed.layer_norm_backward(np, gy, x, weight, mean, invstd, affine)
    gradients, rows = contiguous(gy), contiguous(x)
    gx = memory.empty(rows.shape, np.float32)
    tasks = parts(rows.size, WORTH, min(len(rows), MOST))
    sums = np.empty((tasks if affine else 0, 2, rows.shape[1]), np.float32)
    centre = NOTHING if mean is None else mean
    _kernels().layer_norm_backward(tasks, gradients, rows, _row(weight), centre, invstd, gx, sums, tasks)
    if not affine:
        return gx, None, None
    gweight, gbias = sums.sum(0)
    return gx, gweight, gbias


def _row(x: Array | None) -> Array:
    """Weights or biases as the kernels take them."""
    return NOTHING if x is None else np.ascontiguousarray(x, np.float32)
