"""The gates of an LSTM and a GRU on ``kernels/cuda/rnn.cu``. `xp` is CuPy or what emulates it."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cuda import runtime
from deepgpu.backends.cuda.elementwise import vector
from deepgpu.backends.cuda.plans import C_TYPES, up

_THREADS = 256


def lstm_gates(xp: Any, gates: Array, c: Array) -> tuple[Array, Array]:
    """``h`` and the new cell."""
    h, new = xp.empty(c.shape, c.dtype), xp.empty(c.shape, c.dtype)
    _launch(xp, "lstm", (gates, c), (h, new), c)
    return h, new


def lstm_gates_backward(xp: Any, gh: Array, gc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
    """The gradients of the gates' sums and of the cell."""
    ggates, gcell = xp.empty(gates.shape, c.dtype), xp.empty(c.shape, c.dtype)
    _launch(xp, "lstm_backward", (gh, gc, gates, c, new), (ggates, gcell), c)
    return ggates, gcell


def gru_gates(xp: Any, x: Array, hidden: Array, h: Array) -> Array:
    """The new state."""
    new = xp.empty(h.shape, h.dtype)
    _launch(xp, "gru", (x, hidden, h), (new,), h)
    return new


def gru_gates_backward(xp: Any, g: Array, x: Array, hidden: Array, h: Array) -> tuple[Array, Array, Array]:
    """The gradients of both sums of the gates and of the state."""
    gx, ghidden, gh = xp.empty(x.shape, h.dtype), xp.empty(x.shape, h.dtype), xp.empty(h.shape, h.dtype)
    _launch(xp, "gru_backward", (g, x, hidden, h), (gx, ghidden, gh), h)
    return gx, ghidden, gh


def _launch(xp: Any, kernel: str, inputs: tuple[Array, ...], outputs: tuple[Array, ...], state: Array) -> None:
    """Launch over the units of a state ``(N, H)``, whose dtype all arrays get."""
    given = [xp.ascontiguousarray(a.astype(state.dtype, copy=False)) for a in inputs]
    n, units = state.shape
    width = vector(*given, *outputs)
    width = width if units % width == 0 else 1
    name = f"{kernel}<{C_TYPES[state.dtype.name]}, {width}>"
    grid = up(state.size, _THREADS * width)
    runtime.launch("rnn.cu", name, (grid,), (_THREADS,), (*given, *outputs, np.int64(n), np.int32(units)))
