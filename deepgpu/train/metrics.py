"""What is measured while training and evaluating: loss, accuracy, edits, speed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deepgpu.tensor import Tensor


@dataclass
class Totals:
    """Sums over samples, from which means follow.

    Attributes
    ----------
    samples
        How many there were.
    loss
        The sum of their losses.
    labels
        How many class indices there were to predict; 0 if the targets are something else.
    correct
        How many of them were the first choice.
    """

    samples: int = 0
    loss: float = 0.0
    labels: int = 0
    correct: int = 0

    def add(self, loss: float, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch: its mean loss, logits ``(N, C, ...)``, and class indices ``(N, ...)`` or other targets."""
        n = len(targets)
        self.samples += n
        self.loss += loss * n
        if targets.ndim == outputs.ndim - 1 and not targets.is_floating_point():
            self.labels += targets.numel()
            self.correct += int((outputs.detach().argmax(1) == targets).sum())

    @property
    def mean_loss(self) -> float:
        """The mean loss of a sample."""
        return self.loss / self.samples if self.samples else float("nan")

    @property
    def accuracy(self) -> float:
        """The share of labels, 0 to 1, that were the first choice; NaN if there were none."""
        return self.correct / self.labels if self.labels else float("nan")

    @property
    def score(self) -> float:
        """What makes one model better than another: the accuracy, or minus the loss where there is none."""
        return self.accuracy if self.labels else -self.mean_loss

    def state_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Speed:
    """Samples a second, as a moving average over about ``window`` seconds that forgets a slow start (compilation)."""

    def __init__(self, window: float = 10.0) -> None:
        self._window = window
        self._last = time.perf_counter()
        self._rate = 0.0

    def restart(self) -> None:
        """Do not count the time since the last batch."""
        self._last = time.perf_counter()

    def add(self, samples: int) -> None:
        """Count a batch that has just ended."""
        now = time.perf_counter()
        seconds = max(now - self._last, 1e-9)
        self._last = now
        share = 1.0 if self._rate == 0.0 else min(1.0, seconds / self._window)
        # A first batch ten times slower than the second one was compiling: start anew.
        if samples / seconds > 10 * self._rate:
            share = 1.0
        self._rate += share * (samples / seconds - self._rate)

    @property
    def rate(self) -> float:
        """Samples a second; 0 before the first batch."""
        return self._rate


def edit_distance(found: Sequence[Any], goal: Sequence[Any]) -> int:
    """The fewest insertions, deletions and replacements of elements that turn ``found`` into ``goal``.

    Notes
    -----
    Levenshtein 1966. Divided by the length of ``goal`` it is the error rate of a reader of characters or words.
    """
    row = list(range(len(goal) + 1))  # the distances of what was seen of ``found`` to all beginnings of ``goal``
    for i, a in enumerate(found, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(goal, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]
