"""Flat memory: a kernel that knows nothing of dimensions goes over all elements, in the order in which they lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.cpu.transpose import contiguous
from deepgpu.backends.layout import same_layout


def laid_out(x: Array, like: Array) -> Array:
    """The array with its elements in the order in which those of the dense array `like` lie in memory."""
    if same_layout(x, like):
        return x
    order = sorted(range(like.ndim), key=lambda d: -like.strides[d])
    return contiguous(x.transpose(order)).transpose(np.argsort(order))


def flat(x: Array, like: Array) -> Array:
    """The elements of the array in that order."""
    return laid_out(x, like).ravel("K")


def each_element(kernel: Any, worth: int, factors: tuple[Any, ...], x: Array, other: Array | None = None) -> Array:
    """A kernel of :mod:`deepgpu.kernels.jit.elementwise` over `x`, or `other` and `x`; the result lies as `x` does.

    Parameters
    ----------
    worth
        Elements that are worth a task of their own.
    """
    y = memory.empty_like(x)
    tasks = parts(x.size, worth)
    if other is None:
        kernel(tasks, flat(x, y), y.ravel("K"), factors, tasks)
    else:
        kernel(tasks, flat(other, y), flat(x, y), y.ravel("K"), factors, tasks)
    return y


def each_triple(kernel: Any, worth: int, first: Array, x: Array, last: Array) -> Array:
    """The same of three arrays; the result lies as the middle one does, which has no gaps."""
    y = memory.empty_like(x)
    tasks = parts(x.size, worth)
    kernel(tasks, flat(first, y), x.ravel("K"), flat(last, y), y.ravel("K"), (), tasks)
    return y
