"""Scratch memory for the kernels: kept from call to call, because fresh pages cost more than the arithmetic.

The first write to a page of memory that the system has just handed out takes a page fault, about four times as long as
the write itself. So every Python thread keeps its buffers, each as large as the largest request so far.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .compile import kernel
from .vector import LANES

Array = Any

Kept = dict[Any, Any]
"""Arrays that were made of some weights, by what was made; None for what was made but once."""

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""

SLACK = 64
"""Floats behind every buffer that a kernel may read or write: two panels of the widest vectors."""


STREAM = 8 << 20
"""Bytes of an image from which on little of it would be left in a cache when the next kernel reads it."""


class _Buffers(threading.local):
    """The buffers of one Python thread: two threads may convolve at the same time."""

    def __init__(self) -> None:
        self.by_name: dict[str, tuple[Array, int]] = {}  # with their addresses
        self.counter = np.zeros(1, np.int64)
        self.counter_address = self.counter.ctypes.data
        self.zeros: list[Array] = []  # all that were ever handed out
        self.zeros_address = self.zeros_size = 0

    def of(self, name: str, size: int) -> tuple[Array, int]:
        """A buffer of at least this size, and its address."""
        found = self.by_name.get(name)
        if found is not None and found[0].size >= size:
            return found
        found = None  # give the old pages back before asking for more
        self.by_name.pop(name, None)
        buffer = aligned_zeros(size)
        self.by_name[name] = made = buffer, address(buffer)
        return made


def workspace(name: str, *shape: int) -> Array:
    """A float32 array of this shape, aligned to ``ALIGNMENT``, in the buffer of that name.

    It holds whatever the last user of the name left there (zeros at first), and is valid until the name is used again.
    """
    size = math.prod(shape)
    return _buffers.of(name, size)[0][:size].reshape(shape)


def reserve(name: str, size: int) -> int:
    """The address of ``size`` floats of a :func:`workspace`."""
    return _buffers.of(name, size)[1]


def prepared(name: str, shape: tuple[int, ...], fill: Callable[[Array], None], kept: Kept | None, key: Any) -> Array:
    """What a kernel makes of weights before it uses them: an array that ``fill(array)`` fills, or one filled before.

    Parameters
    ----------
    name
        Of the workspace to use if it is not to be kept.
    kept
        What was kept of the same values, by key; None if they can change unnoticed. The second call with a key keeps
        its array: the first may be the only one, as where weights change after every call.
    """
    if kept is None or key not in kept:
        array = workspace(name, *shape)
        fill(array)
        if kept is not None:
            kept[key] = None
        return array
    array = kept[key]
    if array is None:
        array = aligned_zeros(math.prod(shape)).reshape(shape)
        fill(array)
        kept[key] = array
    return array


def bias_row(bias: Array | None, size: int) -> int:
    """The address of ``size`` floats that begin with the bias; of zeros if there is none."""
    if bias is None:
        return zeros(size)
    row, place = _buffers.of("bias", size)
    row[: bias.size] = bias
    return place


def streams(y: Array) -> int:
    """Whether to write rows of float32 past the caches: if they are too large for them, and whole vectors."""
    vector = 4 * LANES
    if y.nbytes < STREAM or y.dtype != np.float32:
        return 0
    return int(4 * y.shape[-1] % vector == 0 and y.ctypes.data % vector == 0)


def zeros(size: int) -> int:
    """The address of ``size`` float32 zeros, to be read only. They stay where they are: several users share them."""
    if _buffers.zeros_size < size:
        more = aligned_zeros(max(2 * size, 4096))
        _buffers.zeros.append(more)
        _buffers.zeros_address, _buffers.zeros_size = address(more), more.size
    return _buffers.zeros_address


def counter() -> int:
    """The address of an int64, set to zero, for the blocks that the workers of one kernel take."""
    _buffers.counter[0] = 0
    return _buffers.counter_address


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
