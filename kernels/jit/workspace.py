"""Scratch memory for the kernels: kept from call to call, because fresh pages cost more than the arithmetic.

The first write to a page of memory that the system has just handed out takes a page fault, about four times as long as
the write itself. So every Python thread keeps its buffers, each as large as the largest request so far.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from .compile import kernel
from .vector import LANES

Array = Any

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""

SLACK = 64
"""Floats behind every buffer that a kernel may read or write: two panels of the widest vectors."""


STREAM = 8 << 20
"""Bytes of an image from which on little of it would be left in a cache when the next kernel reads it."""


class _Buffers(threading.local):
    """The buffers of one Python thread: two threads may convolve at the same time."""

    def __init__(self) -> None:
        self.by_name: dict[str, Array] = {}
        self.counter = np.zeros(1, np.int64)
        self.zeros = [aligned_zeros(4096)]


def workspace(name: str, *shape: int) -> Array:
    """A float32 array of this shape, aligned to ``ALIGNMENT``, in the buffer of that name.

    It holds whatever the last user of the name left there (zeros at first), and is valid until the name is used again.
    """
    size = math.prod(shape)
    buffer = _buffers.by_name.get(name)
    if buffer is None or buffer.size < size:
        _buffers.by_name.pop(name, None)  # give the old pages back before asking for more
        buffer = _buffers.by_name[name] = aligned_zeros(size)
    return buffer[:size].reshape(shape)


def streams(y: Array) -> int:
    """Whether to write rows of float32 past the caches: if they are too large for them, and whole vectors."""
    vector = 4 * LANES
    if y.nbytes < STREAM or y.dtype != np.float32:
        return 0
    return int(4 * y.shape[-1] % vector == 0 and y.ctypes.data % vector == 0)


def zeros(size: int) -> Array:
    """At least ``size`` float32 zeros, to be read only. They stay where they are: several users share them."""
    if _buffers.zeros[-1].size < size:
        _buffers.zeros.append(aligned_zeros(2 * size))
    return _buffers.zeros[-1]


def counter() -> int:
    """The address of an int64, set to zero, for the blocks that the workers of one kernel take."""
    _buffers.counter[0] = 0
    return address(_buffers.counter)


def aligned_zeros(size: int) -> Array:
    """``size`` float32 zeros, aligned, with ``SLACK`` behind them."""
    raw = np.zeros(4 * (size + SLACK) + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + 4 * (size + SLACK)].view(np.float32)[:size]


@kernel
def address(array):
    """Where the array's data begin: what a kernel takes. The caller keeps the array alive."""
    return array.ctypes.data


_buffers = _Buffers()
