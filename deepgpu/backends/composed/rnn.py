"""What an LSTM's and a GRU's step does with the sums of its gates, composed of array operations.

Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000; Cho et al., arXiv 1406.1078, with the reset
behind the product, as in PyTorch and cuDNN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.precision import rounded, widened


@np.errstate(over="ignore")
def _sigmoid(xp: Any, x: Array) -> Array:
    return 1 / (xp.exp(-x) + 1)


def lstm_gates(xp: Any, gates: Array, c: Array) -> tuple[Array, Array]:
    """``h`` and the new cell."""
    wide, n = widened(gates), c.shape[1]
    s = _sigmoid(xp, wide)
    new = s[:, n : 2 * n] * widened(c) + s[:, :n] * xp.tanh(wide[:, 2 * n : 3 * n])
    return rounded(s[:, 3 * n :] * xp.tanh(new), c.dtype), rounded(new, c.dtype)


def lstm_gates_backward(xp: Any, gh: Array, gc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
    """The gradients of the gates' sums and of the cell."""
    wide, n, dh = widened(gates), c.shape[1], widened(gh)
    s, g, t = _sigmoid(xp, wide), xp.tanh(wide[:, 2 * n : 3 * n]), xp.tanh(widened(new))
    i, f, o = s[:, :n], s[:, n : 2 * n], s[:, 3 * n :]
    through = widened(gc) + dh * o * (1 - t * t)  # the gradient of the new cell
    parts = [
        through * g * i * (1 - i),
        through * widened(c) * f * (1 - f),
        through * i * (1 - g * g),
        dh * t * o * (1 - o),
    ]
    return rounded(xp.concatenate(parts, axis=1), gates.dtype), rounded(through * f, c.dtype)


def gru_gates(xp: Any, x: Array, hidden: Array, h: Array) -> Array:
    """The new state."""
    a, b, n = widened(x), widened(hidden), h.shape[1]
    s = _sigmoid(xp, a[:, : 2 * n] + b[:, : 2 * n])
    new = xp.tanh(a[:, 2 * n :] + s[:, :n] * b[:, 2 * n :])
    return rounded(new + s[:, n:] * (widened(h) - new), h.dtype)


def gru_gates_backward(xp: Any, g: Array, x: Array, hidden: Array, h: Array) -> tuple[Array, Array, Array]:
    """The gradients of both sums of the gates and of the state."""
    a, b, n, d = widened(x), widened(hidden), h.shape[1], widened(g)
    s = _sigmoid(xp, a[:, : 2 * n] + b[:, : 2 * n])
    r, z, last = s[:, :n], s[:, n:], b[:, 2 * n :]
    new = xp.tanh(a[:, 2 * n :] + r * last)
    to_new = d * (1 - z) * (1 - new * new)
    to_z = d * (widened(h) - new) * z * (1 - z)
    to_r = to_new * last * r * (1 - r)
    gx = xp.concatenate([to_r, to_z, to_new], axis=1)
    ghidden = xp.concatenate([to_r, to_z, to_new * r], axis=1)
    return rounded(gx, x.dtype), rounded(ghidden, hidden.dtype), rounded(d * z, h.dtype)
