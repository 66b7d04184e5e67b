"""Loaders with workers: the same batches for any number and type of them, errors, deaths, no processes left behind.

The data sets here are imported by the workers too: this module stays free of heavy imports.
"""

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.utils import data

KINDS = [
    pytest.param({"num_workers": 1}, id="1 process"),
    pytest.param({"num_workers": 2, "prefetch_factor": 3, "persistent_workers": True}, id="2 persistent processes"),
    pytest.param({"num_workers": 2, "worker_type": "thread"}, id="2 threads"),
    pytest.param({"num_workers": 3, "worker_type": "thread", "persistent_workers": True}, id="3 persistent threads"),
]
ONE = [pytest.param({"num_workers": 1, "worker_type": kind}, id=kind) for kind in ("process", "thread")]


class Noise(data.Dataset):
    """Draws from all generators; large enough (512 KiB a batch) for shared memory."""

    def __len__(self):
        return 14

    def __getitem__(self, index):
        worker = data.get_worker_info()
        process = worker is not None and worker.dataset is not _PARENT
        others = (np.random.rand(), random.random()) if worker is None or process else (0.0, 0.0)
        return index, dg.rand(128, 256), others


_PARENT = Noise()


def _arrays(loader):
    return [[np.asarray(x) for x in (index, noise, *others)] for index, noise, others in loader]


def _assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_batches_as_without_workers(kind):
    def two_epochs(**arguments):
        generator = dg.Generator().manual_seed(0)
        loader = data.DataLoader(_PARENT, 4, shuffle=True, generator=generator, **arguments)
        return _arrays(loader) + _arrays(loader)

    expected, got = two_epochs(), two_epochs(**kind)
    if kind.get("worker_type") == "thread":  # NumPy's and Python's global generators are not a thread's own
        expected, got = ([batch[:2] for batch in batches] for batches in (expected, got))
    _assert_same(expected, got)


def test_what_comes_from_a_process_can_be_written_to():
    _, noise, _ = next(iter(data.DataLoader(_PARENT, 4, num_workers=1)))
    noise += 1
    assert 1 <= noise.min().item() < noise.max().item() < 2
    index, _, _ = next(iter(data.DataLoader(_PARENT, 4, num_workers=1)))
    index += 1
    assert index.tolist() == [1, 2, 3, 4]


class Convolves(data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        x = dg.arange(4 * 16 * 16, dtype=dg.float32).reshape(1, 4, 16, 16) + index
        return dg.conv2d(x, dg.ones(8, 4, 3, 3)).max()


def test_kernels_run_in_processes_after_they_ran_here():
    expected = [Convolves()[i].item() for i in range(4)]  # this process's Numba starts its threads
    got = data.DataLoader(Convolves(), 2, num_workers=1)
    np.testing.assert_allclose(np.concatenate([b.numpy() for b in got]), expected, rtol=1e-6)


class Share(data.IterableDataset):
    """Each worker's own part of the numbers."""

    def __iter__(self):
        worker = data.get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return iter(range(first, 11, step))


@pytest.mark.parametrize("worker_type", ["process", "thread"])
def test_iterable_data_set_in_shares(worker_type):
    loader = data.DataLoader(Share(), 2, num_workers=2, worker_type=worker_type, persistent_workers=True)
    for _ in range(2):
        assert [b.tolist() for b in loader] == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10], [9]]
    loader = data.DataLoader(Share(), 2, num_workers=2, worker_type=worker_type, drop_last=True)
    assert [b.tolist() for b in loader] == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10]]


class Info(data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        worker = data.get_worker_info()
        return worker.id, worker.num_workers, worker.seed, worker.dataset.told


def _tell(worker_id):
    worker = data.get_worker_info()
    worker.dataset.told = (worker_id, dg.initial_seed())


def test_worker_info_and_init():
    assert data.get_worker_info() is None
    loader = data.DataLoader(Info(), batch_size=None, num_workers=2, worker_init_fn=_tell)
    told = [sample[:3] + sample[3:][0] for sample in map(list, loader)]
    seed = told[0][2]
    assert [(w, n, s, *t) for w, n, s, *t in ([a, b, c, d, e] for a, b, c, d, e in told)] == [
        (i % 2, 2, seed + i % 2, i % 2, seed + i % 2) for i in range(4)
    ]


class Faulty(data.Dataset):
    def __init__(self, fault):
        self.fault = fault

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == 2:
            self.fault()
        return index


class OddError(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def _value_error():
    raise ValueError("sample 2 is bad")


def _odd_error():
    raise OddError(1, 2)


@pytest.mark.parametrize("kind", ONE)
def test_an_exception_comes_with_the_worker_s_traceback(kind):
    batches = iter(data.DataLoader(Faulty(_value_error), 2, **kind))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(ValueError, match="sample 2 is bad") as caught:
        next(batches)
    text = str(caught.value.__cause__)
    assert f"DataLoader worker {kind['worker_type']} 0" in text
    assert "in _value_error" in text
    assert next(batches).tolist() == [4, 5]


def test_an_exception_that_cannot_be_pickled_arrives_as_its_text():
    with pytest.raises(RuntimeError, match="OddError: 1 and 2") as caught:
        list(data.DataLoader(Faulty(_odd_error), num_workers=1))
    assert "in _odd_error" in str(caught.value.__cause__)


def _lock(samples):
    return threading.Lock()


def test_a_batch_that_cannot_be_pickled():
    with pytest.raises(TypeError, match="cannot pickle"):
        list(data.DataLoader(Noise(), num_workers=1, collate_fn=_lock))


def test_a_data_set_that_cannot_be_pickled():
    samples = Noise()
    samples.lock = threading.Lock()
    batches = data.DataLoader(samples, num_workers=1)
    with pytest.raises(TypeError, match=r"by pickling, which failed: cannot pickle.*worker_type=\"thread\""):
        iter(batches)


def _fail(worker_id):
    raise OSError(f"no disk for worker {worker_id}")


@pytest.mark.parametrize("kind", ONE)
def test_an_exception_in_worker_init_fn(kind):
    with pytest.raises(OSError, match="no disk for worker 0"):
        list(data.DataLoader(Noise(), worker_init_fn=_fail, **kind))


def _killed():
    os.kill(os.getpid(), signal.SIGKILL)


def _exits():
    os._exit(3)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (_killed, r"worker process 0 \(pid \d+\) was killed by signal 9 \(SIGKILL\): when memory runs out"),
        (_exits, r"worker process 0 \(pid \d+\) exited with code 3"),
    ],
)
def test_a_dead_worker_is_an_error(fault, message):
    batches = iter(data.DataLoader(Faulty(fault), 2, num_workers=1))
    with pytest.raises(RuntimeError, match=message):
        list(batches)


def _sleeps():
    time.sleep(1.5)


@pytest.mark.parametrize("kind", ONE)
def test_timeout(kind):
    batches = iter(data.DataLoader(Faulty(_sleeps), 2, timeout=60, **kind))
    assert next(batches).tolist() == [0, 1]
    batches._timeout = 0.01
    with pytest.raises(RuntimeError, match=r"timed out after 0\.01 seconds"):
        next(batches)
    batches._timeout = 60
    assert [b.tolist() for b in batches] == [[2, 3], [4, 5]]


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("kind", ONE)
def test_leaving_an_epoch_early(kind, persistent):
    loader = data.DataLoader(Faulty(int), 1, persistent_workers=persistent, **kind)
    for batch in loader:
        assert batch.tolist() == [0]
        break
    assert [b.item() for b in loader] == list(range(6))


def test_processes_end_with_the_iterator():
    before = {p.pid for p in multiprocessing.active_children()}
    batches = iter(data.DataLoader(Faulty(int), num_workers=2))
    next(batches)
    workers = {p.pid for p in multiprocessing.active_children()} - before
    assert len(workers) == 2
    del batches
    gc.collect()
    assert not workers & {p.pid for p in multiprocessing.active_children()}


SCRIPT = """
    import os, sys, time
    import deepgpu as dg
    from deepgpu.utils.data import DataLoader, Dataset

    print("the script runs", flush=True)  # once: no worker runs it again, though nothing guards it

    class Mine(Dataset):                  # of the main script, with a lambda
        transform = staticmethod(lambda index: index * 10)

        def __len__(self):
            return 6

        def __getitem__(self, index):
            return self.transform(index), os.getpid()
"""


def _run_script(body, **options):
    source = textwrap.dedent(SCRIPT) + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_a_script_without_a_main_guard():
    process = _run_script(
        """
        class Batch(tuple): pass
        def collate(samples): return Batch(samples)
        batches = list(DataLoader(Mine(), 3, num_workers=2, collate_fn=collate))
        assert all(type(batch) is Batch for batch in batches)
        print([index for batch in batches for index, _ in batch])
        assert len({pid for batch in batches for _, pid in batch}) == 2
        """
    )
    out, error = process.communicate(timeout=600)
    assert (out.decode().splitlines(), error.decode()) == (["the script runs", "[0, 10, 20, 30, 40, 50]"], "")


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_other_ways_to_start_processes(method):
    process = _run_script(
        f"""
        import multiprocessing.process
        from deepgpu.utils.data import process
        process.PATIENCE = 300
        multiprocessing.process.BaseProcess.terminate = lambda self: print("a worker did not end by itself")
        loader = DataLoader(Mine(), 3, num_workers=2, multiprocessing_context="{method}")
        for _ in range(2):
            print([index.tolist() for index, _ in loader])
        for _ in loader:
            break
        print("closed")
        """
    )
    out, error = process.communicate(timeout=600)
    batches = "[[0, 10, 20], [30, 40, 50]]"
    assert out.decode().splitlines() == ["the script runs", batches, batches, "closed"], error.decode()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_script(sent):
    process = _run_script(
        """
        batches = iter(DataLoader(Mine(), 1, num_workers=2))
        print([next(batches)[1].item() for _ in range(2)], flush=True)
        time.sleep(300)
        """,
        start_new_session=True,
    )
    assert process.stdout.readline() == b"the script runs\n"
    workers = eval(process.stdout.readline())
    assert len(set(workers)) == 2
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # as a terminal does it at Ctrl-C: to all of them
    else:
        process.kill()
    _, error = process.communicate(timeout=600)
    assert error.count(b"KeyboardInterrupt") == (sent == signal.SIGINT)
    deadline = time.monotonic() + 600
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, workers))


def _alive(pid):
    return os.path.isdir(f"/proc/{pid}")
