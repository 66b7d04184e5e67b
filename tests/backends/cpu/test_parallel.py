"""Kernels over a grid of tasks: each task runs once, on any threads, with the same result."""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from deepgpu.kernels.jit import optim

from deepgpu.backends import registry


@pytest.fixture
def threads():
    """A function that sets the number of threads, for this test."""
    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


@pytest.mark.parametrize("tasks", [1, 2, 3, 64, 1000])
def test_every_task_runs_once(tasks):
    """A step of SGD subtracts each gradient in place, so a task left out or run twice would show."""
    param, grad = np.zeros(500), np.arange(500.0)
    table, offsets = np.array([[param.ctypes.data, grad.ctypes.data]]), np.array([0, 500])
    optim.sgd(tasks, table, offsets, np.array([1.0, 1, 0, 0, 0]), False, False, False, tasks)
    np.testing.assert_array_equal(param, -grad)


def test_no_task():
    param, grad = np.zeros(5), np.ones(5)
    table, offsets = np.array([[param.ctypes.data, grad.ctypes.data]]), np.array([0, 5])
    optim.sgd(0, table, offsets, np.array([1.0, 1, 0, 0, 0]), False, False, False, 1)
    np.testing.assert_array_equal(param, np.zeros(5))


def test_kernel_keeps_its_name_and_text():
    assert optim.sgd.__name__ == "sgd"
    assert "torch.optim.SGD" in optim.sgd.__doc__


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads to compare")
def test_bits_do_not_depend_on_the_number_of_threads(threads, rng):
    cpu = registry.get("cpu")
    x = rng.standard_normal((8, 24, 40, 40)).astype(np.float32)
    results = []
    for count in (1, 2):
        threads(count)
        normalised, mean, var = cpu.batch_norm_train(x, None, None, 1e-5)
        y = normalised()
        gx, gweight, gbias = cpu.batch_norm_backward(x, y, None, mean, var, 1e-5, True)
        results.append(
            [y, mean, var, gx, gweight, gbias, cpu.avg_pool2d(x, (3, 3), (1, 1), (1, 1), (40, 40), True, None)]
        )
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two, strict=True)


def test_calls_from_several_python_threads(rng):
    """As a loader's workers may make: no call sees another's arguments."""
    cpu = registry.get("cpu")
    inputs = [rng.standard_normal((4, 16, 64, 64)).astype(np.float32) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(cpu.relu, inputs * 4))
    for x, y in zip(inputs * 4, outputs, strict=True):
        np.testing.assert_array_equal(y, np.maximum(x, 0), strict=True)


def test_read_only_and_misaligned_inputs(rng):
    """What np.frombuffer and memory maps give."""
    cpu = registry.get("cpu")
    x = rng.standard_normal((2, 4, 4, 20)).astype(np.float32).transpose(0, 3, 1, 2)
    read_only = x.copy(order="K")
    read_only.flags.writeable = False
    misaligned = np.zeros(x.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(2, 4, 4, 20).transpose(0, 3, 1, 2)
    misaligned[...] = x
    assert not misaligned.flags.aligned
    for odd in (read_only, misaligned):
        np.testing.assert_array_equal(cpu.relu(odd), cpu.relu(x), strict=True)
        pooled = [cpu.max_pool2d(a, (2, 2), (2, 2), (0, 0), (1, 1), (2, 2))[0] for a in (odd, x)]
        np.testing.assert_array_equal(*pooled, strict=True)
