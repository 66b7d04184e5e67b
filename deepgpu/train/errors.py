"""Why a training stopped, or does not start."""

from __future__ import annotations

from pathlib import Path


class NonFiniteError(RuntimeError):
    """The loss or a parameter is NaN or infinite.

    Attributes
    ----------
    layer
        The name of the first layer that produced such a value; None if that is the loss itself.
    """

    def __init__(self, message: str, layer: str | None = None) -> None:
        super().__init__(message)
        self.layer = layer


class CorruptCheckpointError(RuntimeError):
    """A checkpoint is truncated or damaged.

    Attributes
    ----------
    path
        The checkpoint.
    previous
        The newest one before it that is whole, or None.
    """

    def __init__(self, message: str, path: Path, previous: Path | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.previous = previous


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C or a request to terminate stopped the training behind a batch.

    Attributes
    ----------
    checkpoint
        Where it can go on; None if there is no folder for checkpoints, or the disk is full.
    """

    def __init__(self, message: str, checkpoint: Path | None) -> None:
        super().__init__(message)
        self.checkpoint = checkpoint
