"""Whether ops are recorded: ``no_grad``, ``enable_grad``, ``set_grad_enabled``, ``inference_mode``. Per thread."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _State(threading.local):
    enabled = True
    inference = False


state = _State()


def is_grad_enabled() -> bool:
    """Whether ops on tensors that require grad are recorded."""
    return state.enabled


def is_inference_mode_enabled() -> bool:
    """Whether tensors made now are inference tensors."""
    return state.inference


class _Mode:
    """A context manager that is also a decorator; re-entrant, since each ``with`` keeps what it found on a stack."""

    def __init__(self, enabled: bool, inference: bool | None = None) -> None:
        self._target = (enabled, inference)
        self._found: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._found.append((state.enabled, state.inference))
        enabled, inference = self._target
        state.enabled = enabled
        if inference is not None:
            state.inference = inference

    def __exit__(self, *exc: object) -> None:
        state.enabled, state.inference = self._found.pop()

    def __call__(self, function: F) -> F:
        enabled, inference = self._target

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with _Mode(enabled, inference):
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]


class no_grad(_Mode):
    """Context or decorator: ops inside are not recorded, so their results do not require grad."""

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = super().__new__(cls)
        if function is None:
            return self
        _Mode.__init__(self, False)
        return self(function)

    def __init__(self, function: None = None) -> None:
        super().__init__(False)


class enable_grad(_Mode):
    """Context or decorator: ops inside are recorded again, within a ``no_grad``."""

    def __init__(self) -> None:
        super().__init__(True)


class inference_mode(_Mode):
    """Like ``no_grad``; tensors made inside can never take part in a recorded op.

    Parameters
    ----------
    mode
        False makes it the opposite: a normal region inside an inference region.
    """

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode, mode)


class set_grad_enabled(_Mode):
    """Switch recording on or off: at once when called, and back at the end when used as a context."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self._before = state.enabled
        state.enabled = bool(mode)

    def __enter__(self) -> None:
        self._found.append((self._before, state.inference))
        state.enabled = self._target[0]
