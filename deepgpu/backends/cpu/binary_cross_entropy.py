"""The cross-entropy of probabilities and targets, element by element, on the CPU."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu.copy import compact
from deepgpu.backends.cpu.flat import each_element, each_triple

LARGE = 1 << 8
"""Elements from which on a kernel is worth its call."""

WORTH = 1 << 13
"""Elements that are worth a task of their own."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import binary_cross_entropy

    return binary_cross_entropy


def binary_cross_entropy(p: Array, t: Array) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.binary_cross_entropy`."""
    if not _fit(p, t):
        return None
    return each_element(_kernels().binary_cross_entropy, WORTH, (), compact(t), p)


def binary_cross_entropy_backward(gy: Array, p: Array, t: Array) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.binary_cross_entropy_backward`."""
    if not _fit(gy, p, t):
        return None
    return each_triple(_kernels().binary_cross_entropy_backward, WORTH, gy, compact(p), t)


def _fit(first: Array, *others: Array) -> bool:
    """Whether there are many elements, all float32, and nothing is broadcast."""
    return (
        first.dtype == np.float32
        and first.size >= LARGE
        and all(x.shape == first.shape and x.dtype == np.float32 for x in others)
    )
