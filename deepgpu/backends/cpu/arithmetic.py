"""Sums, differences, products and quotients on the CPU: large arrays by all threads, on memory that is used again."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import broadcast
from deepgpu.backends.cpu.copy import compact
from deepgpu.backends.cpu.flat import each_element, laid_out

WORTH = 1 << 14
"""Elements that are worth a task of their own."""

KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)

WITH_NUMBER = {
    "add": ("add_number", "add_number"),
    "subtract": ("subtract_number", "subtract_from_number"),
    "multiply": ("multiply_number", "multiply_number"),
    "true_divide": ("divide_by_number", "divide_number"),
}
"""NumPy's name of an op -> the kernels for a number on the right, and on the left."""


@functools.cache
def _kernel(name: str) -> Any:
    """A kernel; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import arithmetic

    return getattr(arithmetic, name)


def arithmetic(name: str, a: Any, b: Any) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.arithmetic`."""
    if a.dtype != b.dtype or a.dtype not in KERNEL_DTYPES:
        return None
    if not a.ndim or not b.ndim:
        array, number, kernels = (a, b, WITH_NUMBER[name]) if a.ndim else (b, a, WITH_NUMBER[name][::-1])
        if isinstance(number, np.ndarray):
            number = number[()]
        return each_element(_kernel(kernels[0]), WORTH, (number,), compact(array))
    if a.shape != b.shape or 0 in a.strides or 0 in b.strides:
        return broadcast.arithmetic(name, a, b)
    a = compact(a)
    b = laid_out(b, a)
    return each_element(_kernel(name), WORTH, (), b, a)
