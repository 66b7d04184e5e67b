"""All steps of an LSTM layer on the CPU: the input's products for all rows at once, then one kernel for the rest."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array, LstmTrace
from deepgpu.backends.cpu import gemm, memory

LEAST = 4
"""Sequences in a task: each reads all weights at every step."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import lstm

    return lstm


def forward(
    x: Array, w: Array, bias: Array | None, recurrent: Array, h: Array, c: Array, sizes: tuple[int, ...], reverse: bool
) -> tuple[Array, Array, Array, LstmTrace]:
    """See :meth:`deepgpu.backends.base.Backend.lstm`."""
    rows, (batch, n) = len(x), h.shape
    products, width = gemm.linear(x, w, bias), _kernels().padded(4 * n)
    gates = products if products.shape[1] == width and products.flags.c_contiguous else _widened(products, width)
    # The states before all steps are rows of one array: the first ones lie before the outputs, or behind if reversed.
    states, cells = memory.empty((rows + batch, n), np.float32), memory.empty((rows, n), np.float32)
    outputs, first = (states[:rows], states[rows:]) if reverse else (states[batch:], states[:batch])
    first[...] = h
    last_h, last_c = np.array(h, order="C"), np.array(c, order="C")
    packed = _kernels().packed(recurrent.T)
    tasks, steps = _tasks(batch), _steps(sizes, reverse)
    _kernels().lstm_forward(tasks, tasks, steps, packed, gates, outputs, cells, last_h, last_c)
    before = states[batch:] if reverse else states[:rows]
    if sizes[0] != sizes[-1]:  # where a sequence has ended, the rows are nearer to each other
        before = np.concatenate([h, outputs])[_before(sizes, reverse)]
    return outputs, last_h, last_c, LstmTrace(gates, cells, before)


def backward(
    gy: Array, gh: Array, gc: Array, recurrent: Array, c: Array, trace: LstmTrace, sizes: tuple[int, ...], reverse: bool
) -> tuple[Array, Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.lstm_backward`."""
    batch, n = gh.shape
    ggates = memory.empty((len(gy), 4 * n), np.float32)
    state, of_cell = _widened(gh, _kernels().padded(n)), np.array(gc, order="C")
    packed = _kernels().packed(recurrent)
    tasks, steps, before = _tasks(batch), _steps(sizes, reverse), _before(sizes, reverse)
    gy, c = np.ascontiguousarray(gy), np.ascontiguousarray(c)
    _kernels().lstm_backward(
        tasks, tasks, steps, before, packed, gy, trace.gates, trace.cells, c, ggates, state, of_cell
    )
    return ggates, state[:, :n], of_cell


def _widened(x: Array, width: int) -> Array:
    """A copy with zeros behind each row, as the kernel writes whole panels."""
    wide = memory.empty((len(x), width), np.float32)
    wide[:, : x.shape[1]], wide[:, x.shape[1] :] = x, 0
    return wide


def _tasks(batch: int) -> int:
    """As many as threads: no task waits for another, and a sequence's sums do not depend on who else is in its task."""
    return max(1, min(_kernels().get_num_threads(), batch // LEAST))


@functools.lru_cache(maxsize=64)
def _steps(sizes: tuple[int, ...], reverse: bool) -> Array:
    """In the order of the steps: where the rows of each begin, and how many they are."""
    counts = np.array(sizes, np.int64)
    steps = np.stack([np.cumsum(counts) - counts, counts], 1)
    return np.ascontiguousarray(steps[::-1] if reverse else steps)


@functools.lru_cache(maxsize=64)
def _before(sizes: tuple[int, ...], reverse: bool) -> Array:
    """For each row, that of the step before it, among the first states and the rows behind them."""
    batch = sizes[0]
    firsts = np.cumsum([batch, *sizes])  # where the rows of each step begin there
    found = []
    for t, count in enumerate(sizes):
        rows, other = np.arange(count), t + 1 if reverse else t - 1
        has = count if t and not reverse else 0
        if reverse and other < len(sizes):
            has = sizes[other]
        found.append(np.where(rows < has, rows + (firsts[other] if has else 0), rows))
    return np.concatenate(found)
