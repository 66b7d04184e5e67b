"""Running sums on the CPU: large arrays by all threads, in float64."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.cpu.transpose import contiguous

WORTH = 1 << 13
"""Elements that are worth a task of their own; below one, NumPy is as fast."""

KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import cumsum

    return cumsum


def cumsum(x: Array, axis: int, reverse: bool) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.cumsum`; None where NumPy is to do it."""
    if x.size < WORTH or x.dtype not in KERNEL_DTYPES:
        return None
    x = contiguous(x)
    n, inner = x.shape[axis], math.prod(x.shape[axis + 1 :])
    y = memory.empty(x.shape, x.dtype)
    if inner == 1:
        tasks = parts(x.size, WORTH, -(-x.size // (4 * n)))
        _kernels().rows(tasks, x.reshape(-1, n), y.reshape(-1, n), reverse, tasks)
    else:
        stack = x.reshape(-1, n, inner)
        _kernels().columns(len(stack) * -(-inner // _kernels().STRIP), stack, y.reshape(stack.shape), reverse)
    return y
