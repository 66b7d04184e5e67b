"""What an LSTM's and a GRU's step does with the sums of its gates, float32. A task is one of `parts` runs of rows.

One pass: a gate is read once and never stored; backward makes the gates again from their sums. The exponential is that
of :mod:`.softmax`, so all of it is vectors. Bytes an element of the state: LSTM 28 forward, 52 backward.
"""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .parallel import parallel_for
from .softmax import exp

FUSED = {"contract"}

ONE, TWO = np.float32(1), np.float32(2)

SMALL = np.float32(0.625)
"""Below, ``1 - exp(-2 x)`` would cancel."""


@kernel(inline="always")
def sigmoid(x):
    """``1 / (1 + exp(-x))``, by an exponential that cannot overflow."""
    e = exp(-abs(x))
    return (ONE if x >= 0 else e) / (ONE + e)


@kernel(inline="always")
def tanh(x):
    """``(1 - e) / (1 + e)`` with ``e = exp(-2 |x|)``; near 0 an odd polynomial, fitted to 5e-9 at Chebyshev's nodes."""
    z = x * x
    near = np.float32(-0.005704042525286814)
    for factor in (0.020637861489554547, -0.05373915650374668, 0.13331431753510375, -0.3333328128411311):
        near = near * z + np.float32(factor)
    e = exp(-TWO * abs(x))
    far = (ONE - e) / (ONE + e)
    far = -far if x < 0 else far
    return x + x * z * near if abs(x) < SMALL else far


@parallel_for(fastmath=FUSED)
def lstm_gates(part, gates, c, h, new, parts):
    """``c' = f c + i g`` and ``h = o tanh(c')`` from the sums ``(rows, 4 n)`` of the gates i, f, g, o."""
    rows, n = c.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, before, out, after = gates[r], c[r], h[r], new[r]
        for j in range(n):
            cell = sigmoid(a[n + j]) * before[j] + sigmoid(a[j]) * tanh(a[2 * n + j])
            after[j] = cell
            out[j] = sigmoid(a[3 * n + j]) * tanh(cell)


@parallel_for(fastmath=FUSED)
def lstm_gates_backward(part, gh, gc, gates, c, new, ggates, gbefore, parts):
    """Gradients of the gates' sums and of the cell before, from those of ``h`` and of the new cell."""
    rows, n = c.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, before, after, dh, dc, da, db = gates[r], c[r], new[r], gh[r], gc[r], ggates[r], gbefore[r]
        for j in range(n):
            i, f, g, o = sigmoid(a[j]), sigmoid(a[n + j]), tanh(a[2 * n + j]), sigmoid(a[3 * n + j])
            t = tanh(after[j])
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
            reset, update = sigmoid(a[j] + b[j]), sigmoid(a[n + j] + b[n + j])
            candidate = tanh(a[2 * n + j] + reset * b[2 * n + j])
            after[j] = candidate + update * (before[j] - candidate)


@parallel_for(fastmath=FUSED)
def gru_gates_backward(part, g, x, hidden, h, gx, ghidden, gbefore, parts):
    """Gradients of both sums and of the state before."""
    rows, n = h.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, b, before, d, da, db, dh = x[r], hidden[r], h[r], g[r], gx[r], ghidden[r], gbefore[r]
        for j in range(n):
            reset, update, last = sigmoid(a[j] + b[j]), sigmoid(a[n + j] + b[n + j]), b[2 * n + j]
            candidate = tanh(a[2 * n + j] + reset * last)
            to_new = d[j] * (ONE - update) * (ONE - candidate * candidate)
            to_update = d[j] * (before[j] - candidate) * update * (ONE - update)
            to_reset = to_new * last * reset * (ONE - reset)
            da[j], da[n + j], da[2 * n + j] = to_reset, to_update, to_new
            db[j], db[n + j], db[2 * n + j] = to_reset, to_update, to_new * reset
            dh[j] = d[j] * update
