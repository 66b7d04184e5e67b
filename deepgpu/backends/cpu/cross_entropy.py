"""Cross-entropy on the CPU, over rows: the classes are moved last."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import cross_entropy as composed
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.cpu.transpose import contiguous

WORTH = 1 << 13
"""Elements that are worth a task of their own."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import cross_entropy

    return cross_entropy


def cross_entropy(x: Array, labels: Array, weight: Array | None, smoothing: float) -> tuple[Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.cross_entropy`."""
    if x.dtype != np.float32 or x.size == 0:
        return composed.cross_entropy(np, x, labels, weight, smoothing)
    rows = _rows(x)
    losses, norms, tasks = np.empty(len(rows), np.float32), np.empty((2, len(rows)), np.float32), parts(x.size, WORTH)
    targets = _targets(labels, weight, smoothing, rows.shape[1])
    _kernels().cross_entropy(tasks, rows, *targets, losses, norms, tasks)
    return losses.reshape(labels.shape), norms.reshape(2, *labels.shape)


def cross_entropy_backward(
    g: Array, x: Array, norms: Array, labels: Array, weight: Array | None, smoothing: float
) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.cross_entropy_backward`."""
    if x.dtype != np.float32 or x.size == 0:
        return composed.cross_entropy_backward(np, g, x, norms, labels, weight, smoothing)
    rows = _rows(x)
    each = np.ascontiguousarray(g, np.float32).reshape(-1) if g.ndim else np.full(labels.size, g, np.float32)
    gx, tasks = memory.empty(rows.shape, np.float32), parts(x.size, WORTH)
    targets = _targets(labels, weight, smoothing, rows.shape[1])
    _kernels().cross_entropy_backward(tasks, each, rows, norms.reshape(2, -1), *targets, gx, tasks)
    if x.ndim < 3:
        return gx.reshape(x.shape)
    return np.moveaxis(gx.reshape(x.shape[0], *x.shape[2:], x.shape[1]), -1, 1)


def _rows(x: Array) -> Array:
    """``(N, C, ...)`` or ``(C,)`` as contiguous ``(rows, C)``."""
    last = np.moveaxis(x, 1, -1) if x.ndim > 2 else x
    return contiguous(last).reshape(-1, last.shape[-1])


def _targets(labels: Array, weight: Array | None, smoothing: float, classes: int) -> tuple[Any, ...]:
    weights = _ones(classes) if weight is None else np.ascontiguousarray(weight, np.float32)
    return np.ascontiguousarray(labels).reshape(-1), weights, np.float32(smoothing)


@functools.lru_cache(maxsize=64)
def _ones(classes: int) -> Array:
    return np.ones(classes, np.float32)
