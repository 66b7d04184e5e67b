"""What a person sees of a training: a progress bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any


@dataclass
class View:
    """What there is to show at a moment.

    Attributes
    ----------
    title
        Such as "epoch 1/3".
    done, total
        Batches.
    loss, accuracy
        Means so far; the accuracy as a share, NaN if there is none.
    rate
        Samples a second.
    seconds_left
        Until the end of all, or None if unknown.
    """

    title: str
    done: int
    total: int | None
    loss: float
    accuracy: float
    rate: float
    seconds_left: float | None

    def numbers(self) -> str:
        """Loss, accuracy, speed and time left as text."""
        parts = [f"loss {self.loss:.4f}"]
        if self.accuracy == self.accuracy:
            parts.append(f"accuracy {100 * self.accuracy:5.2f} %")
        parts.append(f"{self.rate:,.0f} images/s")
        if self.seconds_left is not None:
            parts.append(f"{duration(self.seconds_left)} left")
        return "  ".join(parts)


def duration(seconds: float) -> str:
    """``"1:02:03"`` or ``"2:03"``."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


class Silence:
    """Shows nothing."""

    def update(self, view: View) -> None:
        """Show the present state."""

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def close(self) -> None:
        """Take away what moves."""


class Lines(Silence):
    """A line every few seconds: for files, pipes and notebooks.

    Parameters
    ----------
    seconds
        Between two lines.
    """

    def __init__(self, seconds: float = 10.0, file: Any = None) -> None:
        self._seconds = seconds
        self._file = file or sys.stdout
        self._last = time.monotonic()

    def update(self, view: View) -> None:
        """Show the present state, if the last line is old enough."""
        if time.monotonic() - self._last >= self._seconds:
            self._last = time.monotonic()
            total = "" if view.total is None else f"/{view.total}"
            self.say(f"{view.title}  batch {view.done}{total}  {view.numbers()}")

    def say(self, text: str) -> None:
        """Show a line."""
        print(text, file=self._file, flush=True)


class Bar(Silence):
    """A progress bar that moves, with rich; lines stay above it."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=console,
            refresh_per_second=4,
            transient=True,
        )
        self._task: Any = None

    def update(self, view: View) -> None:
        """Move the bar."""
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task("", total=None, numbers="")
        self._progress.update(
            self._task, description=view.title, completed=view.done, total=view.total, numbers=view.numbers()
        )

    def say(self, text: str) -> None:
        """Show a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()
        self._task = None


def display_for(file: Any = None) -> Silence:
    """A bar if ``file`` (by default standard output) is a terminal, else lines."""
    file = file or sys.stdout
    if not file.isatty():
        return Lines(file=file)
    from rich.console import Console

    return Bar(Console(file=file))
