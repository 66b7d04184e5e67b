"""Worker processes.

They are forked from a clean server process (``forkserver``; where there is none, started anew: ``spawn``), never from
this one: a child forked from a process whose Numba has run a parallel kernel on OpenMP is killed when it runs one
itself, and locks that other threads held stay locked for ever. So the data set travels by pickling. cloudpickle takes
along what the main script or a notebook defines, lambdas included. The worker does not run the script again, so a
script works without ``if __name__ == "__main__":`` too.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from multiprocessing import connection
from typing import Any

import cloudpickle
import threadpoolctl

from deepgpu.utils.data.streams import seed_process
from deepgpu.utils.data.transfer import Message, pack, receive, send
from deepgpu.utils.data.worker import Failure, Here, Job, Result, Task, WorkerInfo, serve
from deepgpu.utils.data.workers import PATIENCE, NoResultError, close_all

_starting = threading.Lock()
_alive: weakref.WeakSet[ProcessWorker] = weakref.WeakSet()
_ends: weakref.WeakSet[connection.Connection] = weakref.WeakSet()
"""This process's ends of the pipes to its workers."""


def start_method() -> str:
    """How worker processes are started unless the user says otherwise."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


class ByValue:
    """Holds a job, which travels as cloudpickle's bytes wherever processes pickle their arguments."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._bytes: bytes | None = None  # made once for all workers

    def __reduce__(self) -> Any:
        if self._bytes is None:
            try:
                self._bytes = cloudpickle.dumps(self.job, protocol=5)
            except Exception as error:
                raise TypeError(
                    f"`DataLoader`: worker processes get the data set, `collate_fn` and `worker_init_fn` by pickling, "
                    f"which failed: {error}. Open files and the like at the first access instead of in `__init__`, or "
                    f'use `worker_type="thread"`'
                ) from error
        return _Pickled, (self._bytes,)


class _Pickled:
    """A :class:`ByValue` on the other side: unpickled when asked, so that an error there can be reported."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def job(self) -> Job:
        return pickle.loads(self._data)


class ProcessWorker:
    """A process that loads batches.

    Parameters
    ----------
    job
        What to load.
    worker_id
        Its index.
    context
        A context of :mod:`multiprocessing`.
    """

    def __init__(self, job: ByValue, worker_id: int, context: Any) -> None:
        self._name = f"DataLoader worker process {worker_id}"
        self._forked = context.get_start_method() == "fork"
        self._connection, theirs = context.Pipe()
        _ends.add(self._connection)
        self._process = context.Process(target=_main, args=(job, worker_id, theirs), name=self._name, daemon=True)
        with _main_script_stays_here():
            if context.get_start_method() == "forkserver":
                context.set_forkserver_preload([__name__])  # of use to the first process that needs the server
            self._process.start()
        theirs.close()
        _alive.add(self)

    def send(self, task: Task) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # dead: `receive` says so
            self._connection.send_bytes(pickle.dumps(task, protocol=5))

    def receive(self, timeout: float | None) -> Result:
        if not connection.wait([self._connection, self._process.sentinel], timeout):
            raise NoResultError
        try:
            return receive(self._connection)
        except (EOFError, ConnectionResetError):
            raise RuntimeError(self._death()) from None

    def _death(self) -> str:
        self._process.join(PATIENCE)
        code = self._process.exitcode
        cause = f"exited with code {code}"
        if code is not None and code < 0:
            cause = f"was killed by signal {-code} ({signal.Signals(-code).name})"
        hint = "its own messages are above"
        if code == -signal.SIGKILL:
            hint = "when memory runs out the system does that; try fewer workers or smaller batches"
        elif code == -signal.SIGTERM and self._forked:
            hint = (
                "a forked process that runs a parallel kernel after Numba used OpenMP in its parent is ended so; "
                "leave `multiprocessing_context` at its default"
            )
        return f"{self._name} (pid {self._process.pid}) {cause}: {hint}"

    def close(self) -> None:
        self._connection.close()  # which the worker notices when it next sends or receives

    def join(self) -> None:
        if self not in _alive:
            return
        _alive.discard(self)
        self._process.join(PATIENCE)
        for end in (self._process.terminate, self._process.kill):
            if self._process.is_alive():
                end()
                self._process.join(PATIENCE)
        if not self._process.is_alive():
            self._process.close()


@atexit.register  # later than multiprocessing's own, so it runs before that ends what is left by SIGTERM
def _close_all() -> None:
    close_all(list(_alive))


@contextlib.contextmanager
def _main_script_stays_here() -> Iterator[None]:
    """Start processes that do not run the main script again: they find nothing in it that they need."""
    with _starting:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


def _main(pickled: ByValue | _Pickled, worker_id: int, pipe: connection.Connection) -> None:
    """What the process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business, which then closes the pipe
    for end in list(_ends):  # which a forked process holds too: the pipe would stay open when the parent closes it
        end.close()
    _one_thread()
    where = f"DataLoader worker process {worker_id}"
    outbox = _Outbox(pipe, where)

    def next_task() -> Task | None:
        try:
            return None if outbox.broken else pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return None

    try:
        job = pickled.job
    except Exception as error:
        failure = Failure(error, where)
        while (task := next_task()) is not None:
            outbox.send(Result(task.epoch, task.batch, failure))
    else:
        seed = job.seed + worker_id
        Here.info = WorkerInfo(worker_id, job.num_workers, seed, job.dataset)
        seed_process(seed)
        serve(job, worker_id, where, True, next_task, outbox.send)
    outbox.close()


def _one_thread() -> None:
    """Let every kernel run on one thread: it is the workers that share the cores."""
    if "numba" in sys.modules:
        import numba

        numba.set_num_threads(1)
    else:
        os.environ["NUMBA_NUM_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = "1"
    threadpoolctl.threadpool_limits(1)


class _Outbox:
    """Sends results from a thread of its own, so that the next batch is loaded while the parent is busy."""

    def __init__(self, pipe: connection.Connection, where: str) -> None:
        self.broken = False
        self._pipe = pipe
        self._where = where
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def send(self, result: Result) -> None:
        """Send a result; if it cannot be pickled, a failure that says so."""
        if isinstance(result.outcome, Failure):
            result = result._replace(outcome=_portable(result.outcome))
        try:
            message = pack(result)
        except Exception as error:
            message = pack(result._replace(outcome=_portable(Failure(error, self._where))))
        self._messages.put(message)

    def close(self) -> None:
        """Return when all is sent."""
        self._messages.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (message := self._messages.get()) is not None:
                send(self._pipe, message)
        except OSError:  # the parent does not listen any more
            self.broken = True


def _portable(failure: Failure) -> Failure:
    """The failure with a RuntimeError in place of an exception that pickling does not bring across."""
    try:
        pickle.loads(cloudpickle.dumps(failure.error))
    except Exception:
        failure.error = RuntimeError(f"{type(failure.error).__qualname__}: {failure.error}")
    return failure
