"""When and what a training saves, and how it is put back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepgpu.train.checkpoint import Checkpoints
from deepgpu.train.position import Position
from deepgpu.train.randomness import random_states, set_random_states


class Saver:
    """Puts everything that a training consists of into checkpoints, and back.

    Parameters
    ----------
    folder
        Where checkpoints go.
    parts
        Objects with ``state_dict`` and ``load_state_dict``: model, optimizer, ...; None for one that is not there.
    seconds, steps
        Save so often; None for never.

    Attributes
    ----------
    newest
        The checkpoint that was saved or restored last, or None.
    """

    def __init__(self, folder: Path, parts: Mapping[str, Any], seconds: float | None, steps: int | None) -> None:
        self.checkpoints = Checkpoints(folder)
        self.newest: Path | None = None
        self._parts = {name: part for name, part in parts.items() if part is not None}
        self._seconds = seconds
        self._steps = steps
        self._last = time.monotonic()

    def due(self, step: int) -> bool:
        """Whether it is time to save, behind this step."""
        if self._steps is not None and step % self._steps == 0:
            return True
        return self._seconds is not None and time.monotonic() - self._last >= self._seconds

    def save(self, position: Position, loader: Any) -> Path:
        """Write a checkpoint.

        Raises
        ------
        OSError
            If it cannot be written; the one before stays.
        """
        self._last = time.monotonic()  # also if it fails: then try again later, not behind each batch
        state = {name: part.state_dict() for name, part in self._parts.items()}
        state["position"] = position.state_dict()
        state["random"] = random_states()
        state["loader"] = loader.state_dict() if can_resume(loader) else None
        self.newest = self.checkpoints.save(position.step, state)
        return self.newest

    def restore(self, loader: Any, path: Path | None) -> Position:
        """Put everything back as it was in the newest checkpoint, or in a given one.

        Raises
        ------
        FileNotFoundError
            If there is none.
        CorruptCheckpointError
            If it is damaged.
        ValueError
            If it is of another training: other parts, or another model.
        """
        self.checkpoints.remove_unfinished()
        self.newest, state = self.checkpoints.read(path)
        saved = set(state) - {"position", "random", "loader"}
        if saved != set(self._parts):
            raise ValueError(
                f"the checkpoint {self.newest} has {', '.join(sorted(saved))}, but this training has "
                f"{', '.join(sorted(self._parts))}; resume with the settings it was started with"
            )
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        if state["loader"] is not None and can_resume(loader):
            loader.load_state_dict(state["loader"])
        set_random_states(state["random"])
        return Position.from_state_dict(state["position"])


def can_resume(loader: Any) -> bool:
    """Whether a loader can go on in the middle of an epoch."""
    return hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")
