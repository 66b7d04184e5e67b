"""What a person reads when a command fails or is stopped."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import typer

from deepgpu.train.errors import CorruptCheckpointError, TrainingInterrupted

F = TypeVar("F", bound=Callable[..., Any])

FAILED = 2
INTERRUPTED = 130  # what shells report of a process that Ctrl-C ended


def reported(command: F) -> F:
    """A command whose errors are a line on standard error and exit code 2; DEEPGPU_DEBUG=1 shows where they arose."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except TrainingInterrupted as stopped:
            _say(f"{stopped}")
            if stopped.checkpoint is not None:
                _say(f"to go on: deepgpu train --resume {stopped.checkpoint.parent.parent}")
            raise typer.Exit(INTERRUPTED) from None
        except (KeyboardInterrupt, BrokenPipeError):
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if os.environ.get("DEEPGPU_DEBUG") == "1":
                raise
            _say(f"deepgpu: error: {_one_line(error)}")
            if isinstance(error, CorruptCheckpointError) and error.previous is not None:
                _say(f"to go on from the one before: deepgpu train --resume {error.previous}")
            raise typer.Exit(FAILED) from None

    return wrapper  # type: ignore[return-value]


def _one_line(error: Exception) -> str:
    """The message; a system error with its file, an error without a message by its type."""
    text = str(error)
    if isinstance(error, KeyError) or not text:
        return f"{type(error).__name__}: {text}"
    return text


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
