"""Memory of CUDA devices and pinned memory of the host: what is in use, how much at most, what if there is no more.

CuPy's pools keep memory for later, each stream its own. What they take passes through :class:`Allocator`, which counts,
and turns running out of memory into an error that says what was asked for and who has how much.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import gc
import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cuda import graphs
from deepgpu.errors import OutOfMemoryError


class Counts:
    """What happened on one device, in bytes.

    Attributes
    ----------
    allocated, allocations
        All that was ever taken, and how often.
    peak, peak_reserved
        The most that was in use, and held by the pools, at once.
    retries, failures
        How often the pools had to be emptied to get memory, and how often that was not enough.
    """

    def __init__(self) -> None:
        self.allocated = self.allocations = 0
        self.peak = self.peak_reserved = 0
        self.retries = self.failures = 0


class Allocator:
    """Takes memory from CuPy's pool, or from another that stands in for it.

    Parameters
    ----------
    cupy
        CuPy, or what emulates it.
    """

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._pools = [cupy.get_default_memory_pool()]
        self._counts: dict[int, Counts] = {}
        self._lock = threading.Lock()

    def counts(self, device: int) -> Counts:
        """Of one device."""
        return self._counts.setdefault(device, Counts())

    def used_bytes(self) -> int:
        """Bytes of the current device that arrays hold."""
        return sum([pool.used_bytes() for pool in self._pools])

    def total_bytes(self) -> int:
        """Bytes of the current device that the pools hold."""
        return sum([pool.total_bytes() for pool in self._pools])

    def malloc(self, size: int) -> Any:
        """Take memory from the default pool; CuPy calls this for every array."""
        return self._malloc(self._pools[0], size)

    def _malloc(self, pool: Any, size: int) -> Any:
        exhausted = self._cupy.cuda.memory.OutOfMemoryError
        device = int(self._cupy.cuda.runtime.getDevice())
        counts = self.counts(device)
        try:
            block = pool.malloc(size)
        except exhausted:
            counts.retries += 1
            gc.collect()  # arrays that a reference cycle keeps
            self.release()
            try:
                block = pool.malloc(size)
            except exhausted as error:
                counts.failures += 1
                raise OutOfMemoryError(self._message(device, size, pool, error)) from None
        with self._lock:
            counts.allocated += size
            counts.allocations += 1
            counts.peak = max(counts.peak, self.used_bytes())
            counts.peak_reserved = max(counts.peak_reserved, self.total_bytes())
        return block

    def _message(self, device: int, size: int, pool: Any, error: Exception) -> str:
        free, total = self._cupy.cuda.runtime.memGetInfo()
        limit = pool.get_limit()
        bound = f" The pool may hold {shown(limit)} (`deepgpu.cuda.set_per_process_memory_fraction`)." if limit else ""
        return (
            f"CUDA out of memory on device 'cuda:{device}': {shown(size)} were asked for, also after the pool had "
            f"given back what was free. The device has {shown(total)}, of which {shown(free)} are free; tensors of "
            f"this process hold {shown(self.used_bytes())}, its pools {shown(self.total_bytes())}.{bound} "
            "A smaller batch, `with deepgpu.no_grad()` for evaluation, `deepgpu.autocast('cuda')` or "
            "`utils.checkpoint` take less."
        )

    def release(self) -> None:
        """Give memory that no array uses back to the driver."""
        for pool in self._pools:
            pool.free_all_blocks()

    def reset_peak(self, device: int) -> None:
        """Let the peaks be what is in use now; ``device`` is the current one."""
        counts = self.counts(device)
        counts.peak, counts.peak_reserved = self.used_bytes(), self.total_bytes()

    def private_pool(self) -> Any:
        """A new pool whose memory goes to nobody else; it counts until :meth:`forget`."""
        pool = self._cupy.cuda.MemoryPool()
        self._pools.append(pool)
        return pool

    def forget(self, pool: Any) -> None:
        """Count a private pool no more."""
        self._pools = [p for p in self._pools if p is not pool]

    @contextlib.contextmanager
    def drawing_from(self, pool: Any) -> Iterator[None]:
        """Inside, in this thread, arrays get their memory from ``pool``."""
        with self._cupy.cuda.using_allocator(functools.partial(self._malloc, pool)):
            yield


@functools.cache
def allocator(cupy: Any) -> Allocator:
    """The allocator of all devices, which CuPy uses from now on."""
    made = Allocator(cupy)
    cupy.cuda.set_allocator(made.malloc)
    return made


def shown(size: int) -> str:
    """Bytes for people: ``"1.50 GiB"``."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size / scale:.2f} {unit}"
    return f"{size} bytes"


# --- pinned memory of the host --------------------------------------------------------------------------------------

_busy: collections.deque[tuple[Any, Any]] = collections.deque()
"""Events, and what must not be freed before they have passed."""


def keep_until(event: Any, *held: Any) -> None:
    """Keep memory that a stream still reads until an event recorded behind that has passed."""
    while _busy and _busy[0][0].done:
        _busy.popleft()
    _busy.append((event, held))


def pinned_copy(cupy: Any, array: np.ndarray) -> np.ndarray:
    """A copy of a NumPy array in pinned memory, in the same order of its dimensions."""
    order, inverse = _by_stride(array)
    shape = [array.shape[d] for d in order]
    size = max(array.nbytes, 1)
    memory = np.frombuffer(cupy.cuda.alloc_pinned_memory(size), np.uint8, array.nbytes)
    copy = memory.view(array.dtype).reshape(shape).transpose(inverse)
    copy[...] = array
    return copy


def is_pinned(cupy: Any, array: np.ndarray) -> bool:
    """Whether a NumPy array lies in pinned memory."""
    return bool(cupy.cuda.pinned_memory.is_memory_pinned(array.ctypes.data))


def copied_asynchronously(cupy: Any, array: np.ndarray) -> Array:
    """A copy on the current device of an array in pinned memory; the host goes on before it is complete.

    Without gaps the bytes go as they are, keeping the order of the dimensions; anything else is copied synchronously.
    """
    order, inverse = _by_stride(array)
    source = array.transpose(order)
    if not source.flags.c_contiguous or not array.size:
        return cupy.asarray(array)
    out = cupy.empty(source.shape, array.dtype)
    stream = cupy.cuda.get_current_stream()
    out.data.copy_from_host_async(array.ctypes.data, array.nbytes, stream)
    if stream.is_capturing():
        graphs.keep(array)
    else:
        keep_until(stream.record(), array)
    return out.transpose(inverse)


def _by_stride(array: np.ndarray) -> tuple[list[int], list[int]]:
    """The dimensions from the outermost in memory to the innermost, and the permutation that undoes it."""
    order = sorted(range(array.ndim), key=lambda d: (-abs(array.strides[d]), d))
    return order, [order.index(d) for d in range(array.ndim)]


def fraction_of_device(cupy: Any, fraction: float) -> int:
    """Bytes that are a share of the current device's memory."""
    return math.floor(fraction * cupy.cuda.runtime.memGetInfo()[1])
