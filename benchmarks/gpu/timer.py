"""Times of work on a GPU: CUDA events around one call, the L2 cache emptied before each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


class Timer:
    """Times calls on the default stream, ours and PyTorch's alike.

    Parameters
    ----------
    cupy
        CuPy, or what emulates it.
    flush
        Bytes that are written before each call so that nothing of its operands is left in the cache.
    """

    def __init__(self, cupy: Any, flush: int = 256 << 20) -> None:
        self._cupy = cupy
        self._memory = cupy.zeros(max(flush, 1), "uint8")
        self._events = [cupy.cuda.Event() for _ in range(2)]

    def seconds(self, call: Callable[[], Any], limit: float = 0.5, most: int = 30) -> list[float]:
        """The times of some calls, after two to warm up; as many as fit into ``limit`` seconds, at least 3."""
        for _ in range(2):
            call()
        times: list[float] = []
        end = time.perf_counter() + limit
        while len(times) < 3 or (time.perf_counter() < end and len(times) < most):
            self._memory.fill(len(times) % 2)
            start, stop = self._events
            start.record()
            call()
            stop.record()
            stop.synchronize()
            times.append(self._cupy.cuda.get_elapsed_time(start, stop) * 1e-3)
        return times


def median(times: list[float]) -> float:
    """The middle one."""
    return statistics.median(times)
