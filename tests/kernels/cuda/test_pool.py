"""pool.cu against PyTorch in float64: geometries at their edges, and windows of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import instances, pool
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

F = torch.nn.functional
INSTANCES = {"pool.cu": instances.INSTANCES["pool.cu"]}

# shape, kernel, stride, padding, dilation, ceil_mode
GEOMETRIES = [
    ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0), (1, 1), False),
    ((1, 8, 2, 2), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((2, 8, 8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((2, 16, 9, 9), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((1, 3, 7, 5), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((1, 3, 7, 5), (2, 2), (2, 2), (0, 0), (1, 1), True),
    ((2, 5, 6, 6), (3, 3), (1, 1), (1, 1), (1, 1), False),
    ((1, 4, 5, 9), (2, 4), (3, 2), (1, 2), (1, 1), False),
    ((1, 4, 5, 9), (2, 4), (3, 2), (1, 2), (1, 1), True),
    ((1, 8, 7, 7), (2, 2), (4, 3), (0, 0), (1, 1), False),
    ((1, 8, 9, 8), (3, 2), (2, 1), (1, 1), (2, 3), False),
    ((1, 2, 11, 11), (3, 3), (2, 2), (1, 1), (3, 3), True),
    ((3, 1, 5, 1), (5, 1), (1, 1), (2, 0), (1, 1), False),
    ((1, 7, 1, 12), (1, 3), (1, 3), (0, 1), (1, 1), True),
    ((1, 12, 4, 4), (4, 4), (4, 4), (2, 2), (1, 1), False),
    ((1, 64, 4, 3), (2, 2), (1, 1), (0, 0), (1, 1), False),
    ((1, 24, 6, 5), (5, 3), (1, 2), (2, 1), (1, 1), False),
    ((2, 6, 3, 3), (3, 3), (3, 3), (0, 0), (1, 1), False),
    ((1, 9, 10, 4), (2, 3), (5, 5), (1, 1), (1, 1), True),
    ((1, 16, 13, 13), (7, 7), (3, 3), (3, 3), (1, 1), False),
    ((4, 40, 3, 2), (2, 2), (2, 2), (1, 1), (1, 1), True),
]
ADAPTIVE = [
    ((1, 3, 7, 5), (3, 2)),
    ((2, 8, 8, 8), (1, 1)),
    ((1, 4, 5, 5), (5, 5)),
    ((1, 8, 4, 3), (6, 7)),
    ((2, 5, 1, 9), (3, 4)),
]


def images(rng, dtype, shape):
    """An image in both layouts, with equal maxima here and there."""
    x = np.round(random(rng, dtype, *shape).astype(float) * 4).astype(DTYPES[dtype])
    yield x
    yield np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def judge_max(x, geometry):
    """PyTorch's maxima and indices, with a gradient."""
    _, kernel, stride, padding, dilation, ceil_mode = geometry
    exact = torch.from_numpy(x.astype(float)).requires_grad_()
    y, index = F.max_pool2d(exact, kernel, stride, padding, dilation, ceil_mode, return_indices=True)
    return exact, y, index


@pytest.mark.parametrize("dtype", DTYPES)
def test_max_pool(dtype, rng):
    for geometry in GEOMETRIES:
        shape, kernel, stride, padding, dilation, _ = geometry
        for x, seed in zip(images(rng, dtype, shape), SEEDS, strict=True):
            exact, y, index = judge_max(x, geometry)
            size = tuple(y.shape[2:])
            got, where = run(pool.max_pool2d, x, kernel, stride, padding, dilation, size, seed=seed)
            assert_near(got, y.detach(), dtype)
            np.testing.assert_array_equal(where, index.numpy().astype(np.int32), strict=True)
            gy = random(rng, dtype, *y.shape)
            (gx,) = torch.autograd.grad(y, exact, torch.from_numpy(gy.astype(float)))
            got = run(pool.pool_scatter, gy, where, shape[2:], seed=seed)
            assert_near(got, gx, dtype, magnitude=4)
            picked = np.take_along_axis(x.reshape(*shape[:2], -1), where.reshape(*shape[:2], -1), 2).reshape(y.shape)
            np.testing.assert_array_equal(run(pool.pool_gather, x, where, seed=seed), picked)


def test_nan_is_the_maximum_and_padding_is_not():
    x = np.full((1, 4, 4, 4), -np.inf, np.float32)
    x[0, 0, 1, 2] = np.nan
    x[0, 1] = -3
    y, index = run(pool.max_pool2d, x, (3, 3), (1, 1), (1, 1), (1, 1), (4, 4))
    want, where = F.max_pool2d(torch.from_numpy(x), 3, 1, 1, return_indices=True)
    np.testing.assert_array_equal(y, want.numpy())
    np.testing.assert_array_equal(index, where.numpy())


def test_windows_of_padding_only():
    """They give minus infinity, point nowhere and take no gradient."""
    x = np.ones((1, 4, 2, 2), np.float32)
    y, index = run(pool.max_pool2d, x, (1, 1), (3, 3), (2, 2), (1, 1), (2, 2))
    assert np.isneginf(y[0, :, 0, 0]).all()
    assert (index[0, :, 0, 0] == -1).all()
    gx = run(pool.pool_scatter, np.full(y.shape, 7, np.float32), index, (2, 2))
    assert gx.sum() == 7 * np.count_nonzero(index >= 0)
    assert (run(pool.pool_gather, x, index)[0, :, 0, 0] == 0).all()


def test_indices_anywhere(rng):
    """pool_scatter knows nothing of windows: any index will do, also the same one many times."""
    for shape, size in (((2, 8, 5, 4), (7, 3)), ((1, 3, 4, 6), (2, 9))):
        gy = random(rng, "float32", *shape)
        index = rng.integers(-1, size[0] * size[1], shape).astype(np.int32)
        want = np.zeros((*shape[:2], size[0] * size[1]))
        for n, c, p, q in np.ndindex(*shape):
            if index[n, c, p, q] >= 0:
                want[n, c, index[n, c, p, q]] += gy[n, c, p, q]
        got = run(pool.pool_scatter, gy, index, size)
        assert_near(got, want.reshape(*shape[:2], *size), "float32", magnitude=4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_avg_pool(dtype, rng):
    for i, (shape, kernel, stride, padding, dilation, ceil_mode) in enumerate(GEOMETRIES):
        if dilation != (1, 1):
            continue
        include, override = i % 2 == 0, 3 if i % 5 == 4 else None
        for x, seed in zip(images(rng, dtype, shape), SEEDS, strict=True):
            exact = torch.from_numpy(x.astype(float)).requires_grad_()
            y = F.avg_pool2d(exact, kernel, stride, padding, ceil_mode, include, override)
            got = run(pool.avg_pool2d, x, kernel, stride, padding, tuple(y.shape[2:]), include, override, seed=seed)
            assert_near(got, y.detach(), dtype, magnitude=16)
            gy = random(rng, dtype, *y.shape)
            (gx,) = torch.autograd.grad(y, exact, torch.from_numpy(gy.astype(float)))
            got = run(pool.avg_pool2d_backward, gy, shape[2:], kernel, stride, padding, include, override, seed=seed)
            assert_near(got, gx, dtype, magnitude=4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_adaptive(dtype, rng):
    for shape, size in ADAPTIVE:
        for x, seed in zip(images(rng, dtype, shape), SEEDS, strict=True):
            exact = torch.from_numpy(x.astype(float)).requires_grad_()
            y, index = F.adaptive_max_pool2d(exact, size, return_indices=True)
            got, where = run(pool.adaptive_max_pool2d, x, size, seed=seed)
            assert_near(got, y.detach(), dtype)
            np.testing.assert_array_equal(where, index.numpy().astype(np.int32), strict=True)
            y = F.adaptive_avg_pool2d(exact, size)
            assert_near(run(pool.adaptive_avg_pool2d, x, size, seed=seed), y.detach(), dtype, magnitude=16)
            gy = random(rng, dtype, *y.shape)
            (gx,) = torch.autograd.grad(y, exact, torch.from_numpy(gy.astype(float)))
            got = run(pool.adaptive_avg_pool2d_backward, gy, shape[2:], seed=seed)
            assert_near(got, gx, dtype, magnitude=8)


def check(rng) -> None:
    geometry = GEOMETRIES[3]
    shape, kernel, stride, padding, dilation, _ = geometry
    x = random(rng, "float32", *shape)
    exact, y = judge_max(x, geometry)[:2]
    got, where = run(pool.max_pool2d, x, kernel, stride, padding, dilation, tuple(y.shape[2:]), check=True)
    assert_near(got, y.detach(), "float32")
    gy = random(rng, "float32", *y.shape)
    (gx,) = torch.autograd.grad(y, exact, torch.from_numpy(gy.astype(float)))
    for seed in SEEDS:
        assert_near(run(pool.pool_scatter, gy, where, shape[2:], check=True, seed=seed), gx, "float32", 4)


def test_checked(rng):
    check(rng)
    x = random(rng, "float32", 1, 4, 5, 6)
    y = F.avg_pool2d(torch.from_numpy(x.astype(float)), 3, 2, 1)
    assert_near(run(pool.avg_pool2d, x, (3, 3), (2, 2), (1, 1), (3, 3), True, None, check=True), y, "float32", 16)


def test_barriers(rng, caught):
    assert_barriers_matter("pool.cu", lambda: check(rng), caught)


def test_windows_that_do_not_overlap_read_the_image_once(rng):
    x = np.ascontiguousarray(random(rng, "float32", 1, 8, 8, 16)).transpose(0, 3, 1, 2)
    with counted("pool.cu", "max_pool<float, 4, Windows>") as traffic:
        run(pool.max_pool2d, x, (2, 2), (2, 2), (0, 0), (1, 1), (4, 4))
    assert traffic.bytes("global") == x.nbytes + 2 * x.nbytes // 4
    assert traffic.excess_sectors == 0


@pytest.mark.kernels
def test_compiles_for_a_gpu():
    judged("pool.cu", [n for n in INSTANCES["pool.cu"] if "float, 4" in n or "half" in n or "<" not in n], (90,))


@pytest.mark.full
@pytest.mark.kernels
def test_compiles_for_every_architecture():
    judged("pool.cu", INSTANCES["pool.cu"], compile_judge.ARCHITECTURES)
