"""The speed of light of a CPU's products: ours on blocks that stay in each core's L1 cache.

A module of its own, so that its kernel is compiled once and kept on disk; it loads Numba.
"""

from __future__ import annotations

import time

import numpy as np
from deepgpu.kernels.jit.gemm import TILE_ROWS, WIDTH, multiply
from deepgpu.kernels.jit.parallel import parallel_for

ROWS, LENGTH, REPEATS = 2 * TILE_ROWS, 128, 20_000


@parallel_for
def _products(task, memory):
    a = memory[task].ctypes.data
    b, c = a + 4 * ROWS * LENGTH, a + 4 * (ROWS + WIDTH) * LENGTH
    for _ in range(REPEATS):
        multiply(a, LENGTH, b, c, WIDTH, c, 0, ROWS, LENGTH, a, 0)


def peak(threads: int) -> float:
    """GFLOP/s of all threads together, the best of five."""
    memory = np.zeros((threads, (ROWS + 2 * WIDTH) * LENGTH), np.float32)
    _products(threads, memory)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        _products(threads, memory)
        times.append(time.perf_counter() - begin)
    return 2 * threads * REPEATS * ROWS * LENGTH * WIDTH / min(times) / 1e9
