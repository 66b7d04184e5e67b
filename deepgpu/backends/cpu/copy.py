"""Copies between parts of arrays on the CPU: of many elements whose rows lie in the same order, by all threads."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.layout import is_dense, memory_order, merged, places

WORTH = 1 << 14
"""Elements that are worth a task of their own; below two tasks NumPy is as fast."""

SHORTEST = 8
"""Elements of a row that is worth its place in the list of rows."""

KERNEL_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


class Rows(NamedTuple):
    """Runs of neighbours on both sides."""

    starts: Array  # of each, from the first element of the source
    places: Array  # the same of the target
    length: int


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import copy

    return copy


def assign(out: Array, x: Array) -> None:
    """See :meth:`deepgpu.backends.base.Backend.assign`."""
    if x.size >= 2 * WORTH and x.dtype == out.dtype and x.dtype in KERNEL_DTYPES and x.shape == out.shape:
        found = rows(x.shape, x.strides, out.strides, x.itemsize)
        if found is not None:
            tasks = parts(x.size, WORTH, len(found.starts))
            _kernels().copy_rows(tasks, _span(x), found.starts, _span(out), found.places, found.length, tasks)
            return
    out[...] = x


def compact(x: Array) -> Array:
    """The array, or a copy without gaps, its dimensions in the same order in memory."""
    if is_dense(x):
        return x
    order = memory_order(x)
    y = memory.empty([x.shape[d] for d in order], x.dtype).transpose(np.argsort(order))
    assign(y, x)
    return y


def _span(x: Array) -> Array:
    """All memory from the first element to the last."""
    extent = sum((size - 1) * stride for size, stride in zip(x.shape, x.strides, strict=True)) // x.itemsize + 1
    return as_strided(x, (extent,), (x.itemsize,))


@functools.lru_cache(maxsize=1024)
def rows(shape: tuple[int, ...], strides: tuple[int, ...], to: tuple[int, ...], itemsize: int) -> Rows | None:
    """The longest rows that are neighbours in memory by either strides; None if there are none, or they are short."""
    order = sorted((d for d in range(len(shape)) if shape[d] > 1), key=lambda d: -to[d])  # as in the target's memory
    if any(strides[d] <= 0 or to[d] <= 0 for d in order):
        return None
    *outer, (length, stride, step) = merged(*[[numbers[d] for d in order] for numbers in (shape, strides, to)])
    if stride != itemsize or step != itemsize or length < SHORTEST:
        return None
    starts, ends = (places([(n[0], n[side] // itemsize) for n in outer]) for side in (1, 2))
    return Rows(starts, ends, length)
