"""How far a training is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from deepgpu.train.metrics import Totals


@dataclass
class Position:
    """Where a training is, and what it has found so far.

    Attributes
    ----------
    epoch
        How many epochs are complete.
    batch
        How many batches of the present epoch are done.
    step
        How many batches are done in all.
    trained
        Whether the present epoch has no more batches: only its validation is missing.
    totals
        Over the present epoch's batches so far.
    best
        The best validation score, or None.
    seconds
        How long training has taken, over all processes.
    history
        The records of the complete epochs.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    trained: bool = False
    totals: Totals = field(default_factory=Totals)
    best: float | None = None
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def end_epoch(self, record: dict[str, Any]) -> None:
        """Begin the next epoch."""
        self.history.append(record)
        self.epoch += 1
        self.batch = 0
        self.trained = False
        self.totals = Totals()

    def state_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> Position:
        """The position that gave this state."""
        return Position(**{**state, "totals": Totals(**state["totals"])})
