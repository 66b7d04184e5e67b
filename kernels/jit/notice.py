"""A line on the terminal that says what is being compiled, when it takes long.

The first training on a machine compiles some dozens of kernels, for tens of seconds in all; nobody shall take that for
a program that hangs. Numba announces each compilation, and a timer speaks when the time without a word is over.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from numba.core.event import Event, Listener

PATIENCE = 2.0
"""Seconds of compiling, of one kernel or several, before the first line."""

PAUSE = 8.0
"""Seconds between two lines."""


class Notice(Listener):  # type: ignore[misc]  # Numba has no types
    """Hears of every compilation in the process, and tells of those in one package.

    Parameters
    ----------
    package
        The functions of its modules count.
    kept
        Says where the machine code will be.
    """

    def __init__(self, package: str, kept: Callable[[], Path]) -> None:
        self._package, self._kept = package, kept
        self._depth = 0  # a kernel is compiled together with those that it calls
        self._total, self._told = 0.0, 0.0  # seconds: all, and when the last line was written
        self._begin = 0.0
        self._timer: threading.Timer | None = None

    def on_start(self, event: Event) -> None:
        """A compilation begins."""
        function = event.data["dispatcher"].py_func
        if not function.__module__.startswith(self._package):
            return
        self._depth += 1
        if self._depth == 1:
            self._begin = time.monotonic()
            name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
            due = self._told + PAUSE if self._told else PATIENCE
            self._timer = threading.Timer(max(0.0, due - self._total), self._tell, [name])
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: Event) -> None:
        """It has ended, or failed."""
        if not event.data["dispatcher"].py_func.__module__.startswith(self._package):
            return
        self._depth -= 1
        if self._depth == 0 and self._timer is not None:
            self._timer.cancel()
            self._total += time.monotonic() - self._begin

    def _tell(self, name: str) -> None:
        self._told = self._total + time.monotonic() - self._begin
        print(
            f"deepgpu: compiling {name} for this CPU, {self._told:.0f} s so far; "
            f"the next start takes it from {self._kept()}",
            file=sys.stderr,
            flush=True,
        )
