"""All steps of an LSTM by one call of a kernel, float32: a task is a group of sequences, from their first step to last.

The sequences of a batch do not know of each other, so a thread takes some through all steps and waits for nobody. A
step is one product of :mod:`.gemm` with the packed weights, which stay in L2 or L3, and the gates of :mod:`.rnn`.
Step by step, Python and the start of threads would cost more than the arithmetic of all but wide layers.

A step's rows are neighbours in memory, and the number of them never grows, so padded and packed sequences are one (see
:mod:`deepgpu.ops.recurrent`). Rows `(sum of sizes, ...)`; flops a row and step: ``8 H H``, and again in backward.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_num_threads

from .gemm import WIDTH, multiply
from .panels import Operand, pack_panels
from .parallel import parallel_for
from .rnn import FUSED, ONE, sigmoid, tanh
from .workspace import address, workspace

__all__ = ["get_num_threads", "lstm_backward", "lstm_forward", "packed", "padded"]

Array = Any


def padded(columns: int) -> int:
    """Columns rounded up to whole panels."""
    return -(-columns // WIDTH) * WIDTH


def packed(matrix: Array) -> int:
    """The address of ``matrix (k, n)`` in panels, in a workspace; its rows or its columns are contiguous."""
    k, n = matrix.shape
    by_columns = int(matrix.strides[1] != 4)
    if matrix.strides[1 - by_columns] != 4:
        matrix, by_columns = np.ascontiguousarray(matrix), 0
    to = address(workspace("weights", padded(n) * k))
    pack_panels(address(matrix), Operand(0, matrix.strides[by_columns] // 4, by_columns), to, 1, k, n)
    return to


@parallel_for(fastmath=FUSED)
def lstm_forward(part, parts, steps, packed, gates, h, c, last_h, last_c):
    """Run some sequences: fill the rows of ``h`` and ``c``, and turn the first states into the last ones.

    `steps` ``(T, 2)`` has the steps in their order: where its rows begin, and their number. ``gates (rows, 4 H or
    more)`` come as products of the input, whole panels wide, and become the sums of the gates.
    """
    batch, n = last_h.shape
    begin, end = batch * part // parts, batch * (part + 1) // parts
    row = gates.shape[1]
    for step in range(steps.shape[0]):
        first, count = steps[step, 0] + begin, min(steps[step, 1], end) - begin
        if count <= 0:
            continue
        state = last_h[begin:].ctypes.data
        for j in range(0, row, WIDTH):
            b, sums = packed + 4 * j * n, gates[first:, j:].ctypes.data
            ahead = b + 4 * n * WIDTH if j + WIDTH < row else packed
            multiply(state, n, b, sums, row, sums, row, count, n, ahead, 0)
        for r in range(count):
            a, out, after = gates[first + r], h[first + r], c[first + r]
            now, cell = last_h[begin + r], last_c[begin + r]
            for j in range(n):
                new = sigmoid(a[n + j]) * cell[j] + sigmoid(a[j]) * tanh(a[2 * n + j])
                after[j] = cell[j] = new
                out[j] = now[j] = sigmoid(a[3 * n + j]) * tanh(new)


@parallel_for(fastmath=FUSED)
def lstm_backward(part, parts, steps, before, packed, gh, gates, c, first_c, ggates, state, gc):
    """Some sequences' gradients of the gates' sums, and of the first states from those of the last ones.

    `steps` as above, in the order of the forward; of each row, `before` is the row of the step before among those of
    the first states and then of ``c``. ``state (B, H or more)``, whole panels wide, and ``gc (B, H)`` come as gradients
    of the last states. The weights are packed the other way.
    """
    batch, n = gc.shape
    begin, end = batch * part // parts, batch * (part + 1) // parts
    wide, nothing = state.shape[1], np.zeros(WIDTH, np.float32)
    for step in range(steps.shape[0] - 1, -1, -1):
        first, count = steps[step, 0] + begin, min(steps[step, 1], end) - begin
        if count <= 0:
            continue
        for r in range(count):
            a, after, dh, da = gates[first + r], c[first + r], gh[first + r], ggates[first + r]
            of_state, of_cell, place = state[begin + r], gc[begin + r], before[first + r]
            cell = first_c[place] if place < batch else c[place - batch]
            for j in range(n):
                i, f, g, o = sigmoid(a[j]), sigmoid(a[n + j]), tanh(a[2 * n + j]), sigmoid(a[3 * n + j])
                t, d = tanh(after[j]), dh[j] + of_state[j]
                through = of_cell[j] + d * o * (ONE - t * t)
                da[j] = through * g * i * (ONE - i)
                da[n + j] = through * cell[j] * f * (ONE - f)
                da[2 * n + j] = through * i * (ONE - g * g)
                da[3 * n + j] = d * t * o * (ONE - o)
                of_cell[j] = through * f
        grads, to = ggates[first:].ctypes.data, state[begin:].ctypes.data
        for j in range(0, wide, WIDTH):
            b = packed + 4 * j * 4 * n
            ahead = b + 4 * 4 * n * WIDTH if j + WIDTH < wide else packed
            multiply(grads, 4 * n, b, to + 4 * j, wide, nothing.ctypes.data, 0, count, 4 * n, ahead, 0)
