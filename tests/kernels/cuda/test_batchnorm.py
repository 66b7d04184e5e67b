"""batchnorm.cu against PyTorch in float64: channels and rows around vectors, blocks and chunks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import batchnorm, instances
from tests.kernels.cuda.emulated import (
    SEEDS,
    assert_barriers_matter,
    assert_near,
    assert_same,
    counted,
    judged,
    random,
    run,
)

INSTANCES = {"batchnorm.cu": instances.INSTANCES["batchnorm.cu"]}
SHAPES = [
    (1, 4), (2, 1), (5, 3), (33, 8), (64, 7), (300, 5), (1, 4, 1, 1), (1, 4, 3, 3), (2, 3, 5, 7), (2, 8, 4, 4),
    (1, 16, 9, 8), (3, 12, 6, 5), (1, 33, 5, 5), (2, 64, 3, 4), (1, 130, 2, 3), (4, 4, 16, 16), (1, 1, 40, 41),
    (2, 20, 9), (1, 8, 2, 3, 4), (2, 260, 2, 2), (1, 6, 60, 60), (3, 9, 7, 7), (1, 48, 11, 3), (70, 100), (2, 11, 4),
]  # fmt: skip
EPS = 1e-5
STATISTICS = {"float32": "float32", "float64": "float64", "float16": "float32", "bfloat16": "float32"}


def train(xp, x, weight, bias, residual=None, low=np.nan, high=np.nan):
    y, mean, var = batchnorm.batch_norm_train(xp, x, weight, bias, EPS)
    return y(residual, low, high), mean, var


def evaluate(xp, x, weight, bias, mean, var, residual=None, low=np.nan, high=np.nan):
    return batchnorm.batch_norm_eval(xp, x, weight, bias, mean, var, EPS)(residual, low, high)


def operands(rng, dtype, shape, affine=True):
    x = (random(rng, dtype, *shape).astype(float) * 2 + 3).astype(random(rng, dtype).dtype)
    vectors = [random(rng, dtype, shape[1]) if affine else None for _ in range(2)]
    return x, *vectors


def exact(a):
    return None if a is None else torch.from_numpy(a.astype(float))


def wanted(x, weight, bias, gy):
    """Result, statistics and gradients in float64."""
    x, weight, bias = (None if a is None else exact(a).requires_grad_() for a in (x, weight, bias))
    if x.numel() == x.shape[1]:  # PyTorch refuses one element a channel
        y = x * 0 if bias is None else x * 0 + bias.reshape(1, -1, *[1] * (x.ndim - 2))
        y = y if weight is None else y + (x - x.detach()) * 0 * weight.reshape(1, -1, *[1] * (x.ndim - 2))
    else:
        y = torch.nn.functional.batch_norm(x, None, None, weight, bias, True, 0.0, EPS)
    axes = (0, *range(2, x.ndim))
    given = [a for a in (x, weight, bias) if a is not None]
    gradients = torch.autograd.grad(y, given, exact(gy))
    return y.detach(), x.detach().mean(axes), x.detach().var(axes, correction=0), gradients


@pytest.mark.parametrize("dtype", STATISTICS)
def test_training(dtype, rng):
    for i, shape in enumerate(SHAPES):
        x, weight, bias = operands(rng, dtype, shape, affine=i % 4 != 3)
        gy = random(rng, dtype, *shape)
        y, mean, var, gradients = wanted(x, weight, bias, gy)
        seed, other = SEEDS[i % 2], SEEDS[1 - i % 2]
        got = run(train, x, weight, bias, seed=seed)
        assert_same(run(train, x, weight, bias, seed=other), got)
        scale = 16.0 / np.sqrt(var.numpy().min() + EPS)
        assert_near(got[0], y, dtype, magnitude=scale)
        assert_near(got[1], mean, STATISTICS[dtype], magnitude=4)
        assert_near(got[2], var, STATISTICS[dtype], magnitude=8)
        arguments = (gy, x, weight, got[1], got[2], EPS, True)
        gx, gweight, gbias = back = run(batchnorm.batch_norm_backward, *arguments, seed=seed)
        assert_same(run(batchnorm.batch_norm_backward, *arguments, seed=other), back)
        rows = x.size // shape[1]
        assert_near(gx, gradients[0], dtype, magnitude=40 * scale**2, factor=64)
        if weight is not None and rows > 1:
            assert_near(gweight, gradients[1], STATISTICS[dtype], magnitude=8 * rows * scale)
            assert_near(gbias, gradients[2], STATISTICS[dtype], magnitude=4 * rows)


@pytest.mark.parametrize("dtype", STATISTICS)
def test_evaluation(dtype, rng):
    for i, shape in enumerate(SHAPES):
        x, weight, bias = operands(rng, dtype, shape, affine=i % 4 != 3)
        mean = random(rng, STATISTICS[dtype], shape[1])
        var = np.square(random(rng, STATISTICS[dtype], shape[1])) + mean.dtype.type(0.5)
        twin = exact(x).requires_grad_()
        y = torch.nn.functional.batch_norm(twin, exact(mean), exact(var), exact(weight), exact(bias), False, 0.0, EPS)
        assert_near(run(evaluate, x, weight, bias, mean, var, seed=SEEDS[i % 2]), y.detach(), dtype, magnitude=32)
        gy = random(rng, dtype, *shape)
        (gx,) = torch.autograd.grad(y, twin, exact(gy))
        got = run(batchnorm.batch_norm_backward, gy, x, weight, mean, var, EPS, False, seed=SEEDS[i % 2])
        assert_near(got[0], gx, dtype)


@pytest.mark.parametrize("dtype", STATISTICS)
def test_the_steps_that_follow_are_rounded_like_passes_of_their_own(dtype, rng):
    for shape in ((2, 8, 5, 5), (3, 5, 4, 3)):
        x, weight, bias = operands(rng, dtype, shape)
        residual = random(rng, dtype, *shape)
        plain = run(train, x, weight, bias)[0]
        for low, high in ((np.nan, np.nan), (0.0, np.nan), (0.0, 0.5)):
            want = plain + residual
            want = want if np.isnan(low) else np.maximum(want, want.dtype.type(low))
            want = want if np.isnan(high) else np.minimum(want, want.dtype.type(high))
            got = run(train, x, weight, bias, residual, low, high)[0]
            np.testing.assert_array_equal(got.astype(float), want.astype(float))


def test_a_large_offset_does_not_cancel(rng):
    x = random(rng, "float32", 4, 8, 20, 20) + np.float32(4096)
    _, mean, var = run(train, x, None, None)
    assert_near(mean, x.astype(float).mean((0, 2, 3)), "float32")
    np.testing.assert_allclose(var, x.astype(float).var((0, 2, 3)), rtol=1e-5)


def test_the_schedule_does_not_matter(rng):
    x = random(rng, "float32", 2, 8, 40, 40)
    results = [run(train, x, None, None, seed=seed) for seed in (0, *SEEDS)]
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_not_a_number_stays_in_its_channel(rng):
    x = random(rng, "float32", 4, 8, 3, 3)
    x[1, 2, 0, 0] = np.nan
    y, mean, var = run(train, x, None, None)
    for result in (y.transpose(1, 0, 2, 3).reshape(8, -1), mean[:, None], var[:, None]):
        assert np.isnan(result[2]).all()
        assert np.isfinite(np.delete(result, 2, 0)).all()


def check(rng, shapes=((2, 8, 5, 5), (1, 5, 12, 12))) -> None:
    for shape in shapes:
        x, weight, bias = operands(rng, "float32", shape)
        gy = random(rng, "float32", *shape)
        y, _, _, (gx, *_) = wanted(x, weight, bias, gy)
        got, mean, var = run(train, x, weight, bias, gy * 0, check=True, seed=2)
        assert_near(got, y, "float32", 32)
        got = run(batchnorm.batch_norm_backward, gy, x, weight, mean, var, EPS, True, check=True, seed=1)
        assert_near(got[0], gx, "float32", 200)


def test_checked(rng):
    check(rng)


def test_barriers(rng, caught):
    assert_barriers_matter("include/reduce.cuh", lambda: check(rng, ((2, 8, 5, 5),)), caught, "add_rows")


def test_traffic_is_what_the_header_says(rng):
    x = np.ascontiguousarray(random(rng, "float32", 2, 8, 8, 32)).transpose(0, 3, 1, 2)
    ones = np.ones(32, np.float32)
    with counted("batchnorm.cu", "batchnorm_apply<float, 4>") as traffic:
        run(evaluate, x, None, None, ones, ones)
    statistics_of_a_thread, threads = 2 * 4 * 4, 256  # one block: 128 rows, 8 threads a row
    assert traffic.bytes("global") == 2 * x.nbytes + statistics_of_a_thread * threads


@pytest.mark.kernels
def test_compiles_for_a_gpu():
    judged("batchnorm.cu", [n for n in INSTANCES["batchnorm.cu"] if "double" not in n], (90,))


@pytest.mark.full
@pytest.mark.kernels
def test_compiles_for_every_architecture():
    judged("batchnorm.cu", INSTANCES["batchnorm.cu"], compile_judge.ARCHITECTURES)
