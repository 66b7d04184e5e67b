"""An epoch: the iterator that deals tasks out to the workers and gives the batches out in order."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from deepgpu.random import Generator, draw_from
from deepgpu.utils.data.worker import End, Failure, Task
from deepgpu.utils.data.workers import NoResultError, Worker, close_with

_END = object()


class Progress:
    """How far an epoch is.

    Attributes
    ----------
    seed
        The epoch's seed: the order, and all draws while loading, follow from it.
    generators
        The states of the samplers' own generators at its beginning.
    batches
        How many batches were given out.
    finished
        Whether there are no more.
    pending
        Whether it was loaded from a state and waits for an iterator.
    """

    def __init__(self, seed: int, generators: list[str], batches: int = 0, pending: bool = False) -> None:
        self.seed = seed
        self.generators = generators
        self.batches = batches
        self.finished = False
        self.pending = pending


class Epoch(Iterator[Any]):
    """The batches of one epoch.

    Parameters
    ----------
    workers
        Who loads; tasks go round.
    number
        Which epoch of these workers it is.
    progress
        Its seed, and how many batches to skip.
    order
        The indices of each batch; None if the workers iterate over the data set.
    ahead
        Tasks that each worker has at a time.
    timeout
        Seconds to wait for a batch, or None.
    close_workers
        Whether the workers end with the epoch.
    finish
        What is done to each batch last, in the process that trains.
    """

    def __init__(
        self,
        workers: list[Worker],
        number: int,
        progress: Progress,
        order: Iterable[Any] | None,
        ahead: int,
        timeout: float | None,
        close_workers: bool,
        finish: Callable[[Any], Any] | None = None,
    ) -> None:
        self._finish = finish
        self._number = number
        self._progress = progress
        self._timeout = timeout
        self._closing = close_with(self, workers) if close_workers else None
        self._idle = deque(worker for _ in range(ahead) for worker in workers)
        self._waiting: deque[Worker] = deque()  # in the order of the batches they are to give
        self._index = 0
        self._sampling = Generator().manual_seed(progress.seed)
        if order is None:
            self._order: Iterator[Any] = itertools.repeat(None)
            skipped = 0
            while skipped < progress.batches and self._receive() is not _END:
                skipped += 1
        else:
            with draw_from(self._sampling):
                self._order = iter(order)
                skipped = sum(1 for _ in itertools.islice(self._order, progress.batches))
            self._index = skipped
        if skipped < progress.batches:
            raise ValueError(
                f"`DataLoader`: cannot go on after {progress.batches} batches: the epoch has only {skipped}; is this "
                "the data set and sampler that the state was saved with?"
            )

    def __iter__(self) -> Epoch:
        return self

    def __next__(self) -> Any:
        batch = self._receive()
        if batch is _END:
            self._progress.finished = True
            if self._closing is not None:
                self._closing()
            raise StopIteration
        self._progress.batches += 1
        return batch if self._finish is None else self._finish(batch)

    def _receive(self) -> Any:
        """The next batch in order, or ``_END``."""
        while True:
            self._deal()
            if not self._waiting:
                return _END
            worker = self._waiting.popleft()
            try:
                result = worker.receive(self._timeout)
            except NoResultError:
                self._waiting.appendleft(worker)
                raise RuntimeError(f"`DataLoader` timed out after {self._timeout:g} seconds") from None
            except BaseException:
                self._idle.append(worker)
                raise
            if result.epoch != self._number:  # of an epoch that was left before its end
                self._waiting.appendleft(worker)
            elif not isinstance(result.outcome, End):
                self._idle.append(worker)
                if isinstance(result.outcome, Failure):
                    result.outcome.reraise()
                return result.outcome

    def _deal(self) -> None:
        """Give tasks to the workers that have room for them."""
        while self._idle:
            # The sampler draws from a stream of the epoch's own, however far ahead of the training it runs.
            with draw_from(self._sampling):
                indices = next(self._order, _END)
            if indices is _END:
                self._idle.clear()
                return
            worker = self._idle.popleft()
            self._waiting.append(worker)
            worker.send(Task(self._number, self._progress.seed, self._index, indices))
            self._index += 1
