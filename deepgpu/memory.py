"""The memory of large CPU arrays, which is kept for the next ones; for GPUs see :mod:`deepgpu.cuda`."""

from __future__ import annotations

from deepgpu.backends.cpu import memory


def memory_stats() -> dict[str, int]:
    """How much memory large arrays on the CPU take.

    Returns
    -------
    dict
        ``"allocated"``: bytes of the arrays that are alive; ``"peak"``: the most that were alive at once, since
        :func:`reset_peak_memory_stats`; ``"reserved"``: bytes held, including those that wait for the next arrays.
        Arrays below 32 KiB are not counted, nor the kernels' scratch memory.
    """
    return memory.stats()


def reset_peak_memory_stats() -> None:
    """Let the peak be what is allocated now."""
    memory.reset_peak()


def empty_cache() -> None:
    """Give the memory that no array uses back to the system."""
    memory.release()
