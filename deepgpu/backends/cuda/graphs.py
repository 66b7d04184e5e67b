"""Which CUDA graph is being captured, and what has no place in one.

A captured graph is a list of launches on fixed addresses. What the host does in between happens once, at the capture:
so constants are copied to the device beside the capture and kept for as long as the graph. Random words that launches
read from device memory are drawn anew before each replay; what else would have to be new in every replay is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepgpu.backends.base import Array


class Draws:
    """Random numbers in device memory, drawn anew before each replay of a graph.

    They are drawn in the order of the capture, so that replays draw what the same steps would have drawn outside.
    """

    def __init__(self) -> None:
        self._all: list[tuple[Callable[[], np.ndarray], Array]] = []

    def add(self, array: Array, draw: Callable[[], np.ndarray]) -> None:
        """Fill an array with what `draw` returns."""
        self._all.append((draw, array))

    def replay(self, cupy: Any) -> None:
        """Draw all of them, and copy them to the device on the current stream."""
        stream = cupy.cuda.get_current_stream()
        for draw, array in self._all:
            host = np.ascontiguousarray(draw(), array.dtype)  # pageable: the driver copies it before it returns
            array.data.copy_from_host_async(host.ctypes.data, host.nbytes, stream)


class Capture:
    """One capture under way.

    Attributes
    ----------
    side
        A stream beside the captured one, on which constants are copied.
    kept
        Arrays that the launches refer to, and that nobody else may hold.
    draws
        What is drawn before each replay.
    """

    def __init__(self, cupy: Any) -> None:
        self.side = cupy.cuda.Stream(non_blocking=True)
        self.kept: list[Any] = []
        self.draws = Draws()


class _State:
    capture: Capture | None = None


state = _State()


def capturing() -> bool:
    """Whether a graph is being captured."""
    return state.capture is not None


def uploaded(cupy: Any, array: np.ndarray) -> Array:
    """A NumPy array on the device; in a graph it is a constant."""
    capture = state.capture
    if capture is None:
        return cupy.asarray(array)
    with capture.side:
        made = cupy.asarray(array)
        capture.side.synchronize()
    capture.kept.append(made)
    return made


def redrawn(cupy: Any, shape: tuple[int, ...], dtype: Any, draw: Callable[[], np.ndarray]) -> Array:
    """An array that has, in each replay of the graph that is being captured, other random numbers."""
    assert state.capture is not None
    array = uploaded(cupy, np.zeros(shape, dtype))
    state.capture.draws.add(array, draw)
    return array


def keep(*arrays: Any) -> None:
    """Let a graph that is being captured hold arrays that a cache might drop."""
    if state.capture is not None:
        state.capture.kept.extend(arrays)


def refuse(op: str, why: str, instead: str) -> None:
    """Raise RuntimeError if a graph is being captured."""
    if state.capture is not None:
        raise RuntimeError(f"`{op}` cannot be captured in a CUDA graph: {why}; {instead}")
