"""All steps of a recurrent layer on the CPU: the input's products for all rows at once, one kernel for the rest."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array, RecurrenceTrace
from deepgpu.backends.cpu import gemm, memory

LEAST = 4
"""Sequences in a task: each task reads all weights at every step."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import recurrence

    return recurrence


def forward(
    kind: str,
    x: Array,
    w: Array,
    bias: Array | None,
    recurrent: Array,
    recurrent_bias: Array | None,
    first: tuple[Array, ...],
    sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Array, tuple[Array, ...], RecurrenceTrace]:
    """See :meth:`deepgpu.backends.base.Backend.recurrence`."""
    kernels, rows, (batch, n) = _kernels(), len(x), first[0].shape
    width = kernels.padded(len(recurrent))
    sums = gemm.linear(x, w, bias)
    if kind != "gru" and (sums.shape[1] != width or not sums.flags.c_contiguous):
        sums = _widened(sums, width)  # the kernel adds whole panels to them
    # The states before all steps are rows of one array: the first ones lie before the outputs, or behind if reversed.
    states = memory.empty((rows + batch, n), np.float32)
    outputs, begin = (states[:rows], states[rows:]) if reverse else (states[batch:], states[:batch])
    begin[...] = first[0]
    last = tuple([np.array(s, order="C") for s in first])
    packed, tasks, steps = kernels.packed(recurrent.T), _tasks(batch), _steps(sizes, reverse)
    others: tuple[Array, ...] = ()
    if kind == "lstm":
        others = (memory.empty((rows, n), np.float32),)
        kernels.lstm_forward(tasks, tasks, steps, packed, sums, outputs, *others, *last)
    elif kind == "gru":
        sums, others = np.ascontiguousarray(sums), (memory.empty((rows, width), np.float32),)
        padded = np.zeros(width, np.float32)
        padded[: 3 * n] = 0 if recurrent_bias is None else recurrent_bias
        kernels.gru_forward(tasks, tasks, steps, packed, padded, sums, *others, outputs, *last)
    else:
        kernels.rnn_forward(tasks, tasks, steps, packed, sums, outputs, *last, int(kind == "tanh"))
    before = states[batch:] if reverse else states[:rows]
    if sizes[0] != sizes[-1]:  # where a sequence has ended, the rows of two steps are nearer to each other
        before = np.concatenate([first[0], outputs])[_before(sizes, reverse)]
    return outputs, last, RecurrenceTrace(outputs, before, sums, *others)


def backward(
    kind: str,
    gy: Array,
    glast: tuple[Array, ...],
    recurrent: Array,
    first: tuple[Array, ...],
    trace: RecurrenceTrace,
    sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Array, Array, tuple[Array, ...]]:
    """See :meth:`deepgpu.backends.base.Backend.recurrence_backward`."""
    kernels, (batch, n) = _kernels(), glast[0].shape
    gsums = memory.empty((len(gy), len(recurrent)), np.float32)
    state, gy = _widened(glast[0], kernels.padded(n)), np.ascontiguousarray(gy)
    packed, tasks, steps = kernels.packed(recurrent), _tasks(batch), _steps(sizes, reverse)
    if kind == "lstm":
        cells, first_c, gc = trace.other, np.ascontiguousarray(first[1]), np.array(glast[1], order="C")
        before = _before(sizes, reverse)
        kernels.lstm_backward(tasks, tasks, steps, before, packed, gy, trace.gates, cells, first_c, gsums, state, gc)
        return gsums, gsums, (state[:, :n], gc)
    if kind == "gru":
        ghidden, first_h, before = memory.empty_like(gsums), np.ascontiguousarray(first[0]), _before(sizes, reverse)
        kernels.gru_backward(
            tasks,
            tasks,
            steps,
            before,
            packed,
            gy,
            trace.gates,
            trace.other,
            trace.outputs,
            first_h,
            gsums,
            ghidden,
            state,
        )
        return gsums, ghidden, (state[:, :n],)
    kernels.rnn_backward(tasks, tasks, steps, packed, gy, trace.outputs, gsums, state, int(kind == "tanh"))
    return gsums, gsums, (state[:, :n],)


def _widened(x: Array, width: int) -> Array:
    """A copy with zeros behind each row, as the kernels write whole panels."""
    wide = memory.empty((len(x), width), np.float32)
    wide[:, : x.shape[1]], wide[:, x.shape[1] :] = x, 0
    return wide


def _tasks(batch: int) -> int:
    """As many as threads: no task waits for another, and a sequence's sums do not depend on who else is in its task."""
    return max(1, min(_kernels().threads(), batch // LEAST))


@functools.lru_cache(maxsize=64)
def _steps(sizes: tuple[int, ...], reverse: bool) -> Array:
    """In the order of the steps: where the rows of each begin, and how many they are."""
    counts = np.array(sizes, np.int64)
    steps = np.stack([np.cumsum(counts) - counts, counts], 1)
    return np.ascontiguousarray(steps[::-1] if reverse else steps)


@functools.lru_cache(maxsize=64)
def _before(sizes: tuple[int, ...], reverse: bool) -> Array:
    """For each row, that of the step before it, among the first states and the rows behind them."""
    firsts = np.cumsum([sizes[0], *sizes])  # where the rows of each step begin there
    found = []
    for t, count in enumerate(sizes):
        rows, other = np.arange(count), t + 1 if reverse else t - 1
        has = min(count, sizes[other]) if 0 <= other < len(sizes) else 0  # the others begin with this step
        found.append(np.where(rows < has, rows + firsts[other], rows) if has else rows)
    return np.concatenate(found)
