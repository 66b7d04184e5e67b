"""The gates of recurrent cells on the CPU."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import rnn as composed
from deepgpu.backends.cpu.parts import parts

WORTH = 1 << 11
"""Elements of the state that are worth a task of their own: each costs four exponentials and more."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import rnn

    return rnn


def lstm_gates(gates: Array, c: Array) -> tuple[Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.lstm_gates`."""
    return _run("lstm_gates", (gates, c), (c, c))


def lstm_gates_backward(gh: Array, gc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.lstm_gates_backward`."""
    return _run("lstm_gates_backward", (gh, gc, gates, c, new), (gates, c))


def gru_gates(x: Array, hidden: Array, h: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.gru_gates`."""
    return _run("gru_gates", (x, hidden, h), (h,))


def gru_gates_backward(g: Array, x: Array, hidden: Array, h: Array) -> tuple[Array, Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.gru_gates_backward`."""
    return _run("gru_gates_backward", (g, x, hidden, h), (x, hidden, h))


def _run(name: str, inputs: tuple[Array, ...], like: tuple[Array, ...]) -> Any:
    """Run the kernel of that name into arrays of these shapes, or the composed function for other dtypes."""
    state = like[-1]
    if state.size == 0 or any(a.dtype != np.float32 for a in inputs):
        return getattr(composed, name)(np, *inputs)
    results = tuple([np.empty(a.shape, np.float32) for a in like])
    tasks = parts(state.size, WORTH, len(state))
    getattr(_kernels(), name)(tasks, *[np.ascontiguousarray(a) for a in inputs], *results, tasks)
    return results if len(results) > 1 else results[0]
