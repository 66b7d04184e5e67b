"""Streams, events and graphs of the emulated device.

Everything runs at once, in the order of the program. While a stream is captured, what it runs is also recorded on a
tape: the functions with their arrays. The end of a capture undoes what it did, as a GPU would not have done it. A
replay calls the functions again and writes each result to where the first one lies: a graph works on fixed memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from deepgpu.backends.cuda import emulated_memory as memory


class _Current(threading.local):
    def __init__(self) -> None:
        self.streams: list[Stream] = [Stream.null]


class StreamCaptureError(RuntimeError):
    """What a GPU's driver refuses while a stream is captured."""


def refuse(what: str) -> None:
    """Raise if the current stream is captured: ``what`` needs the GPU to be done, or has no place in a graph."""
    if _current.streams[-1].tape is not None:
        raise StreamCaptureError(f"cudaErrorStreamCaptureUnsupported: {what} is not permitted when stream is capturing")


def record(call: Callable[[], Any], made: Any = None) -> None:
    """Put a call on the tape of the current stream, if there is one; ``made`` is what it returned."""
    tape = _current.streams[-1].tape
    if tape is not None:
        tape.append((call, made))


class Graph:
    """``cupy.cuda.Graph``: what was recorded between the beginning and the end of a capture."""

    def __init__(self, tape: list[tuple[Callable[[], Any], Any]]) -> None:
        self._tape = tape

    def launch(self, stream: Stream | None = None) -> None:
        """Run it all again."""
        for call, made in self._tape:
            again = call()
            if made is not None:
                _overwrite(made, again)

    def upload(self, stream: Stream | None = None) -> None:
        """Get ready for the first launch; there is nothing to do."""


def _overwrite(made: Any, again: Any) -> None:
    """Put new results into the memory of the first ones; views of arguments are up to date already."""
    if isinstance(made, (tuple, list)):
        for m, a in zip(made, again, strict=True):
            _overwrite(m, a)
    elif isinstance(made, np.ndarray) and not np.may_share_memory(made, again):
        made[...] = again


class Stream:
    """``cupy.cuda.Stream``."""

    null: ClassVar[Stream]

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: int = 0) -> None:
        self.non_blocking, self.priority = non_blocking, priority
        self.device_id = 0
        self.ptr = 0 if null else id(self)
        self.tape: list[tuple[Callable[[], Any], Any]] | None = None
        self._before: memory.Snapshot | None = None

    def __enter__(self) -> Stream:
        _current.streams.append(self)
        _switch()
        return self

    def __exit__(self, *error: Any) -> None:
        _current.streams.pop()
        _switch()

    def use(self) -> Stream:
        """Make it the current stream."""
        _current.streams[-1] = self
        _switch()
        return self

    @property
    def done(self) -> bool:
        """Always."""
        return True

    def synchronize(self) -> None:
        """Wait for nothing."""
        if self.tape is not None:
            raise StreamCaptureError("cudaErrorStreamCaptureUnsupported: waiting for a stream that is being captured")

    def record(self, event: Event | None = None) -> Event:
        """Note the time."""
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Wait for nothing."""

    def begin_capture(self, mode: Any = None) -> None:
        """Record from now on what runs on this stream."""
        if self.ptr == 0:
            raise StreamCaptureError("cudaErrorStreamCaptureUnsupported: the default stream cannot be captured")
        if self.tape is not None:
            raise StreamCaptureError("cudaErrorIllegalState: the stream is being captured already")
        self.tape = []
        self._before = memory.Snapshot()
        _switch()

    def end_capture(self) -> Graph:
        """The graph of what was recorded."""
        if self.tape is None:
            raise StreamCaptureError("cudaErrorIllegalState: the stream is not being captured")
        assert self._before is not None
        tape, self.tape = self.tape, None
        self._before.restore()
        self._before = None
        _switch()
        return Graph(tape)

    def is_capturing(self) -> bool:
        """Whether it is being captured."""
        return self.tape is not None


def _switch() -> None:
    """Let the memory know whether what is allocated belongs to a captured stream."""
    memory.watched = _current.streams[-1]._before


class Event:
    """``cupy.cuda.Event``."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.time: float | None = None
        self.disable_timing = disable_timing
        self.ptr = id(self)

    def record(self, stream: Stream | None = None) -> None:
        """Note the time."""
        self.time = time.perf_counter()

    @property
    def done(self) -> bool:
        """Always."""
        return True

    def synchronize(self) -> None:
        """Wait for nothing."""


def get_elapsed_time(start: Event, end: Event) -> float:
    """Milliseconds between two events."""
    if start.time is None or end.time is None or start.disable_timing or end.disable_timing:
        raise RuntimeError("cudaErrorInvalidResourceHandle: both events must have been recorded, with timing")
    return (end.time - start.time) * 1e3


def get_current_stream(device_id: int | None = None) -> Stream:
    """The innermost stream of the ``with`` statements around."""
    return _current.streams[-1]


Stream.null = Stream(null=True)
_current = _Current()
