"""The counter that memory has of its modifications, shared by all tensors that see it, and who needs its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FEW = 8
"""Readers that are kept without asking which of them are dead."""


class Memory:
    """What depends on the values of some memory, and is to be told before they change."""

    __slots__ = ("kept", "pinned", "waiting")

    def __init__(self) -> None:
        self.pinned = False  # whether it may be seen and written to from outside
        self.waiting: list[Callable[[], Any]] | None = None
        self.kept: tuple[Any, dict[Any, Any]] | None = None  # an array of it, and what was made of that

    def wait(self, reader: Callable[[], Any]) -> None:
        """Remember a weak reference to a tensor that will yet be computed from this memory."""
        if self.waiting is None:
            self.waiting = [reader]
        elif len(self.waiting) < FEW:
            self.waiting.append(reader)
        else:
            self.waiting = [*[r for r in self.waiting if r() is not None], reader]

    def settle(self) -> None:
        """Have everything computed that waits and forget what was made, because the memory is about to be modified."""
        waiting, self.waiting = self.waiting, None
        self.kept = None
        for reader in waiting or ():
            t = reader()
            if t is not None:
                t._data  # noqa: B018 - the access computes it


class Version:
    """How often the memory shared by a tensor and its views was modified in place, as far as autograd is to know.

    ``x.data`` has a counter of its own for the same memory.
    """

    __slots__ = ("_memory", "count")

    def __init__(self, memory: Memory | None = None) -> None:
        self.count = 0
        self._memory = memory

    @property
    def memory(self) -> Memory:
        """The memory that is counted for."""
        if self._memory is None:
            self._memory = Memory()
        return self._memory

    @property
    def pinned(self) -> bool:
        """Whether the memory may be seen and written to from outside."""
        return self._memory is not None and self._memory.pinned

    def settle(self) -> None:
        """See :meth:`Memory.settle`."""
        if self._memory is not None:
            self._memory.settle()
