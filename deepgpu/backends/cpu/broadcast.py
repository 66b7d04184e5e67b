"""Sums, differences, products and quotients of large arrays on the CPU whose other operand is broadcast to them."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.layout import is_dense, merged, places

WORTH = 1 << 14
"""Elements that are worth a task of their own."""

SHORTEST = 4
"""Elements of a row that is worth its place in the list of rows."""

KERNELS = {
    "add": ("add", "add"),
    "subtract": ("subtract", "subtract_from"),
    "multiply": ("multiply", "multiply"),
    "true_divide": ("divide_by", "divide"),
}
"""NumPy's name of an op -> the kernels for a smaller operand on the right, and on the left."""


class Rows(NamedTuple):
    """The rows of the large array, in the order of its memory."""

    starts: Array  # where in the other's memory the elements of each begin
    step: int  # 1 if there is one for each element of a row, 0 if there is one for all


@functools.cache
def _kernel(name: str) -> Any:
    """A kernel; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import broadcast

    return getattr(broadcast, name)


def arithmetic(name: str, a: Array, b: Array) -> Array | None:
    """The result, in the layout of the operand that has its shape; None if neither has, or rows are short."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = _collapsed(a), _collapsed(b)
    x, other, kernel = (a, b, KERNELS[name][0]) if a.size >= b.size else (b, a, KERNELS[name][1])
    if x.shape != shape or not is_dense(x):
        return None
    other = other if is_dense(other) else np.ascontiguousarray(other)
    found = rows(x.shape, x.strides, other.shape, other.strides, x.itemsize)
    if found is None:
        return None
    y = memory.empty_like(x)
    tasks = parts(x.size, WORTH, len(found.starts))
    _kernel(kernel)(tasks, x.ravel("K"), other.ravel("K"), *found, y.ravel("K"), tasks)
    return y


def repeated(x: Array) -> Array | None:
    """An expanded array in C order; None if it is not one, or rows are short."""
    other = _collapsed(x)
    if other.size == x.size or not is_dense(other):
        return None
    y = memory.empty(x.shape, x.dtype)
    found = rows(y.shape, y.strides, other.shape, other.strides, x.itemsize)
    if found is None:
        return None
    flat, tasks = y.reshape(-1), parts(x.size, WORTH, len(found.starts))
    _kernel("repeat")(tasks, flat, other.ravel("K"), *found, flat, tasks)
    return y


def _collapsed(x: Array) -> Array:
    """The array without the repetitions of an expanded one: with one element along dimensions of stride 0."""
    if 0 not in x.strides:
        return x
    return x[tuple([slice(None) if stride else slice(1) for stride in x.strides])]


@functools.lru_cache(maxsize=1024)
def rows(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    other_shape: tuple[int, ...],
    other_strides: tuple[int, ...],
    itemsize: int,
) -> Rows | None:
    """The rows of a dense array of this shape along which another, which is broadcast to it, does the same."""
    added = len(shape) - len(other_shape)
    steps = [0] * added + [0 if n == 1 else stride for n, stride in zip(other_shape, other_strides, strict=True)]
    order = sorted((d for d in range(len(shape)) if shape[d] > 1), key=lambda d: -abs(strides[d]))  # as in memory
    if any(strides[d] < 0 or steps[d] < 0 for d in order):
        return None
    *outer, (length, step) = merged([shape[d] for d in order], [steps[d] for d in order])
    if step not in (0, itemsize) or length < SHORTEST:
        return None
    return Rows(places([(size, stride // itemsize) for size, stride in outer]), step // itemsize)
