"""Stop when the validation no longer gets better."""

from __future__ import annotations

from typing import Any


class EarlyStopping:
    """Counts the epochs since the best one.

    Parameters
    ----------
    patience
        Stop after so many epochs in a row without improvement.
    min_delta
        An improvement by less does not count.
    """

    def __init__(self, patience: int, min_delta: float = 0.0) -> None:
        if patience < 1:
            raise ValueError(f"EarlyStopping: `patience` takes a number of epochs from 1, but got {patience}")
        self.patience = patience
        self.min_delta = min_delta
        self.best: float | None = None
        self.waited = 0

    def update(self, score: float) -> bool:
        """Count an epoch with this score, of which more is better; the result is :attr:`stopped`."""
        if self.best is None or score > self.best + self.min_delta:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        return self.stopped

    @property
    def stopped(self) -> bool:
        """Whether it is time to stop."""
        return self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """The best score and how long ago it was."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting from a state."""
        self.best, self.waited = state["best"], state["waited"]
