"""Ctrl-C and requests to terminate, taken up between two batches."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """While active, the first SIGINT or SIGTERM is only noted; the second one acts as usual.

    Between two batches everything fits together and can be saved; in the middle of an optimizer's step it does not.
    Signals can only be taken up in the main thread; elsewhere this does nothing.

    Attributes
    ----------
    requested
        The name of the signal that came, or None.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, on_request: Any = None) -> None:
        self.requested: str | None = None
        self._on_request = on_request
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        for s, handler in self._before.items():
            signal.signal(s, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = signal.Signals(number).name
        self._restore()
        if self._on_request is not None:
            self._on_request()
