"""The composed convolution and product, that only the CUDA backend falls back on, against PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

# x shape, w shape, stride, padding, dilation, groups
CONVS = {
    "3x3": ((2, 5, 9, 8), (7, 5, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "1x1 strided": ((2, 6, 5, 4), (9, 6, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    "asymmetric": ((2, 3, 11, 7), (4, 3, 2, 5), (3, 2), (1, 3), (2, 1), 1),
    "grouped and dilated": ((2, 6, 7, 9), (8, 3, 3, 2), (1, 2), (2, 1), (2, 3), 2),
    "depthwise": ((2, 6, 7, 7), (12, 1, 3, 3), (2, 2), (1, 1), (1, 1), 6),
    "image smaller than the kernel": ((2, 3, 2, 3), (4, 3, 5, 5), (1, 1), (2, 2), (1, 1), 1),
    "empty batch": ((0, 3, 6, 6), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
}


def double(x):
    return torch.from_numpy(np.ascontiguousarray(x, np.float64))


def assert_near(actual, expected, tolerance):
    scale = np.abs(expected).max() if expected.size else 0.0
    np.testing.assert_allclose(actual.astype(np.float64), expected, rtol=0, atol=2 * tolerance * scale, strict=True)


@pytest.mark.parametrize("config", CONVS)
def test_convolution(reference, config, dtype, tolerance, laid_out, rng):
    x_shape, w_shape, *geometry = CONVS[config]
    x, w = laid_out(rng.standard_normal(x_shape).astype(dtype)), laid_out(rng.standard_normal(w_shape).astype(dtype))
    bias = rng.standard_normal(w_shape[0]).astype(dtype)
    tx, tw = double(x).requires_grad_(), double(w).requires_grad_()
    expected = F.conv2d(tx, tw, double(bias), *geometry)
    y = reference.conv2d_fprop(x, w, bias, *geometry)
    assert y.dtype == dtype
    assert_near(y, expected.detach().numpy(), tolerance)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous

    gy = laid_out(rng.standard_normal(expected.shape).astype(dtype))
    expected_gx, expected_gw = torch.autograd.grad(expected, (tx, tw), double(gy))
    gx = reference.conv2d_dgrad(gy, w, x_shape[2:], *geometry)
    gw = reference.conv2d_wgrad(gy, x, w_shape[2:], *geometry)
    assert gx.dtype == gw.dtype == dtype
    assert_near(gx, expected_gx.numpy(), tolerance)
    assert_near(gw, expected_gw.numpy(), tolerance)


@pytest.mark.parametrize(
    ("a", "b"), [((5, 7), (7, 3)), ((7,), (7,)), ((2, 1, 4, 6), (3, 6, 5)), ((6,), (2, 6, 5)), ((0, 4), (4, 3))]
)
def test_product(reference, a, b, dtype, tolerance, rng):
    a, b = rng.standard_normal(a).astype(dtype), rng.standard_normal(b).astype(dtype)
    product = np.asarray(reference.matmul(a, b))
    assert product.dtype == dtype
    assert_near(product, torch.matmul(double(a), double(b)).numpy(), tolerance)


def test_product_of_integers(reference):
    a, b = np.arange(6, dtype=np.int8).reshape(2, 3), np.full((3, 2), 100, np.int8)
    np.testing.assert_array_equal(reference.matmul(a, b), np.matmul(a, b), strict=True)  # it wraps around
