"""Which CUDA graph is being captured, and what has no place in one.

A captured graph is a list of launches on fixed addresses. What the host does in between happens once, at the capture:
so constants are copied to the device beside the capture and kept for as long as the graph, and what would have to be
new in every replay is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array


class Capture:
    """One capture under way.

    Attributes
    ----------
    side
        A stream beside the captured one, on which constants are copied.
    kept
        Arrays that the launches refer to, and that nobody else may hold.
    """

    def __init__(self, cupy: Any) -> None:
        self.side = cupy.cuda.Stream(non_blocking=True)
        self.kept: list[Any] = []


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


def keep(*arrays: Any) -> None:
    """Let a graph that is being captured hold arrays that a cache might drop."""
    if state.capture is not None:
        state.capture.kept.extend(arrays)


def refuse(op: str, why: str, instead: str) -> None:
    """Raise RuntimeError if a graph is being captured."""
    if state.capture is not None:
        raise RuntimeError(f"`{op}` cannot be captured in a CUDA graph: {why}; {instead}")
