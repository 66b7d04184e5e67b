"""Batch norm, the kernels and the composed reference alike, against PyTorch in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

EPS = 1e-5
SHAPES = {
    "rows": (6, 5),
    "many rows": (1030, 3),
    "sequence": (4, 3, 7),
    "image": (3, 6, 5, 4),
    "wide image": (2, 64, 7, 7),
    "odd channels": (3, 37, 5, 3),
    "several tasks": (4, 40, 20, 21),
    "volume": (2, 3, 4, 2, 3),
    "one channel": (4, 1, 8, 8),
    "one pixel": (5, 7, 1, 1),
    "more channels than a row": (4, 300, 2, 2),
}
CASES = [*((config, True) for config in SHAPES), ("rows", False), ("image", False)]


def double(x):
    return torch.from_numpy(np.ascontiguousarray(x, np.float64))


def assert_near(actual, expected, tolerance):
    scale = np.abs(expected).max() if expected.size else 0.0
    np.testing.assert_allclose(np.asarray(actual, np.float64), expected, rtol=0, atol=tolerance * scale, strict=True)


def statistics_dtype(dtype):
    return dtype if dtype.itemsize > 2 else np.dtype(np.float32)


def inputs(rng, shape, dtype, laid_out):
    """x, gy, weight and bias; weight and bias in the dtype of the statistics."""
    x = laid_out((2 * rng.standard_normal(shape) + 1).astype(dtype))
    gy = laid_out(rng.standard_normal(shape).astype(dtype))
    weight, bias = (rng.standard_normal(shape[1]).astype(statistics_dtype(dtype)) for _ in range(2))
    return x, gy, weight, bias


@pytest.mark.parametrize(("config", "affine"), CASES)
def test_training(backend, config, affine, dtype, tolerance, laid_out, rng):
    x, gy, weight, bias = inputs(rng, SHAPES[config], dtype, laid_out)
    tx, tw, tb = (double(a).requires_grad_() for a in (x, weight, bias))
    expected = F.batch_norm(tx, None, None, *((tw, tb) if affine else (None, None)), True, eps=EPS)
    normalised, mean, var = backend.batch_norm_train(x, *((weight, bias) if affine else (None, None)), EPS)
    y = normalised()
    axes = (0, *range(2, x.ndim))
    assert y.dtype == dtype
    assert mean.dtype == var.dtype == statistics_dtype(dtype)
    assert_near(y, expected.detach().numpy(), 2 * tolerance)
    assert_near(mean, tx.detach().mean(axes).numpy(), 2 * min(tolerance, 1e-6))
    assert_near(var, tx.detach().var(axes, correction=0).numpy(), 2 * min(tolerance, 1e-6))
    assert np.moveaxis(y, 1, -1).flags.c_contiguous

    gx, gweight, gbias = backend.batch_norm_backward(gy, x, weight if affine else None, mean, var, EPS, True)
    assert gx.dtype == dtype
    assert gweight.dtype == gbias.dtype == statistics_dtype(dtype)
    expected_gx, *expected_gw = torch.autograd.grad(expected, (tx, tw, tb) if affine else tx, double(gy))
    # one row too few and the gradient is a difference of nearly equal numbers: judge it on its terms' scale
    terms = np.abs(gy.astype(np.float64)).max() * np.abs(weight if affine else 1).max()
    np.testing.assert_allclose(
        gx.astype(np.float64), expected_gx.numpy(), rtol=0, atol=4 * tolerance * terms, strict=True
    )
    if affine:
        for actual, exact in zip((gweight, gbias), expected_gw, strict=True):
            assert_near(actual, exact.numpy(), 4 * min(tolerance, 1e-6))
    assert np.moveaxis(gx, 1, -1).flags.c_contiguous


@pytest.mark.parametrize(("config", "affine"), CASES)
def test_evaluation(backend, config, affine, dtype, tolerance, laid_out, rng):
    x, gy, weight, bias = inputs(rng, SHAPES[config], dtype, laid_out)
    mean = rng.standard_normal(x.shape[1]).astype(statistics_dtype(dtype))
    var = (0.5 + rng.random(x.shape[1])).astype(statistics_dtype(dtype))
    tx, tw, tb = (double(a).requires_grad_() for a in (x, weight, bias))
    expected = F.batch_norm(tx, double(mean), double(var), *((tw, tb) if affine else (None, None)), eps=EPS)
    y = backend.batch_norm_eval(x, *((weight, bias) if affine else (None, None)), mean, var, EPS)()
    assert y.dtype == dtype
    assert_near(y, expected.detach().numpy(), tolerance)

    gx, gweight, gbias = backend.batch_norm_backward(gy, x, weight if affine else None, mean, var, EPS, False)
    expected_gx, *expected_gw = torch.autograd.grad(expected, (tx, tw, tb) if affine else tx, double(gy))
    assert gx.dtype == dtype
    assert_near(gx, expected_gx.numpy(), tolerance)
    if affine:
        for actual, exact in zip((gweight, gbias), expected_gw, strict=True):
            assert_near(actual, exact.numpy(), 4 * min(tolerance, 1e-6))


def test_large_mean_does_not_cost_digits(backend, rng):
    """With a mean of 1e4 and a deviation of 1, squares summed in float32 would leave no digit of the variance."""
    x = (1e4 + rng.standard_normal((8, 33, 20, 21))).astype(np.float32)
    normalised, mean, var = backend.batch_norm_train(x, None, None, EPS)
    y = normalised()
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(var, exact.var((0, 2, 3)), rtol=2e-6)
    expected = F.batch_norm(double(x), None, None, training=True, eps=EPS)
    np.testing.assert_allclose(y, expected.numpy(), rtol=0, atol=5e-6)
    gy = rng.standard_normal(x.shape).astype(np.float32)
    tx = double(x).requires_grad_()
    (expected,) = torch.autograd.grad(F.batch_norm(tx, None, None, training=True, eps=EPS), tx, double(gy))
    gx, _, _ = backend.batch_norm_backward(gy, x, None, mean, var, EPS, True)
    np.testing.assert_allclose(gx, expected.numpy(), rtol=0, atol=1e-4)  # the mean is handed over in float32


@pytest.mark.parametrize("place", [0, 17, 2000])
def test_an_outlier_anywhere_does_not_cost_digits(backend, rng, place):
    """The one-pass variance is taken about what came before, which an outlier may put far away."""
    x = rng.standard_normal((4000, 3)).astype(np.float32)
    x[place] = 1e6
    _, mean, var = backend.batch_norm_train(x, None, None, EPS)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(0), rtol=0, atol=1e-7 * exact.std(0).max())
    np.testing.assert_allclose(var, exact.var(0), rtol=1e-5)


def test_drifting_data_does_not_cost_digits(backend, rng):
    x = (np.linspace(-1e4, 1e4, 3000)[:, None] + rng.standard_normal((3000, 5))).astype(np.float32)
    _, mean, var = backend.batch_norm_train(x, None, None, EPS)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(0), rtol=0, atol=1e-3)  # 1e-7 of the range
    np.testing.assert_allclose(var, exact.var(0), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_channel(backend, rng, value):
    x = rng.standard_normal((4, 20, 3, 3)).astype(np.float32)
    x[1, 7, 2, 0] = value
    normalised, mean, var = backend.batch_norm_train(x, None, None, EPS)
    y = normalised()
    others = np.arange(20) != 7
    assert np.isnan(y[:, 7]).all()
    assert not np.isfinite(mean[7])
    assert np.isnan(var[7])
    assert np.isfinite(y[:, others]).all()
    assert np.isfinite(mean[others]).all()
    assert np.isfinite(var[others]).all()
    gx, _, _ = backend.batch_norm_backward(np.ones_like(x), x, None, np.zeros(20), np.ones(20), EPS, False)
    np.testing.assert_allclose(gx, np.full_like(x, 1 / np.sqrt(1 + EPS)), rtol=1e-6)  # constants: x does not matter


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 0, 4)])
def test_empty(backend, shape):
    x = np.empty(shape, np.float32)
    weight = np.ones(shape[1], np.float32)
    normalised, mean, var = backend.batch_norm_train(x, weight, weight, EPS)
    y = normalised()
    assert y.shape == shape
    np.testing.assert_array_equal(mean, np.zeros(shape[1], np.float32), strict=True)
    np.testing.assert_array_equal(var, np.zeros(shape[1], np.float32), strict=True)
    assert backend.batch_norm_eval(x, weight, weight, mean, var, EPS)().shape == shape
    gx, gweight, gbias = backend.batch_norm_backward(x, x, weight, mean, var, EPS, True)
    assert gx.shape == shape
    np.testing.assert_array_equal(gweight, np.zeros(shape[1], np.float32), strict=True)
    np.testing.assert_array_equal(gbias, np.zeros(shape[1], np.float32), strict=True)


@pytest.mark.parametrize("limits", [(np.nan, np.nan), (0, np.nan), (0, 6), (np.nan, 0.5)])
@pytest.mark.parametrize("add", [False, True])
def test_what_follows_is_done_in_the_same_pass(backend, add, limits):
    rng = np.random.default_rng(0)
    x, other = (rng.standard_normal((3, 20, 5, 7)).astype(np.float32) for _ in range(2))
    other[0, 0, 0, 0] = np.nan
    mean, var = rng.standard_normal(20).astype(np.float32), rng.uniform(0.5, 2, 20).astype(np.float32)
    normalised = backend.batch_norm_eval(x, None, None, mean, var, EPS)
    expected = normalised()
    if add:
        expected = expected + other
    low, high = (np.float32(limit) for limit in limits)
    expected = np.where(expected < low, low, expected)
    expected = np.where(expected > high, high, expected)
    np.testing.assert_array_equal(normalised(other if add else None, *limits), expected)
    mean[:] = 9  # the factors are copies
    np.testing.assert_array_equal(normalised(other if add else None, *limits), expected)


def test_images_written_past_the_caches_are_the_same(monkeypatch):
    from deepgpu.kernels.jit import workspace

    from deepgpu.backends.cpu import batchnorm

    x = np.random.default_rng(0).standard_normal((8, 48, 32, 32)).astype(np.float32)
    x[1, 2, 3, 4] = np.nan
    normalised = batchnorm.batch_norm_eval(x, None, None, *np.ones((2, 48), np.float32), EPS)
    usual = normalised(None, 0.0, 6.0)
    assert not workspace.streams(usual.transpose(0, 2, 3, 1).reshape(-1, 48))
    monkeypatch.setattr(workspace, "STREAM", 1)
    past = normalised(None, 0.0, 6.0)
    assert workspace.streams(past.transpose(0, 2, 3, 1).reshape(-1, 48))
    np.testing.assert_array_equal(past, usual)
