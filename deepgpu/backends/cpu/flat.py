"""Flat memory: a kernel that knows nothing of dimensions goes over all elements, in the order in which they lie."""

from __future__ import annotations

from typing import Any

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.layout import same_layout


def flat(x: Array, like: Array) -> Array:
    """The elements of `x` in the order in which those of the dense array `like` lie in memory."""
    if not same_layout(x, like):
        laid_out = memory.empty_like(like)
        laid_out[...] = x
        x = laid_out
    return x.ravel("K")


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
