"""The counter that memory has of its modifications, shared by all tensors that see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FEW = 8
"""Readers that are kept without asking which of them are dead."""


class Version:
    """How often the memory shared by a tensor and its views was modified in place."""

    __slots__ = ("count", "kept", "pinned", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.pinned = False  # whether the memory may be seen and written to from outside
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
