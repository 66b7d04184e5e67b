"""Anomaly mode: errors in backward say where their op was created, and the first NaN is found."""

from __future__ import annotations

import threading
import traceback
from typing import Any


class _State(threading.local):
    enabled = False
    check_nan = True


state = _State()


def creation_trace() -> str:
    """The user's call stack of an op, without the frames of the framework."""
    frames = [f for f in traceback.extract_stack() if "/deepgpu/autograd/" not in f.filename.replace("\\", "/")]
    return "".join(traceback.format_list(frames[-12:]))


class set_detect_anomaly:
    """Switch anomaly mode on or off, at once; as a context manager, until its end.

    Parameters
    ----------
    mode
        Record where each op is created, so that an error in its backward shows the place.
    check_nan
        Raise RuntimeError at the first backward that produces a NaN.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (state.enabled, state.check_nan)
        state.enabled, state.check_nan = mode, check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        state.enabled, state.check_nan = self._before


class detect_anomaly(set_detect_anomaly):
    """``set_detect_anomaly(True)`` as a context manager."""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return state.enabled


def explain(node: Any) -> str:
    """Where ``node`` was created, for an error message."""
    if node.trace is None:
        return ""
    return f"\n`{node.name}` was created here (most recent call last):\n{node.trace}"


def check(node: Any, grads: tuple[Any, ...]) -> None:
    """Raise if a gradient that ``node`` produced holds a NaN."""
    for nr, g in enumerate(grads):
        if g is not None and bool(g._backend.xp.isnan(g._data).any()):
            raise RuntimeError(f"`{node.name}` returned NaN as gradient of its input {nr}.{explain(node)}")
