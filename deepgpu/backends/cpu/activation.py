"""Activations on the CPU, over flat memory: the layout of what comes in is the layout of what goes out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import activation as composed
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.layout import same_layout

WORTH = 1 << 15
"""Elements that are worth a task of their own."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import activation

    return activation


def relu(x: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.relu`."""
    if x.dtype not in (np.float32, np.float64):
        return composed.relu(np, x)
    y = np.empty_like(x)
    tasks = parts(x.size, WORTH)
    _kernels().relu(tasks, _flat(x, y), y.ravel("K"), tasks)
    return y


def relu_backward(gy: Array, y: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.relu_backward`."""
    if y.dtype not in (np.float32, np.float64) or gy.dtype != y.dtype:
        return composed.relu_backward(np, gy, y)
    gx = np.empty_like(y)
    tasks = parts(y.size, WORTH)
    _kernels().relu_backward(tasks, _flat(gy, gx), _flat(y, gx), gx.ravel("K"), tasks)
    return gx


def _flat(x: Array, like: Array) -> Array:
    """The elements of `x` in the order in which those of the dense array `like` lie in memory."""
    if not same_layout(x, like):
        laid_out = np.empty_like(like)
        laid_out[...] = x
        x = laid_out
    return x.ravel("K")
