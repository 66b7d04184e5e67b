"""What an LSTM's and a GRU's step does with the sums of its gates, float32. A task is one of `parts` runs of rows.

One pass: a gate is read once and never stored; backward makes the gates again from their sums. All of it is
vectors. Bytes an element of the state: LSTM 28 forward, 52 backward.
"""

from __future__ import annotations

from .parallel import parallel_for
from .sigmoid import ONE, sigmoid_of, tanh_of

FUSED = {"contract"}


@parallel_for(fastmath=FUSED)
def lstm_gates(part, gates, c, h, new, parts):
    """``c' = f c + i g`` and ``h = o tanh(c')`` from the sums ``(rows, 4 n)`` of the gates i, f, g, o."""
    rows, n = c.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, before, out, after = gates[r], c[r], h[r], new[r]
        for j in range(n):
            cell = sigmoid_of(a[n + j]) * before[j] + sigmoid_of(a[j]) * tanh_of(a[2 * n + j])
            after[j] = cell
            out[j] = sigmoid_of(a[3 * n + j]) * tanh_of(cell)


@parallel_for(fastmath=FUSED)
def lstm_gates_backward(part, gh, gc, gates, c, new, ggates, gbefore, parts):
    """Gradients of the gates' sums and of the cell before, from those of ``h`` and of the new cell."""
    rows, n = c.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, before, after, dh, dc, da, db = gates[r], c[r], new[r], gh[r], gc[r], ggates[r], gbefore[r]
        for j in range(n):
            i, f, g, o = sigmoid_of(a[j]), sigmoid_of(a[n + j]), tanh_of(a[2 * n + j]), sigmoid_of(a[3 * n + j])
            t = tanh_of(after[j])
            through = dc[j] + dh[j] * o * (ONE - t * t)
            da[j] = through * g * i * (ONE - i)
            da[n + j] = through * before[j] * f * (ONE - f)
            da[2 * n + j] = through * i * (ONE - g * g)
            da[3 * n + j] = dh[j] * t * o * (ONE - o)
            db[j] = through * f


@parallel_for(fastmath=FUSED)
def gru_gates(part, x, hidden, h, new, parts):
    """``h' = n + z (h - n)`` from the sums ``(rows, 3 n)`` of the gates r, z, n of input and state."""
    rows, n = h.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, b, before, after = x[r], hidden[r], h[r], new[r]
        for j in range(n):
            reset, update = sigmoid_of(a[j] + b[j]), sigmoid_of(a[n + j] + b[n + j])
            candidate = tanh_of(a[2 * n + j] + reset * b[2 * n + j])
            after[j] = candidate + update * (before[j] - candidate)


@parallel_for(fastmath=FUSED)
def gru_gates_backward(part, g, x, hidden, h, gx, ghidden, gbefore, parts):
    """Gradients of both sums and of the state before."""
    rows, n = h.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, b, before, d, da, db, dh = x[r], hidden[r], h[r], g[r], gx[r], ghidden[r], gbefore[r]
        for j in range(n):
            reset, update, last = sigmoid_of(a[j] + b[j]), sigmoid_of(a[n + j] + b[n + j]), b[2 * n + j]
            candidate = tanh_of(a[2 * n + j] + reset * last)
            to_new = d[j] * (ONE - update) * (ONE - candidate * candidate)
            to_update = d[j] * (before[j] - candidate) * update * (ONE - update)
            to_reset = to_new * last * reset * (ONE - reset)
            da[j], da[n + j], da[2 * n + j] = to_reset, to_update, to_new
            db[j], db[n + j], db[2 * n + j] = to_reset, to_update, to_new * reset
            dh[j] = d[j] * update
