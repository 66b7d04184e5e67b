"""Schedules: reproducible by a seed, replayable by their choices, shrunk to the few choices that matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import runtime
from .errors import KernelError
from .memory import duplicate

if TYPE_CHECKING:
    from .module import Kernel

# The order is that of `enum class Decision` in runtime/schedule.h.
_DECISIONS = (
    "the blocks run {order}",
    "another warp goes next",
    "the lanes of a warp run {order}",
    "a thread is interrupted at an atomic",
    "lanes diverge",
)


@dataclass(frozen=True)
class Choice:
    """A scheduling decision that differs from the default: the `index`-th one of a block."""

    block: int
    index: int
    decision: int
    value: int
    options: int

    def __str__(self) -> str:
        order = "in descending order" if self.value == self.options - 1 else f"in random order {self.value}"
        text = _DECISIONS[self.decision].format(order=order)
        if self.decision == 1:
            text += f" (the {self.value + 1}. of {self.options} that can run)"
        return text if self.decision == 0 else f"block {self.block}, decision {self.index}: {text}"


class Schedule:
    """The order in which blocks, warps and lanes run.

    Pass it to a launch as ``schedule=``. With `choices` it replays them; without, it follows `seed` and `choices` is
    what it did. What is not chosen happens in ascending order, every warp running as far as it can.

    Parameters
    ----------
    choices : iterable of Choice, optional
    seed : int
    """

    def __init__(self, choices: Iterable[Choice] | None = None, seed: int = 0) -> None:
        self.seed = seed
        self._replayed = None if choices is None else tuple(choices)
        self.choices: tuple[Choice, ...] = self._replayed or ()

    def apply(self, configuration: runtime.Configuration) -> None:
        """Tells a launch to follow this schedule."""
        configuration.recording = 1
        configuration.seed = self.seed
        if self._replayed is not None:
            configuration.replaying = 1
            replayed = [runtime.Choice(c.block, c.index, c.decision, c.value, c.options) for c in self._replayed]
            configuration.choices, configuration.choice_count = (
                (runtime.Choice * max(1, len(replayed)))(*replayed),
                len(replayed),
            )

    def record(self, made: Iterable[runtime.Choice]) -> None:
        """Takes over what a launch chose."""
        self.choices = tuple(Choice(c.block, c.index, c.decision, c.value, c.options) for c in made)

    def __len__(self) -> int:
        return len(self.choices)

    def __str__(self) -> str:
        if not self.choices:
            return "the default order: blocks, warps and lanes ascending"
        return "the default order, except: " + "; ".join(map(str, self.choices))


@dataclass(frozen=True)
class Failure:
    """A launch that failed: the seed it was found with, the shrunk schedule, and how it fails under that."""

    seed: int
    schedule: Schedule
    error: KernelError | AssertionError

    def __str__(self) -> str:
        return f"{self.error}\nfound with seed {self.seed}; fails under {self.schedule}"


def shrink(fails: Callable[[Schedule], bool], schedule: Schedule, max_runs: int = 200) -> Schedule:
    """The fewest choices of a failing schedule that still make it fail (delta debugging).

    Parameters
    ----------
    fails : callable
        Runs the launch on fresh data under a schedule and says whether it fails.
    schedule : Schedule
        One that fails.
    max_runs : int
        Stop after so many runs with the best found so far.
    """
    best = list(schedule.choices)
    runs, pieces = 0, 1
    if fails(Schedule(())):
        return Schedule(())
    while best and runs < max_runs:
        size = -(-len(best) // pieces)
        for start in range(0, len(best), size):
            candidate = best[:start] + best[start + size :]
            runs += 1
            if candidate and fails(Schedule(candidate)):
                best = candidate
                pieces = max(pieces - 1, 1)
                break
            if runs >= max_runs:
                break
        else:
            if size == 1:
                break
            pieces = min(pieces * 2, len(best))
    return Schedule(best)


def explore(
    kernel: Kernel,
    grid: Sequence[int],
    block: Sequence[int],
    args: Sequence[Any],
    *,
    shared_mem: int = 0,
    seeds: Iterable[int] = range(8),
    expect: Callable[..., None] | None = None,
) -> Failure | None:
    """Runs a kernel under several schedules, and shrinks the first that fails.

    Parameters
    ----------
    kernel, grid, block, args, shared_mem
        The launch. The arrays in `args` stay as they are: every run has copies.
    seeds : iterable of int
    expect : callable, optional
        Called with the arguments after each run; raises AssertionError if the results are wrong.

    Returns
    -------
    Failure or None
        None if every schedule is fine.
    """

    def run(schedule: Schedule) -> KernelError | AssertionError | None:
        copies = {id(a): duplicate(a) for a in args if isinstance(a, np.ndarray)}  # one that is passed twice stays one
        own = [copies[id(a)] if isinstance(a, np.ndarray) else a for a in args]
        try:
            kernel(grid, block, own, shared_mem=shared_mem, schedule=schedule)
            if expect is not None:
                expect(*own)
        except (KernelError, AssertionError) as error:
            return error
        return None

    for seed in seeds:
        schedule = Schedule(seed=seed)
        error = run(schedule)
        if error is not None:
            shrunk = shrink(_same_kind(run, type(error)), schedule)
            return Failure(seed, shrunk, run(shrunk) or error)
    return None


def _same_kind(run: Callable[[Schedule], Exception | None], kind: type) -> Callable[[Schedule], bool]:
    return lambda schedule: isinstance(run(schedule), kind)
