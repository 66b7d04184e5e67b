"""The memory of GPUs: what tensors hold, what the pool keeps for later.

Freed memory stays in a pool and goes to the next tensors. When there is no more, the pool gives everything back and it
is tried once again, before :class:`~deepgpu.cuda.OutOfMemoryError` says what was asked for and who has how much.
"""

from __future__ import annotations

import collections
from typing import Any

from deepgpu.backends.cuda import memory, runtime
from deepgpu.backends.cuda.memory import shown
from deepgpu.cuda.devices import index_of


def memory_allocated(device: Any = None) -> int:
    """Bytes of a device's memory that tensors hold."""
    return memory_stats(device)["allocated_bytes.all.current"]


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that tensors held at once, since :func:`reset_peak_memory_stats`."""
    return memory_stats(device)["allocated_bytes.all.peak"]


def memory_reserved(device: Any = None) -> int:
    """Bytes of a device's memory that the pool holds, for tensors or for later."""
    return memory_stats(device)["reserved_bytes.all.current"]


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that the pool held at once, since :func:`reset_peak_memory_stats`."""
    return memory_stats(device)["reserved_bytes.all.peak"]


def memory_stats(device: Any = None) -> collections.OrderedDict[str, Any]:
    """What the allocator counts, under PyTorch's keys.

    Returns
    -------
    OrderedDict
        ``"allocated_bytes.all.*"`` and ``"reserved_bytes.all.*"`` with ``current`` and ``peak``; ``allocated`` for all
        that was ever taken; ``"allocation.all.allocated"``, how often; ``"num_alloc_retries"``, how often the pool had
        to be emptied; ``"num_ooms"``, how often that was not enough.
    """
    index, cupy = index_of(device), runtime.cupy()
    allocator = memory.allocator(cupy)
    counts = allocator.counts(index)
    with cupy.cuda.Device(index):
        used, held = allocator.used_bytes(), allocator.total_bytes()
    return collections.OrderedDict(
        {
            "allocated_bytes.all.allocated": counts.allocated,
            "allocated_bytes.all.current": used,
            "allocated_bytes.all.freed": counts.allocated - used,
            "allocated_bytes.all.peak": max(counts.peak, used),
            "allocation.all.allocated": counts.allocations,
            "num_alloc_retries": counts.retries,
            "num_ooms": counts.failures,
            "reserved_bytes.all.current": held,
            "reserved_bytes.all.peak": max(counts.peak_reserved, held),
        }
    )


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """A table of :func:`memory_stats`, to print."""
    stats = memory_stats(device)
    lines = [f"Memory of device 'cuda:{index_of(device)}'", "-" * 52]
    for name, key in (("tensors", "allocated_bytes.all"), ("pool", "reserved_bytes.all")):
        now, peak = shown(stats[f"{key}.current"]), shown(stats[f"{key}.peak"])
        lines.append(f"{name:10s} now {now:>14s}   at most {peak:>14s}")
    if not abbreviated:
        lines.append(f"allocations {stats['allocation.all.allocated']}, retries {stats['num_alloc_retries']}")
        lines[-1] += f", out of memory {stats['num_ooms']}"
    return "\n".join(lines)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Let the peaks be what is in use now."""
    index, cupy = index_of(device), runtime.cupy()
    with cupy.cuda.Device(index):
        memory.allocator(cupy).reset_peak(index)


def reset_max_memory_allocated(device: Any = None) -> None:
    """As :func:`reset_peak_memory_stats`."""
    reset_peak_memory_stats(device)


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of a device's memory."""
    cupy = runtime.cupy()
    with cupy.cuda.Device(index_of(device)):
        return cupy.cuda.runtime.memGetInfo()


def empty_cache() -> None:
    """Give memory that the pool holds for later back to the driver; nothing happens without a GPU."""
    if runtime.is_available():
        memory.allocator(runtime.cupy()).release()


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Let the pool hold at most a share of a device's memory.

    Raises
    ------
    ValueError
        If the share is not between 0 and 1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    cupy = runtime.cupy()
    with cupy.cuda.Device(index_of(device)):
        limit = memory.fraction_of_device(cupy, fraction)
        cupy.get_default_memory_pool().set_limit(size=limit if fraction < 1 else 0)
