"""softmax.cu against PyTorch in float64: rows that a warp, a block, a column of threads takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import instances, softmax
from tests.kernels.cuda.emulated import (
    DTYPES,
    SEEDS,
    assert_barriers_matter,
    assert_near,
    counted,
    judged,
    random,
    run,
)

INSTANCES = {"softmax.cu": instances.INSTANCES["softmax.cu"]}
CASES = [
    ((1,), 0), ((5,), 0), ((3, 2), 1), ((7, 10), 1), ((4, 31), 1), ((5, 32), -1), ((5, 33), 1), ((9, 100), 1),
    ((2, 127), 1), ((1, 128), 1), ((3, 129), 1), ((2, 300), 1), ((2, 511), 1), ((1, 512), 1), ((2, 513), 1),
    ((1, 1000), 1), ((3, 4), 0), ((130, 3), 0), ((2, 5, 3, 4), 1), ((2, 3, 1, 7), 2), ((2, 2, 300), 1), ((6, 1), 1),
    ((600, 2), 0), ((4, 1, 3), 1),
    # rows of a block
    ((3, 514), 1), ((1, 575), 1), ((2, 576), 1), ((1, 600), 1), ((1, 639), 1), ((2, 640), 1), ((1, 641), 1),
    ((3, 700), 1), ((1, 767), 1), ((2, 768), 1), ((1, 769), 1), ((1, 895), 1), ((1, 1023), 1), ((2, 1024), 1),
    ((1, 1025), 1), ((2, 1031), 1), ((1, 2, 520), 2), ((5, 530), -1),
    # columns
    ((2, 2), 0), ((5, 7), 0), ((1, 9, 2), 1), ((3, 2, 5), 1), ((2, 33, 3), 1), ((40, 5), 0), ((2, 7, 129), 1),
    ((3, 255), 0), ((3, 256), 0), ((3, 257), 0), ((2, 4, 3, 5), 1), ((1, 70, 1, 6), 1), ((6, 9), 0),
    ((2, 8, 6), 1), ((11, 4), 0),
    # rows of a warp
    ((8, 17), 1), ((5, 64), 1), ((3, 200), 1), ((11, 260), 1), ((2, 400), 1), ((1, 63), 1),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("log", [False, True], ids=["softmax", "log_softmax"])
def test_values(log, dtype, rng):
    forward = softmax.log_softmax if log else softmax.softmax
    backward = softmax.log_softmax_backward if log else softmax.softmax_backward
    for shape, axis in CASES:
        x, gy = 3 * random(rng, dtype, *shape), random(rng, dtype, *shape)
        exact = torch.from_numpy(x.astype(float)).requires_grad_()
        want = exact.log_softmax(axis) if log else exact.softmax(axis)
        got = [run(forward, x, axis, seed=seed) for seed in SEEDS]
        want, span = want.detach().numpy(), 2 * float(np.abs(x.astype(float)).max())
        assert_near(got[0], want, dtype, magnitude=span if log else span * want)
        np.testing.assert_array_equal(got[0], got[1])
        rounded = got[0].astype(float)  # the gradient is a function of the rounded result
        g = gy.astype(float)
        want = (
            g - np.exp(rounded) * g.sum(axis, keepdims=True)
            if log
            else rounded * (g - (g * rounded).sum(axis, keepdims=True))
        )
        got = [run(backward, gy, got[0], axis, seed=seed) for seed in SEEDS]
        assert_near(got[0], want, dtype, magnitude=np.abs(g).sum(axis, keepdims=True))
        np.testing.assert_array_equal(got[0], got[1])


@pytest.mark.parametrize("n", [7, 40, 700])
def test_special_rows(n):
    """Infinities and NaN go where PyTorch's go; rows of -inf have no softmax."""
    x = np.zeros((6, n), np.float32)
    x[0, 3] = np.nan
    x[1, 2] = np.inf
    x[2, :] = -np.inf
    x[3, 1:] = -np.inf
    x[4, 0] = 3e38
    x[5, :] = -3e38
    for axis, rows in ((1, x), (0, np.ascontiguousarray(x.T))):
        for log in (False, True):
            exact = torch.from_numpy(rows.astype(float))
            want = exact.log_softmax(axis) if log else exact.softmax(axis)
            assert_near(run(softmax.log_softmax if log else softmax.softmax, rows, axis), want, "float32")


def test_memory_of_any_layout(rng):
    x = random(rng, "float32", 3, 6, 4, 5).transpose(0, 3, 1, 2)
    for arranged in (x, x[:, ::2], np.broadcast_to(x[:1], x.shape)):
        for axis in range(4):
            want = torch.from_numpy(arranged.astype(float)).softmax(axis)
            assert_near(run(softmax.softmax, arranged, axis), want, "float32")


def check(rng, shapes=((5, 33), (2, 700), (2, 3, 5))) -> None:
    for shape in shapes:
        x, gy = random(rng, "float32", *shape), random(rng, "float32", *shape)
        y = run(softmax.softmax, x, 1, check=True, seed=2)
        assert_near(y, torch.from_numpy(x.astype(float)).softmax(1), "float32")
        g, exact = gy.astype(float), y.astype(float)
        want = exact * (g - (g * exact).sum(1, keepdims=True))
        assert_near(
            run(softmax.softmax_backward, gy, y, 1, check=True, seed=2),
            want,
            "float32",
            np.abs(g).sum(1, keepdims=True),
        )


def test_checked(rng):
    check(rng)


def test_barriers(rng, caught):
    assert_barriers_matter("include/reduce.cuh", lambda: check(rng, ((2, 700),)), caught, "reduce_block")


def test_a_row_in_registers_is_read_once(rng):
    x = random(rng, "float32", 8, 128)
    with counted("softmax.cu", "softmax_warp<float, false, 4>") as traffic:
        run(softmax.softmax, x, 1)
    assert traffic.bytes("global") == 2 * x.nbytes
    assert traffic.excess_sectors == 0


@pytest.mark.kernels
def test_compiles_for_a_gpu():
    judged("softmax.cu", [n for n in INSTANCES["softmax.cu"] if "float, true" in n], (90,))


@pytest.mark.full
@pytest.mark.kernels
def test_compiles_for_every_architecture():
    judged("softmax.cu", INSTANCES["softmax.cu"], compile_judge.ARCHITECTURES)
