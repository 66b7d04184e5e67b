"""Streams of work on a GPU, and events that mark places in them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from deepgpu.backends.cuda import runtime
from deepgpu.cuda.devices import index_of
from deepgpu.device import device as as_device


class Stream:
    """A queue of work; work in different queues may run at the same time.

    Tensors that one stream makes and another uses need ``wait_stream`` or an event between, and
    :meth:`~deepgpu.Tensor.record_stream` if they are dropped while the other still works on them.

    Parameters
    ----------
    device
        Of which GPU; by default the current one.
    priority
        Lower numbers first.

    Attributes
    ----------
    cupy
        The stream of CuPy behind it, for CuPy's own functions.
    """

    cupy: Any
    device_index: int
    _contexts: Sequence[StreamContext] = ()

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        self.device_index = index_of(device)
        cupy = runtime.cupy()
        with cupy.cuda.Device(self.device_index):
            self.cupy = cupy.cuda.Stream(non_blocking=True, priority=priority)
        self.priority = priority

    @classmethod
    def of(cls, cupy: Any, device_index: int) -> Stream:
        """The stream around one of CuPy's."""
        made = cls.__new__(cls)
        made.cupy, made.device_index, made.priority = cupy, device_index, 0
        return made

    @property
    def device(self) -> as_device:
        """The GPU that it belongs to."""
        return as_device("cuda", self.device_index)

    @property
    def cuda_stream(self) -> int:
        """The ``cudaStream_t``, for other libraries."""
        return self.cupy.ptr

    def query(self) -> bool:
        """Whether all its work is done."""
        return bool(self.cupy.done)

    def synchronize(self) -> None:
        """Let the host wait until all its work is done."""
        self.cupy.synchronize()

    def record_event(self, event: Event | None = None) -> Event:
        """Mark the end of the work it has now."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Begin what comes next only when an event has passed."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Begin what comes next only when the work that another stream has now is done."""
        self.wait_event(stream.record_event())

    def __enter__(self) -> Stream:
        context = StreamContext(self)
        context.__enter__()
        self._contexts = [*self._contexts, context]
        return self

    def __exit__(self, *error: Any) -> None:
        *self._contexts, context = self._contexts
        context.__exit__(*error)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self.cuda_stream, self.device_index) == (
            other.cuda_stream,
            other.device_index,
        )

    def __hash__(self) -> int:
        return hash((self.cuda_stream, self.device_index))

    def __repr__(self) -> str:
        return f"<deepgpu.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class ExternalStream(Stream):
    """A stream that another library made.

    Parameters
    ----------
    stream_ptr
        Its ``cudaStream_t``.
    device
        Of which GPU.
    """

    def __init__(self, stream_ptr: int, device: Any = None) -> None:
        self.device_index = index_of(device)
        self.cupy = runtime.cupy().cuda.ExternalStream(stream_ptr)
        self.priority = 0


class Event:
    """A mark in a stream, to wait for or to measure time by.

    Parameters
    ----------
    enable_timing
        Whether :meth:`elapsed_time` is wanted.
    blocking
        Whether :meth:`synchronize` lets the processor sleep instead of spinning.
    interprocess
        Not supported.
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        if interprocess:
            raise NotImplementedError(
                "`Event`: `interprocess` is not supported, as tensors on a GPU are not shared between processes; "
                "copy them to the CPU"
            )
        self.cupy = runtime.cupy().cuda.Event(block=blocking, disable_timing=not enable_timing)
        self._recorded = False

    def record(self, stream: Stream | None = None) -> None:
        """Mark the end of the work that a stream, by default the current one, has now."""
        self.cupy.record((stream or current_stream()).cupy)
        self._recorded = True

    def wait(self, stream: Stream | None = None) -> None:
        """Let a stream, by default the current one, begin what comes next only when the event has passed."""
        if self._recorded:
            (stream or current_stream()).cupy.wait_event(self.cupy)

    def query(self) -> bool:
        """Whether the event has passed."""
        return not self._recorded or bool(self.cupy.done)

    def synchronize(self) -> None:
        """Let the host wait until the event has passed."""
        if self._recorded:
            self.cupy.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another; both must have passed, and have ``enable_timing``."""
        if not (self._recorded and end_event._recorded):
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return float(runtime.cupy().cuda.get_elapsed_time(self.cupy, end_event.cupy))


def current_stream(device: Any = None) -> Stream:
    """The stream that work on a device goes to now."""
    index, cupy = index_of(device), runtime.cupy()
    with cupy.cuda.Device(index):
        return Stream.of(cupy.cuda.get_current_stream(), index)


def default_stream(device: Any = None) -> Stream:
    """The stream that work on a device goes to unless another is chosen."""
    return Stream.of(runtime.cupy().cuda.Stream.null, index_of(device))


def set_stream(stream: Stream | None) -> None:
    """Let all work that follows go to ``stream``; rather use ``with stream(s):``."""
    if stream is not None:
        runtime.cupy().cuda.Device(stream.device_index).use()
        stream.cupy.use()


class StreamContext:
    """Inside, work goes to a stream; None for no change."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self._entered = contextlib.ExitStack()

    def __enter__(self) -> None:
        if self.stream is not None:
            self._entered.enter_context(runtime.cupy().cuda.Device(self.stream.device_index))
            self._entered.enter_context(self.stream.cupy)

    def __exit__(self, *error: Any) -> None:
        self._entered.close()


def stream(stream: Stream | None) -> StreamContext:
    """Inside, work goes to a stream; None for no change."""
    return StreamContext(stream)
