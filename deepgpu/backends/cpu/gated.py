"""Activations with a gate on the CPU, over flat memory: the layout of what comes in is the layout of what goes out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.layout import is_dense, same_layout

WORTH = 1 << 13
"""Elements that are worth a task of their own."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import gated

    return gated


def gated(name: str, x: Array) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.gated`."""
    if x.dtype != np.float32 or not is_dense(x):
        return None
    y = memory.empty_like(x)
    tasks = parts(x.size, WORTH)
    getattr(_kernels(), name)(tasks, x.ravel("K"), y.ravel("K"), tasks)
    return y


def gated_backward(name: str, gy: Array, x: Array) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.gated_backward`."""
    if not gy.dtype == x.dtype == np.float32 or not is_dense(x):
        return None
    gx = memory.empty_like(x)
    if not same_layout(gy, x):
        laid_out = memory.empty_like(x)
        laid_out[...] = gy
        gy = laid_out
    tasks = parts(x.size, WORTH)
    getattr(_kernels(), f"{name}_backward")(tasks, gy.ravel("K"), x.ravel("K"), gx.ravel("K"), tasks)
    return gx
