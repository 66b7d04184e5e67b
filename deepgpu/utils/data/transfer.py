"""Results on their way from a worker process: large arrays through shared memory, the rest through the pipe.

The shared memory is an anonymous file (``memfd``, Linux) whose descriptor travels through the pipe. Nobody need tidy it
up: it goes when the last process that holds it lets go, however that comes about.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
from multiprocessing import connection, reduction
from typing import Any, NamedTuple

import cloudpickle

_SHARED = hasattr(os, "memfd_create")
_SMALL = 1 << 18  # bytes that are cheaper to send than to map
_ALIGNMENT = 64  # of arrays in shared memory: a cache line


class Message(NamedTuple):
    """An object ready to be sent: it shares no memory with the original.

    ``sizes`` are the bytes of its arrays, which lie in the file ``descriptor``; without one they are in the payload.
    """

    payload: bytes
    sizes: list[int]
    descriptor: int | None


def pack(value: Any) -> Message:
    """Pickle an object; its arrays go into shared memory if they are large."""
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    cloudpickle.Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(value)
    raw = [b.raw() for b in buffers]
    if not _SHARED or sum(r.nbytes for r in raw) < _SMALL:
        return Message(pickle.dumps((stream.getvalue(), [bytearray(r) for r in raw]), protocol=5), [], None)
    sizes = [r.nbytes for r in raw]
    descriptor = os.memfd_create("deepgpu-batch")
    offsets, total = _places(sizes)
    os.ftruncate(descriptor, total)
    for offset, r in zip(offsets, raw, strict=True):
        written = 0
        while written < r.nbytes:  # a call writes 2 GiB at most
            written += os.pwrite(descriptor, r[written:], offset + written)
    return Message(pickle.dumps((stream.getvalue(), None), protocol=5), sizes, descriptor)


def _places(sizes: list[int]) -> tuple[list[int], int]:
    """Where arrays of these sizes lie in the shared memory, and its size."""
    offsets, end = [], 0
    for size in sizes:
        offsets.append(end)
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return offsets, end


def send(pipe: connection.Connection, message: Message) -> None:
    """Send a message, and let go of its shared memory."""
    try:
        pipe.send((message.payload, message.sizes))
        if message.descriptor is not None:
            reduction.send_handle(pipe, message.descriptor, 0)
    finally:
        if message.descriptor is not None:
            os.close(message.descriptor)


def receive(pipe: connection.Connection) -> Any:
    """The object of the next message; its arrays can be written to."""
    envelope, sizes = pipe.recv()
    payload, buffers = pickle.loads(envelope)
    if buffers is None:
        descriptor = reduction.recv_handle(pipe)
        try:
            offsets, total = _places(sizes)
            memory = memoryview(mmap.mmap(descriptor, total))
        finally:
            os.close(descriptor)
        buffers = [memory[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]
    return pickle.loads(payload, buffers=buffers)
