"""What a worker does: load the batches that it is told to, one after the other, until nobody listens any more.

The same code runs in a process, in a thread, and in the loader's own thread when it has no workers.
"""

from __future__ import annotations

import itertools
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from deepgpu.utils.data.dataset import Dataset, IterableDataset
from deepgpu.utils.data.streams import Streams


@dataclass(frozen=True)
class WorkerInfo:
    """What :func:`get_worker_info` tells a worker.

    Attributes
    ----------
    id
        The index of the worker.
    num_workers
        How many there are.
    seed
        What its global generators were seeded with: the seed of the first epoch it works on, plus ``id``.
    dataset
        The data set, or the worker process's copy of it.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


class Here(threading.local):
    """The worker that this thread is; a worker process sets the attribute of the class, for all its threads."""

    info: WorkerInfo | None = None


here = Here()


def get_worker_info() -> WorkerInfo | None:
    """In a loader's worker, which one it is; None elsewhere."""
    return here.info


@dataclass(frozen=True)
class Job:
    """What to load, and how: the same for all workers of a loader.

    ``batch_size`` is that of an iterable data set, whose batches the workers form; None for single samples.
    """

    dataset: Dataset[Any]
    collate_fn: Callable[[Any], Any]
    worker_init_fn: Callable[[int], Any] | None
    num_workers: int
    batched: bool
    batch_size: int | None
    drop_last: bool
    seed: int


class Task(NamedTuple):
    """Load batch number ``batch`` of an epoch: the samples at ``indices``, or the next ones of an iterable data set."""

    epoch: int
    seed: int
    batch: int
    indices: Any


class Result(NamedTuple):
    """What became of a task: a batch, a :class:`Failure` or an :class:`End`."""

    epoch: int
    batch: int
    outcome: Any


class End:
    """The worker's copy of an iterable data set has no more samples in this epoch."""


class WorkerError(Exception):
    """Where in a worker an exception was raised, as the cause of the one that the loader raises."""


class Failure:
    """An exception on its way from a worker to the loader.

    Parameters
    ----------
    error
        The exception.
    where
        The worker, for the reader.
    """

    def __init__(self, error: BaseException, where: str) -> None:
        self.error = error
        self.text = f'in {where}:\n"""\n{"".join(traceback.format_exception(error))}"""'

    def reraise(self) -> None:
        """Raise the exception, with the worker's traceback as its cause."""
        raise self.error from WorkerError(self.text)


class Loading:
    """Loads batches, in one thread.

    Parameters
    ----------
    job
        What to load.
    whole_process
        Whether no other thread of this process loads.
    """

    def __init__(self, job: Job, whole_process: bool) -> None:
        self._job = job
        self._streams = Streams(whole_process)
        self._epoch = -1
        self._samples: Iterator[Any] = iter(())

    def load(self, task: Task) -> Any:
        """The batch of a task, collated; :class:`End` if an iterable data set has no more."""
        with self._streams.of_batch(task.seed, task.batch):
            try:
                if isinstance(self._job.dataset, IterableDataset):
                    return self._next(task)
                return self._at(task.indices)
            except StopIteration as error:
                # on its way through the loader's own `__next__` it would look like the end of the epoch
                raise RuntimeError("the data set or `collate_fn` raised StopIteration") from error

    def _at(self, indices: Any) -> Any:
        job = self._job
        if not job.batched:
            return job.collate_fn(job.dataset[indices])
        together = getattr(job.dataset, "__getitems__", None)
        return job.collate_fn([job.dataset[i] for i in indices] if together is None else together(indices))

    def _next(self, task: Task) -> Any:
        job = self._job
        if task.epoch != self._epoch:
            self._epoch, self._samples = task.epoch, iter(job.dataset)
        wanted = job.batch_size or 1
        samples = list(itertools.islice(self._samples, wanted))
        if not samples or (job.drop_last and job.batched and len(samples) < wanted):
            return End()
        return job.collate_fn(samples if job.batched else samples[0])


def serve(
    job: Job,
    worker_id: int,
    where: str,
    whole_process: bool,
    receive: Callable[[], Task | None],
    send: Callable[[Result], None],
) -> None:
    """Load what the tasks ask for, until ``receive`` returns None.

    An exception in ``worker_init_fn`` is the outcome of every task.
    """
    failed: Failure | None = None
    try:
        if job.worker_init_fn is not None:
            job.worker_init_fn(worker_id)
        loading = Loading(job, whole_process)
    except Exception as error:
        failed = Failure(error, where)
    while (task := receive()) is not None:
        outcome: Any = failed
        if failed is None:
            try:
                outcome = loading.load(task)
            except Exception as error:
                outcome = Failure(error, where)
        send(Result(task.epoch, task.batch, outcome))
        del outcome  # not to hold a batch while waiting for the next task
