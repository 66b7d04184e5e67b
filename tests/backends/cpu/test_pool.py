"""Pooling, the kernels and the composed reference alike, against PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deepgpu.backends import registry
from deepgpu.backends.windows import adaptive_windows, covering_windows

# shape, kernel, stride, padding, dilation, ceil_mode
MAX_POOLS = {
    "2x2": ((2, 5, 8, 6), (2, 2), (2, 2), (0, 0), (1, 1), False),
    "3x3 stride 2 padded": ((2, 40, 9, 10), (3, 3), (2, 2), (1, 1), (1, 1), False),
    "overlapping": ((1, 17, 7, 7), (3, 3), (1, 1), (1, 1), (1, 1), False),
    "ceil": ((2, 3, 6, 7), (3, 2), (2, 2), (0, 0), (1, 1), True),
    "ceil padded": ((2, 3, 6, 7), (3, 2), (2, 3), (1, 1), (1, 1), True),
    "dilated": ((2, 9, 11, 12), (3, 2), (1, 2), (1, 1), (2, 3), False),
    "dilated ceil": ((2, 9, 11, 12), (3, 2), (2, 2), (1, 1), (3, 2), True),
    "asymmetric": ((2, 4, 9, 5), (4, 1), (3, 2), (2, 0), (1, 1), False),
    "stride beyond the kernel": ((1, 4, 9, 9), (2, 2), (4, 3), (0, 0), (1, 1), False),
    "one pixel": ((3, 33, 1, 1), (1, 1), (1, 1), (0, 0), (1, 1), False),
    "one pixel padded": ((3, 8, 1, 1), (3, 3), (2, 2), (1, 1), (1, 1), False),
    "whole image": ((2, 64, 5, 4), (5, 4), (5, 4), (0, 0), (1, 1), False),
    "empty batch": ((0, 4, 6, 6), (2, 2), (2, 2), (0, 0), (1, 1), False),
}
# shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
AVG_POOLS = {
    "2x2": ((2, 5, 8, 6), (2, 2), (2, 2), (0, 0), False, True, None),
    "3x3 padded": ((2, 40, 9, 10), (3, 3), (2, 2), (1, 1), False, True, None),
    "3x3 padding not counted": ((2, 40, 9, 10), (3, 3), (2, 2), (1, 1), False, False, None),
    "overlapping": ((1, 17, 7, 7), (3, 3), (1, 1), (1, 1), False, True, None),
    "ceil": ((2, 3, 6, 7), (3, 2), (2, 2), (0, 0), True, True, None),
    "ceil padded": ((2, 3, 6, 7), (3, 3), (2, 3), (1, 1), True, True, None),
    "ceil padding not counted": ((2, 3, 6, 7), (3, 3), (2, 3), (1, 1), True, False, None),
    "divisor": ((2, 3, 6, 7), (3, 2), (2, 2), (1, 1), False, True, 5),
    "negative divisor": ((2, 3, 6, 7), (3, 2), (2, 2), (1, 1), False, False, -2),
    "stride beyond the kernel": ((1, 4, 9, 9), (2, 2), (4, 3), (0, 0), False, True, None),
    "one pixel": ((3, 33, 1, 1), (1, 1), (1, 1), (0, 0), False, True, None),
    "whole image": ((2, 64, 5, 4), (5, 4), (5, 4), (0, 0), False, True, None),
    "empty batch": ((0, 4, 6, 6), (2, 2), (2, 2), (0, 0), False, True, None),
}
ADAPTIVE = {
    "to one": ((2, 40, 7, 5), (1, 1)),
    "evenly": ((2, 3, 8, 6), (4, 3)),
    "unevenly": ((2, 9, 7, 11), (3, 4)),
    "to more": ((2, 9, 3, 2), (5, 7)),
    "one pixel": ((2, 4, 1, 1), (1, 1)),
    "one pixel to more": ((2, 4, 1, 1), (2, 3)),
    "empty batch": ((0, 4, 6, 6), (2, 2)),
}


def assert_channels_last(x):
    assert x.transpose(0, 2, 3, 1).flags.c_contiguous


def assert_near(actual, expected, tolerance):
    scale = np.abs(expected).max() if expected.size else 0.0
    np.testing.assert_allclose(actual.astype(np.float64), expected, rtol=0, atol=tolerance * scale, strict=True)


def double(x):
    return torch.from_numpy(np.ascontiguousarray(x, np.float64))


@pytest.mark.parametrize("config", MAX_POOLS)
def test_max_pool(backend, config, dtype, laid_out, rng):
    shape, kernel, stride, padding, dilation, ceil_mode = MAX_POOLS[config]
    x = laid_out(rng.integers(-3, 3, shape).astype(dtype))  # with ties
    expected, expected_index = F.max_pool2d(double(x), kernel, stride, padding, dilation, ceil_mode, True)
    y, index = backend.max_pool2d(x, kernel, stride, padding, dilation, tuple(expected.shape[2:]))
    assert y.dtype == dtype
    assert index.dtype == np.int32
    np.testing.assert_array_equal(y.astype(np.float64), expected.numpy(), strict=True)
    np.testing.assert_array_equal(index, expected_index.numpy())
    assert_channels_last(y)
    assert_channels_last(index)


@pytest.mark.parametrize("config", MAX_POOLS)
def test_max_pool_backward(backend, config, dtype, tolerance, laid_out, rng):
    shape, kernel, stride, padding, dilation, ceil_mode = MAX_POOLS[config]
    x = double(rng.standard_normal(shape)).requires_grad_()
    y, index = F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode, True)
    gy = laid_out(rng.standard_normal(y.shape).astype(dtype))
    (expected,) = torch.autograd.grad(y, x, double(gy))
    gx = backend.pool_scatter(gy, index.numpy().astype(np.int32), shape[2:])
    assert gx.dtype == dtype
    assert_near(gx, expected.numpy(), tolerance)
    assert_channels_last(gx)
    values = laid_out(rng.standard_normal(shape).astype(dtype))  # the adjoint of the backward: a gather
    gathered = backend.pool_gather(values, index.numpy().astype(np.int32))
    at = index.numpy().reshape(*shape[:2], y.shape[2] * y.shape[3])
    flat = np.take_along_axis(values.reshape(*shape[:2], shape[2] * shape[3]), at, 2)
    np.testing.assert_array_equal(gathered, flat.reshape(index.shape), strict=True)
    assert_channels_last(gathered)


def test_max_pool_of_nan_and_infinity(backend):
    nan, inf = np.nan, np.inf
    plane = [[1, nan, 2, -inf], [3, nan, -inf, -inf], [inf, -inf, 5, nan], [-inf, -inf, -inf, -inf]]
    x = np.array([plane] * 9, np.float32)[None]
    for kernel, padding in (((2, 2), (0, 0)), ((2, 2), (1, 1)), ((3, 3), (1, 1))):
        expected, place = F.max_pool2d(torch.from_numpy(x), kernel, (2, 2), padding, return_indices=True)
        y, index = backend.max_pool2d(x, kernel, (2, 2), padding, (1, 1), tuple(expected.shape[2:]))
        np.testing.assert_array_equal(y, expected.numpy(), strict=True)  # NaN where PyTorch has NaN
        np.testing.assert_array_equal(index, place.numpy())


def test_max_pool_window_without_elements(backend):
    """A dilated window may step over the image: PyTorch then reads an index outside it, ours says so."""
    y, index = backend.max_pool2d(np.ones((1, 3, 1, 1), np.float32), (2, 2), (1, 1), (1, 1), (2, 2), (1, 1))
    np.testing.assert_array_equal(y, np.full((1, 3, 1, 1), -np.inf, np.float32), strict=True)
    np.testing.assert_array_equal(index, np.full((1, 3, 1, 1), -1, np.int32), strict=True)
    gx = backend.pool_scatter(np.ones_like(y), index, (1, 1))
    np.testing.assert_array_equal(gx, np.zeros((1, 3, 1, 1), np.float32), strict=True)
    np.testing.assert_array_equal(backend.pool_gather(np.ones_like(y), index), gx, strict=True)


@pytest.mark.parametrize("config", ADAPTIVE)
def test_adaptive_max_pool(backend, config, dtype, laid_out, rng):
    shape, output_size = ADAPTIVE[config]
    x = laid_out(rng.integers(-3, 3, shape).astype(dtype))
    expected, expected_index = F.adaptive_max_pool2d(double(x), output_size, return_indices=True)
    y, index = backend.adaptive_max_pool2d(x, output_size)
    assert y.dtype == dtype
    assert index.dtype == np.int32
    np.testing.assert_array_equal(y.astype(np.float64), expected.numpy(), strict=True)
    np.testing.assert_array_equal(index, expected_index.numpy())
    assert_channels_last(y)


@pytest.mark.parametrize("config", AVG_POOLS)
def test_avg_pool(backend, config, dtype, tolerance, laid_out, rng):
    shape, kernel, stride, padding, ceil_mode, include, divisor = AVG_POOLS[config]
    x = laid_out(rng.standard_normal(shape).astype(dtype))
    x64 = double(x).requires_grad_()
    expected = F.avg_pool2d(x64, kernel, stride, padding, ceil_mode, include, divisor)
    y = backend.avg_pool2d(x, kernel, stride, padding, tuple(expected.shape[2:]), include, divisor)
    assert y.dtype == dtype
    assert_near(y, expected.detach().numpy(), tolerance)
    assert_channels_last(y)
    gy = laid_out(rng.standard_normal(expected.shape).astype(dtype))
    (gradient,) = torch.autograd.grad(expected, x64, double(gy))
    gx = backend.avg_pool2d_backward(gy, shape[2:], kernel, stride, padding, include, divisor)
    assert gx.dtype == dtype
    assert_near(gx, gradient.numpy(), tolerance)
    assert_channels_last(gx)


@pytest.mark.parametrize("config", ADAPTIVE)
def test_adaptive_avg_pool(backend, config, dtype, tolerance, laid_out, rng):
    shape, output_size = ADAPTIVE[config]
    x = laid_out(rng.standard_normal(shape).astype(dtype))
    x64 = double(x).requires_grad_()
    expected = F.adaptive_avg_pool2d(x64, output_size)
    y = backend.adaptive_avg_pool2d(x, output_size)
    assert y.dtype == dtype
    assert_near(y, expected.detach().numpy(), tolerance)
    assert_channels_last(y)
    gy = laid_out(rng.standard_normal(expected.shape).astype(dtype))
    (gradient,) = torch.autograd.grad(expected, x64, double(gy))
    gx = backend.adaptive_avg_pool2d_backward(gy, shape[2:])
    assert gx.dtype == dtype
    assert_near(gx, gradient.numpy(), tolerance)
    assert_channels_last(gx)


def test_avg_pool_keeps_nan_and_infinity_in_their_windows(backend):
    x = np.ones((1, 20, 4, 4), np.float32)
    x[0, :, 0, 0], x[0, :, 3, 3] = np.nan, np.inf
    y = backend.avg_pool2d(x, (2, 2), (2, 2), (0, 0), (2, 2), True, None)
    np.testing.assert_array_equal(y[0, 19], np.array([[np.nan, 1], [1, np.inf]], np.float32), strict=True)


def test_global_average_of_a_large_image_is_accurate(rng):
    """Summed one by one in float32, 40,000 positive numbers would be off by 1e-5."""
    x = rng.random((1, 3, 200, 200), np.float32)
    y = registry.get("cpu").adaptive_avg_pool2d(x, (1, 1))
    np.testing.assert_allclose(y[0, :, 0, 0], x.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize(("size", "outputs"), [(7, 3), (3, 5), (1, 4), (8, 8), (10, 1)])
def test_covering_windows_invert_the_windows(size, outputs):
    windows = adaptive_windows(size, outputs)
    for i, (first, end) in enumerate(covering_windows(windows, size)):
        assert [p for p, (a, b) in enumerate(windows) if a <= i < b] == list(range(first, end))
