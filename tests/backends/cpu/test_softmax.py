"""Softmax and its logarithm, the kernels and the composed reference alike, against PyTorch in float64."""

import numpy as np
import pytest
import torch

CASES = [((7, 10), 1), ((7, 10), 0), ((3, 5, 4), -1), ((2, 5, 6, 4), 1), ((128, 300), 1), ((3, 1), 1), ((2, 1000), -1)]


def double(x):
    return torch.from_numpy(np.ascontiguousarray(x, np.float64))


@pytest.mark.parametrize(("shape", "axis"), CASES)
def test_softmax(backend, shape, axis, dtype, tolerance, laid_out, rng):
    x = laid_out((5 * rng.standard_normal(shape)).astype(dtype))
    gy = laid_out(rng.standard_normal(shape).astype(dtype))
    tx = double(x).requires_grad_()
    expected = torch.softmax(tx, axis)
    y = backend.softmax(x, axis)
    assert y.dtype == dtype
    np.testing.assert_allclose(
        y.astype(np.float64), expected.detach().numpy(), rtol=4 * tolerance, atol=tolerance * 1e-4, strict=True
    )
    ty = double(y)
    exact = ty * (double(gy) - (double(gy) * ty).sum(axis, keepdim=True))
    gx = backend.softmax_backward(gy, y, axis)
    assert gx.dtype == dtype
    np.testing.assert_allclose(gx.astype(np.float64), exact.numpy(), rtol=0, atol=4 * tolerance, strict=True)
    (judged,) = torch.autograd.grad(expected, tx, double(gy))
    np.testing.assert_allclose(gx.astype(np.float64), judged.numpy(), rtol=0, atol=20 * tolerance)


@pytest.mark.parametrize(("shape", "axis"), CASES)
def test_log_softmax(backend, shape, axis, dtype, tolerance, laid_out, rng):
    x = laid_out((5 * rng.standard_normal(shape)).astype(dtype))
    gy = laid_out(rng.standard_normal(shape).astype(dtype))
    tx = double(x).requires_grad_()
    expected = torch.log_softmax(tx, axis)
    y = backend.log_softmax(x, axis)
    assert y.dtype == dtype
    np.testing.assert_allclose(
        y.astype(np.float64), expected.detach().numpy(), rtol=2 * tolerance, atol=2 * tolerance, strict=True
    )
    ty = double(y)
    exact = double(gy) - ty.exp() * double(gy).sum(axis, keepdim=True)
    gx = backend.log_softmax_backward(gy, y, axis)
    assert gx.dtype == dtype
    np.testing.assert_allclose(
        gx.astype(np.float64), exact.numpy(), rtol=4 * tolerance, atol=4 * tolerance * shape[axis] ** 0.5, strict=True
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_special_values(backend, name, dtype):
    inf, nan = np.inf, np.nan
    rows = np.array(
        [
            [1, -inf, 2, -inf, 0],
            [-inf] * 5,
            [1, inf, 2, 3, 4],
            [1, nan, 2, 3, 4],
            [1, -nan, 2, 3, 4],
            [1000, -1000, 999, 0, -inf],
            [-1e30, -1e30, -1e30, -1e30, -1e30],
            [0.0, -0.0, 0.0, -0.0, 0.0],
        ],
        dtype,
    )
    rows = np.tile(rows, (1, 5))  # longer than a vector
    expected = getattr(torch, name)(torch.from_numpy(rows), 1).numpy()
    actual = getattr(backend, name)(rows, 1)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-37, strict=True)  # NaN where PyTorch has NaN


def test_gradients_at_minus_infinity(backend):
    """A masked place takes no part: its probability is 0 and its gradient too."""
    x = np.array([[1, -np.inf, 2, 0]], np.float32)
    gy = np.array([[1, 2, 3, 4]], np.float32)
    tx = torch.from_numpy(x).requires_grad_()
    for name in ("softmax", "log_softmax"):
        (expected,) = torch.autograd.grad(getattr(torch, name)(tx, 1), tx, torch.from_numpy(gy))
        y = getattr(backend, name)(x, 1)
        gx = getattr(backend, f"{name}_backward")(gy, y, 1)
        np.testing.assert_allclose(gx, expected.numpy(), rtol=1e-6, atol=1e-7, strict=True)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (2, 0, 3)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_empty(backend, name, shape):
    x = np.empty(shape, np.float32)
    assert getattr(backend, name)(x, 1).shape == shape
    assert getattr(backend, f"{name}_backward")(x, x, 1).shape == shape


def test_long_row_is_accurate(backend, rng):
    x = rng.standard_normal((2, 100_000)).astype(np.float32)
    expected = torch.log_softmax(double(x), 1).numpy()
    np.testing.assert_allclose(backend.log_softmax(x, 1), expected, rtol=3e-7)


def test_exponential_is_accurate():
    from deepgpu.kernels.jit import softmax

    x = np.linspace(-87.3, 0, 200_003, dtype=np.float32)
    pairs = np.stack([np.zeros_like(x), x], 1)  # softmax((0, x)) = (1, e^x) / (1 + e^x)
    y = np.empty_like(pairs)
    softmax.softmax(1, pairs, y, 1)
    exact = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(y[:, 1], exact / (1 + exact), rtol=4e-7)
