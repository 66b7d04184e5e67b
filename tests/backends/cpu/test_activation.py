"""ReLU, the kernel and the composed reference alike, against PyTorch."""

import numpy as np
import pytest
import torch

SHAPES = [(0, 3), (1,), (5, 3), (2, 3, 4, 5), (3, 40, 33, 31)]


@pytest.mark.parametrize("shape", SHAPES)
def test_relu(backend, shape, dtype, laid_out, rng):
    x = rng.standard_normal(shape).astype(dtype)
    x.reshape(-1)[::7] = np.nan
    x.reshape(-1)[1::7] = np.inf
    x.reshape(-1)[2::7] = -np.inf
    x = laid_out(x) if len(shape) > 1 else x
    expected = torch.relu(torch.from_numpy(x.astype(np.float64))).numpy()
    y = backend.relu(x)
    assert y.dtype == dtype
    assert y.strides == np.empty_like(x).strides  # the layout is kept, without gaps
    np.testing.assert_array_equal(y.astype(np.float64), expected, strict=True)  # NaN where PyTorch has NaN


@pytest.mark.parametrize("shape", SHAPES)
def test_relu_backward(backend, shape, dtype, laid_out, rng):
    y = np.maximum(rng.standard_normal(shape), 0).astype(dtype)
    gy = rng.standard_normal(shape).astype(dtype)
    gy.reshape(-1)[::5] = np.nan  # must not leak through a unit that is off
    y, gy = (laid_out(y), gy) if len(shape) > 1 else (y, gy)
    expected = np.where(y.astype(np.float64) > 0, gy.astype(np.float64), 0)
    gx = backend.relu_backward(gy, y)
    assert gx.dtype == dtype
    np.testing.assert_array_equal(gx.astype(np.float64), expected, strict=True)
    x = torch.from_numpy(y.astype(np.float64)).requires_grad_()
    (judged,) = torch.autograd.grad(torch.relu(x), x, torch.from_numpy(gy.astype(np.float64)))
    np.testing.assert_array_equal(gx.astype(np.float64), judged.numpy(), strict=True)


def test_relu_of_a_scalar_and_of_integers(backend):
    zero_dimensional = backend.relu(np.array(-2.0, np.float32))
    assert isinstance(zero_dimensional, np.ndarray)
    np.testing.assert_array_equal(zero_dimensional, np.array(0, np.float32), strict=True)
    np.testing.assert_array_equal(backend.relu(np.array([-2, 3], np.int64)), np.array([0, 3], np.int64), strict=True)


def test_relu_backward_of_an_expanded_gradient(backend, rng):
    """The gradient of a sum is one number, expanded with strides of 0."""
    y = np.maximum(rng.standard_normal((4, 6)), 0).astype(np.float32)
    gx = backend.relu_backward(np.broadcast_to(np.float32(2), y.shape), y)
    np.testing.assert_array_equal(gx, np.where(y > 0, np.float32(2), np.float32(0)), strict=True)
