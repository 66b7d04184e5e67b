"""The memory of the emulated device: a pool that counts and has a limit, as CuPy's, and pinned memory of the host.

Arrays get their memory from NumPy; what they take is asked of the current allocator, so that whoever sets an allocator
(:mod:`deepgpu.backends.cuda.memory` does) is called for every one of them, as with CuPy.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class OutOfMemoryError(MemoryError):
    """``cupy.cuda.memory.OutOfMemoryError``."""


class Block:
    """Memory taken from a pool, and given back when nobody refers to it."""

    def __init__(self, pool: MemoryPool, size: int) -> None:
        self._pool, self._size = pool, size
        pool._take(size)

    def __del__(self) -> None:
        self._pool._used -= self._size


class MemoryPool:
    """``cupy.cuda.MemoryPool``: counts, and keeps what was given back until it is told to free it."""

    def __init__(self) -> None:
        self._used = self._held = self._limit = 0

    def malloc(self, size: int) -> Block:
        """Take memory; a limit is for what is in use."""
        if self._limit and self._used + size > self._limit:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes (limit set to: {self._limit:,} bytes).")
        return Block(self, size)

    def _take(self, size: int) -> None:
        self._used += size
        self._held = max(self._held, self._used)

    def used_bytes(self) -> int:
        """Bytes that arrays hold; views count once."""
        return self._used

    def free_bytes(self) -> int:
        """Bytes held for later."""
        return self._held - self._used

    def total_bytes(self) -> int:
        """Bytes that arrays hold or that are held for later."""
        return self._held

    def n_free_blocks(self) -> int:
        """Whether anything is held for later."""
        return int(self._held > self._used)

    def free_all_blocks(self, stream: Any = None) -> None:
        """Give back what is not used."""
        self._held = self._used

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Refuse to hold more than ``size`` bytes; 0 for no limit. There is no device whose fraction to take."""
        if fraction is not None:
            raise ValueError("the emulated memory has no size; give `size` instead of `fraction`")
        self._limit = size or 0

    def get_limit(self) -> int:
        """The limit in bytes, or 0."""
        return self._limit


class _Allocators(threading.local):
    own: Callable[[int], Any] | None = None  # of this thread


_pool = MemoryPool()
_default: Callable[[int], Any] = _pool.malloc
_allocators = _Allocators()
_blocks: dict[int, tuple[Any, Any]] = {}


def get_default_memory_pool() -> MemoryPool:
    """The pool that arrays are in unless an allocator says otherwise."""
    return _pool


def set_allocator(allocator: Callable[[int], Any]) -> None:
    """Ask ``allocator`` for memory from now on."""
    global _default
    _default = allocator


@contextlib.contextmanager
def using_allocator(allocator: Callable[[int], Any]) -> Iterator[None]:
    """Inside, in this thread, ask ``allocator`` for memory."""
    before, _allocators.own = _allocators.own, allocator
    try:
        yield
    finally:
        _allocators.own = before


def hold(host: np.ndarray) -> np.ndarray:
    """Account for the memory of an array, for as long as NumPy keeps it; returns the array that owns it."""
    root = host
    while (below := _below(root)) is not None:
        root = below
    key = id(root)
    if key in _blocks:
        return root
    block = (_allocators.own or _default)(root.nbytes)
    _blocks[key] = (weakref.ref(root, lambda _: _blocks.pop(key, None)), block)
    if watched is not None:
        watched.made.append(_blocks[key][0])
    return root


def _below(view: np.ndarray) -> np.ndarray | None:
    """The array whose memory a view sees. NumPy's broadcast views have an object between them."""
    base = view.base if isinstance(view.base, np.ndarray) else getattr(view.base, "base", None)
    return base if isinstance(base, np.ndarray) else None


class Snapshot:
    """The content of all arrays before a capture.

    Attributes
    ----------
    made
        References to the arrays that were made since.
    """

    def __init__(self) -> None:
        roots = [ref() for ref, _ in list(_blocks.values())]
        self._saved = [(root, root.copy()) for root in roots if root is not None]
        self.made: list[Any] = []

    def restore(self) -> None:
        """Undo what was done since; arrays made since are not initialised then: they hold NaN."""
        for root, content in self._saved:
            if root.flags.writeable:
                root[...] = content
        for ref in self.made:
            root = ref()
            if root is not None and root.flags.writeable and root.size:
                np.lib.stride_tricks.as_strided(root, (root.size,), (root.itemsize,)).view(np.uint8).fill(0xFF)


watched: Snapshot | None = None
"""Of the capture that allocates now, if one does."""


class PinnedMemoryPointer(bytearray):
    """``cupy.cuda.PinnedMemoryPointer``: a buffer that NumPy can make arrays of."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.ptr = np.frombuffer(self, np.uint8).ctypes.data
        _pinned[self.ptr] = weakref.ref(self)


_pinned: dict[int, Any] = {}


def alloc_pinned_memory(size: int) -> PinnedMemoryPointer:
    """Memory of the host that counts as pinned."""
    return PinnedMemoryPointer(size)


def is_memory_pinned(address: int) -> bool:
    """Whether pinned memory lies there."""
    for start, ref in list(_pinned.items()):
        memory = ref()
        if memory is None:
            del _pinned[start]
        elif start <= address < start + len(memory):
            return True
    return False
