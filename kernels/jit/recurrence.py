"""All steps of a recurrent layer by one call of a kernel, float32. A task takes some sequences through all steps.

The sequences of a batch do not know of each other, so no thread waits for another. A step is one product of
:mod:`.gemm` with the packed weights, which stay in L2 or L3, and the cell. Step by step, Python and the start of
threads would cost more than the arithmetic of all but wide layers.

A step's rows are neighbours in memory, and there are never more of them than a step before, so padded and packed
sequences are one (see :mod:`deepgpu.ops.recurrent`). All kernels take

``steps (T, 2)``
    in their order: where the rows of each begin, and how many they are;
``packed``
    the weights of the state, for backward the other way round;
``state (B, H)``
    first states in, last ones out; in backward the gradients of the last ones in, of the first ones out, in rows of
    whole panels;
``before``
    for each row, that of the step before it, among the B first states and the rows behind them.

Flops a row: ``2 G H H`` for G gates, and as many in backward. Bytes: the weights once a step and task, from L2 or L3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compile import kernel
from .gemm import WIDTH, multiply
from .panels import Operand, pack_panels
from .parallel import parallel_for, threads
from .rnn import FUSED
from .sigmoid import ONE, sigmoid_of, tanh_of
from .workspace import address, reserve

__all__ = [
    "gru_backward",
    "gru_forward",
    "lstm_backward",
    "lstm_forward",
    "packed",
    "padded",
    "rnn_backward",
    "rnn_forward",
    "threads",
]

Array = Any

ZERO = np.float32(0)


def padded(columns: int) -> int:
    """Columns rounded up to whole panels."""
    return -(-columns // WIDTH) * WIDTH


def packed(matrix: Array) -> int:
    """The address of ``matrix (k, n)`` in panels, in a workspace."""
    k, n = matrix.shape
    by_columns = int(matrix.strides[1] != 4)
    if matrix.strides[1 - by_columns] != 4:
        matrix, by_columns = np.ascontiguousarray(matrix), 0
    to = reserve("weights", padded(n) * k)
    pack_panels(address(matrix), Operand(0, matrix.strides[by_columns] // 4, by_columns), to, 1, k, n)
    return to


@kernel
def _multiply(rows, length, packed, sums, width, start, start_row, count):
    """``sums (count, width) = start + rows (count, length) @ weights``; all by address."""
    for j in range(0, width, WIDTH):
        panel = packed + 4 * j * length
        ahead = panel + 4 * length * WIDTH if j + WIDTH < width else packed
        multiply(rows, length, panel, sums + 4 * j, width, start + 4 * j, start_row, count, length, ahead, 0)


@kernel
def _group(part, parts, batch):
    """A task's sequences: the first, and the one behind the last."""
    return batch * part // parts, batch * (part + 1) // parts


@kernel
def _rows(steps, step, begin, end):
    """Where the rows of some sequences begin at a step, and how many have not ended."""
    return steps[step, 0] + begin, max(0, min(steps[step, 1], end) - begin)


@parallel_for(fastmath=FUSED)
def rnn_forward(part, parts, steps, packed, sums, h, state, is_tanh):
    """``h = tanh(sum)``, or with ReLU. ``sums (rows, H or more)`` come as products of the input."""
    batch, n = state.shape
    begin, end = _group(part, parts, batch)
    width = sums.shape[1]
    for step in range(steps.shape[0]):
        first, count = _rows(steps, step, begin, end)
        place = sums[first:].ctypes.data
        _multiply(state[begin:].ctypes.data, n, packed, place, width, place, width, count)
        for r in range(count):
            a, out, now = sums[first + r], h[first + r], state[begin + r]
            if is_tanh:
                for j in range(n):
                    out[j] = now[j] = tanh_of(a[j])
            else:
                for j in range(n):
                    out[j] = now[j] = ZERO if a[j] < ZERO else a[j]


@parallel_for(fastmath=FUSED)
def rnn_backward(part, parts, steps, packed, gh, h, gsums, state, is_tanh):
    """Gradients of the sums, from those of the outputs ``h``."""
    batch, width = state.shape
    n = gh.shape[1]
    begin, end = _group(part, parts, batch)
    for step in range(steps.shape[0] - 1, -1, -1):
        first, count = _rows(steps, step, begin, end)
        for r in range(count):
            y, d, da, of_state = h[first + r], gh[first + r], gsums[first + r], state[begin + r]
            for j in range(n):
                slope = ONE - y[j] * y[j] if is_tanh else (ZERO if y[j] <= ZERO else ONE)
                da[j] = (d[j] + of_state[j]) * slope
                of_state[j] = 0
        place = state[begin:].ctypes.data
        _multiply(gsums[first:].ctypes.data, n, packed, place, width, place, width, count)


@parallel_for(fastmath=FUSED)
def lstm_forward(part, parts, steps, packed, gates, h, c, state, cells):
    """``c' = f c + i g`` and ``h = o tanh(c')``; the last cells are in ``cells``.

    ``gates (rows, 4 H or more)`` come as products of the input and become the gates i, f, g, o.
    """
    batch, n = state.shape
    begin, end = _group(part, parts, batch)
    width = gates.shape[1]
    for step in range(steps.shape[0]):
        first, count = _rows(steps, step, begin, end)
        place = gates[first:].ctypes.data
        _multiply(state[begin:].ctypes.data, n, packed, place, width, place, width, count)
        for r in range(count):
            a, out, after = gates[first + r], h[first + r], c[first + r]
            now, cell = state[begin + r], cells[begin + r]
            for j in range(n):
                i, f, g, o = sigmoid_of(a[j]), sigmoid_of(a[n + j]), tanh_of(a[2 * n + j]), sigmoid_of(a[3 * n + j])
                new = f * cell[j] + i * g
                a[j], a[n + j], a[2 * n + j], a[3 * n + j] = i, f, g, o
                after[j] = cell[j] = new
                out[j] = now[j] = o * tanh_of(new)


@parallel_for(fastmath=FUSED)
def lstm_backward(part, parts, steps, before, packed, gh, gates, c, first_c, gsums, state, gc):
    """Gradients of the gates' sums; those of the cells, last ones in and first ones out, are in ``gc (B, H)``."""
    batch, n = gc.shape
    begin, end = _group(part, parts, batch)
    width = state.shape[1]
    for step in range(steps.shape[0] - 1, -1, -1):
        first, count = _rows(steps, step, begin, end)
        for r in range(count):
            a, after, dh, da = gates[first + r], c[first + r], gh[first + r], gsums[first + r]
            of_state, of_cell, row = state[begin + r], gc[begin + r], before[first + r]
            cell = first_c[row] if row < batch else c[row - batch]
            for j in range(n):
                i, f, g, o = a[j], a[n + j], a[2 * n + j], a[3 * n + j]
                t, d = tanh_of(after[j]), dh[j] + of_state[j]
                through = of_cell[j] + d * o * (ONE - t * t)
                da[j] = through * g * i * (ONE - i)
                da[n + j] = through * cell[j] * f * (ONE - f)
                da[2 * n + j] = through * i * (ONE - g * g)
                da[3 * n + j] = d * t * o * (ONE - o)
                of_cell[j] = through * f
                of_state[j] = 0
        place = state[begin:].ctypes.data
        _multiply(gsums[first:].ctypes.data, 4 * n, packed, place, width, place, width, count)


@parallel_for(fastmath=FUSED)
def gru_forward(part, parts, steps, packed, bias, gates, hidden, h, state):
    """``h' = n + z (h - n)``. ``gates (rows, 3 H)`` come as products of the input and become the gates r, z, n.

    ``hidden (rows, 3 H or more)`` becomes the state's products with ``bias``, whole panels wide.
    """
    batch, n = state.shape
    begin, end = _group(part, parts, batch)
    width = hidden.shape[1]
    for step in range(steps.shape[0]):
        first, count = _rows(steps, step, begin, end)
        place = hidden[first:].ctypes.data
        _multiply(state[begin:].ctypes.data, n, packed, place, width, bias.ctypes.data, 0, count)
        for r in range(count):
            a, b, out, now = gates[first + r], hidden[first + r], h[first + r], state[begin + r]
            for j in range(n):
                reset, update = sigmoid_of(a[j] + b[j]), sigmoid_of(a[n + j] + b[n + j])
                candidate = tanh_of(a[2 * n + j] + reset * b[2 * n + j])
                a[j], a[n + j], a[2 * n + j] = reset, update, candidate
                out[j] = now[j] = candidate + update * (now[j] - candidate)


@parallel_for(fastmath=FUSED)
def gru_backward(part, parts, steps, before, packed, gh, gates, hidden, h, first_h, gsums, ghidden, state):
    """Gradients of both sums of the gates; ``h`` are the outputs."""
    batch, width = state.shape
    n = gh.shape[1]
    begin, end = _group(part, parts, batch)
    for step in range(steps.shape[0] - 1, -1, -1):
        first, count = _rows(steps, step, begin, end)
        for r in range(count):
            a, b, dh, da, db = gates[first + r], hidden[first + r], gh[first + r], gsums[first + r], ghidden[first + r]
            of_state, row = state[begin + r], before[first + r]
            last = first_h[row] if row < batch else h[row - batch]
            for j in range(n):
                reset, update, candidate = a[j], a[n + j], a[2 * n + j]
                d = dh[j] + of_state[j]
                to_new = d * (ONE - update) * (ONE - candidate * candidate)
                to_update = d * (last[j] - candidate) * update * (ONE - update)
                to_reset = to_new * b[2 * n + j] * reset * (ONE - reset)
                da[j], da[n + j], da[2 * n + j] = to_reset, to_update, to_new
                db[j], db[n + j], db[2 * n + j] = to_reset, to_update, to_new * reset
                of_state[j] = d * update
        place = state[begin:].ctypes.data
        _multiply(ghidden[first:].ctypes.data, 3 * n, packed, place, width, place, width, count)
