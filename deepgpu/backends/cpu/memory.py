"""Memory for large arrays, kept and used again: on the CPU what a caching allocator is on the GPU.

The first write to a page that the system has just handed out takes a page fault, several times as long as the write
itself, and NumPy gives large arrays back to the system when they die. So a training step would pay for fresh pages for
every result. Here a dead array's memory waits for the next array of about its size.

An array from here lies on a :class:`_Block`, its ``base``; when the last view of the array dies, so does the block, and
its memory is free for the next.
"""

from __future__ import annotations

import functools
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array

WORTH = 1 << 15
"""Bytes from which on memory is kept; the C library's own lists serve what is smaller."""

SPARE = 4
"""How many times as large as what is asked for a piece may be that is used again."""

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""


def empty(shape: Sequence[int], dtype: Any) -> Array:
    """An array of undefined values, C-contiguous, of which no page need be fresh."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return np.empty(shape, dtype) if size < WORTH else np.ndarray(shape, dtype, _pool.take(size))


def empty_like(x: Array, dtype: Any = None) -> Array:
    """An array of undefined values with the shape of ``x``, its dimensions in the same order in memory."""
    dtype = x.dtype if dtype is None else np.dtype(dtype)
    if x.size * dtype.itemsize < WORTH:
        return np.empty_like(x, dtype)
    if x.flags.c_contiguous:
        return empty(x.shape, dtype)
    if x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.c_contiguous:
        n, c, h, w = x.shape
        return empty((n, h, w, c), dtype).transpose(0, 3, 1, 2)
    order = sorted(range(x.ndim), key=lambda d: (-abs(x.strides[d]), d))
    return empty([x.shape[d] for d in order], dtype).transpose(np.argsort(order))


def stats() -> dict[str, int]:
    """Bytes of large arrays: see :func:`deepgpu.memory_stats`."""
    return _pool.stats()


def release() -> None:
    """Give the memory that no array uses back to the system."""
    _pool.release()


def reset_peak() -> None:
    """Let the peak be what is used now."""
    _pool.peak = _pool.used


class _Memory(np.ndarray):
    """Memory of the pool. (NumPy makes the base of a base its base, but only as far as the class is the same.)"""

    __slots__ = ()


class _Block(np.ndarray):
    """A piece of memory while an array uses it."""

    __slots__ = ()

    def __del__(self) -> None:
        memory = self.base  # of a view of a block it is that block
        if type(memory) is _Memory and _pool is not None:  # at the interpreter's end modules go before the last arrays
            _pool.give(memory)


class _Pool:
    """Pieces of memory that no array uses, by size; those that waited longest are given up first."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a collection inside of the lock may free a block
        self._idle: OrderedDict[int, list[Array]] = OrderedDict()
        self.used = self.peak = self.most = self.idle = 0  # bytes; `peak` may be reset

    def take(self, size: int) -> _Block:
        size = _rounded(size)
        with self._lock:
            waiting = self._idle.get(size) or self._larger(size)
            if waiting:
                memory = waiting.pop()
                size = memory.size
                self.idle -= size
            self.used = used = self.used + size
            if used > self.peak:
                self.peak = used
                self.most = max(self.most, used)
        return (memory if waiting is not None else self._fresh(size)).view(_Block)

    def _larger(self, size: int) -> list[Array] | None:
        """The smallest pieces that wait and are not too large."""
        fitting = [n for n, pieces in self._idle.items() if size < n <= SPARE * size and pieces]
        return self._idle[min(fitting)] if fitting else None

    def _fresh(self, size: int) -> Array:
        try:
            raw = np.empty(size + ALIGNMENT, np.uint8)
        except MemoryError:
            self.release()
            raw = np.empty(size + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        return raw.view(_Memory)[start : start + size]

    def give(self, memory: Array) -> None:
        size = memory.size
        with self._lock:
            self.used -= size
            self.idle += size
            waiting = self._idle.get(size)
            if waiting is None:
                waiting = self._idle[size] = []
            waiting.append(memory)
            self._idle.move_to_end(size)
            while self.idle > self.most:  # what one step needs is enough
                oldest, waiting = next(iter(self._idle.items()))
                if waiting:
                    waiting.pop()
                    self.idle -= oldest
                if not waiting:
                    del self._idle[oldest]

    def release(self) -> None:
        with self._lock:
            self._idle.clear()
            self.idle = 0

    def stats(self) -> dict[str, int]:
        with self._lock:
            return {"allocated": self.used, "peak": self.peak, "reserved": self.used + self.idle}


@functools.lru_cache(maxsize=1024)
def _rounded(size: int) -> int:
    """Up to one of eight sizes between two powers of two: arrays of about the same size share memory in turn."""
    step = 1 << max(size.bit_length() - 4, 12)
    return -(-size // step) * step


_pool = _Pool()
