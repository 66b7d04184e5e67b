"""Workers as the loader sees them: in its own thread, as threads, as processes. Each takes tasks and gives results back
in the order of its tasks."""

from __future__ import annotations

import queue
import sys
import threading
import weakref
from typing import Any, Protocol

from deepgpu.random import Generator, draw_from
from deepgpu.utils.data.worker import Job, Loading, Result, Task, WorkerInfo, here, serve

PATIENCE = 5.0  # seconds that a worker gets to finish its batch when the loader is closed


class NoResultError(Exception):
    """A worker did not answer in time."""


class Worker(Protocol):
    """What a loader needs of a worker."""

    def send(self, task: Task) -> None:
        """Give the worker a task."""

    def receive(self, timeout: float | None) -> Result:
        """The result of its oldest task; raises :class:`NoResultError` after ``timeout`` seconds."""

    def close(self) -> None:
        """Let it end after the batch it is loading."""

    def join(self) -> None:
        """Wait until it has ended."""


class InlineWorker:
    """No worker at all: the batch is loaded when the loader asks for the result."""

    def __init__(self, job: Job) -> None:
        self._loading = Loading(job, whole_process=True)
        self._tasks: list[Task] = []

    def send(self, task: Task) -> None:
        self._tasks.append(task)

    def receive(self, timeout: float | None) -> Result:
        task = self._tasks.pop(0)
        return Result(task.epoch, task.batch, self._loading.load(task))

    def close(self) -> None:
        self._tasks.clear()

    def join(self) -> None:
        pass


class ThreadWorker:
    """A thread of this process: it shares the data set, and starts and answers in microseconds.

    Of the random numbers only deepgpu's are its own; NumPy's and Python's global generators belong to all threads.
    """

    def __init__(self, job: Job, worker_id: int) -> None:
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._closed = threading.Event()
        # The thread must not hold the worker: dropping the last reference to a loader ends its threads.
        arguments = (job, worker_id, self._tasks, self._results, self._closed)
        self._thread = threading.Thread(
            target=_run_thread, args=arguments, name=f"DataLoader worker {worker_id}", daemon=True
        )
        self._thread.start()

    def send(self, task: Task) -> None:
        self._tasks.put(task)

    def receive(self, timeout: float | None) -> Result:
        try:
            return self._results.get(timeout=timeout)
        except queue.Empty:
            raise NoResultError from None

    def close(self) -> None:
        self._closed.set()
        self._tasks.put(None)

    def join(self) -> None:
        if self._thread is not threading.current_thread():  # garbage can be collected in any thread
            self._thread.join(PATIENCE)


def _run_thread(
    job: Job,
    worker_id: int,
    tasks: queue.SimpleQueue[Task | None],
    results: queue.SimpleQueue[Result],
    closed: threading.Event,
) -> None:
    seed = job.seed + worker_id
    here.info = WorkerInfo(worker_id, job.num_workers, seed, job.dataset)

    def receive() -> Task | None:
        task = tasks.get()
        if "numba" in sys.modules:
            import numba

            numba.set_num_threads(1)  # of this thread only: several workers share the cores
        return None if closed.is_set() else task

    with draw_from(Generator().manual_seed(seed)):
        serve(job, worker_id, f"DataLoader worker thread {worker_id}", False, receive, results.put)


def close_with(owner: Any, workers: list[Any]) -> weakref.finalize[Any, Any]:
    """End the workers when ``owner`` goes, or when the result is called."""
    # Not in the owner's `__del__`: in a cycle of garbage the pipes could have been closed before it.
    closing = weakref.finalize(owner, close_all, workers)
    closing.atexit = False
    return closing


def close_all(workers: list[Any]) -> None:
    """End workers: all are told before any is waited for."""
    for worker in workers:
        worker.close()
    for worker in workers:
        worker.join()
