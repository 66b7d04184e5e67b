"""CPU convolutions against PyTorch's in float64."""

import ml_dtypes
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deepgpu.backends.cpu import conv

# (x shape, w shape, stride, padding, dilation, groups)
CONFIGS = {
    "3x3": ((2, 5, 9, 8), (7, 5, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "1x1": ((2, 6, 5, 4), (9, 6, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1 strided": ((2, 6, 5, 4), (9, 6, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    "1x1 padded": ((2, 6, 5, 4), (9, 6, 1, 1), (1, 1), (1, 2), (1, 1), 1),
    "1x1 image": ((3, 4, 1, 1), (5, 4, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "image smaller than the kernel": ((2, 3, 2, 3), (4, 3, 5, 5), (1, 1), (2, 2), (1, 1), 1),
    "asymmetric": ((2, 3, 11, 7), (4, 3, 2, 5), (3, 2), (1, 3), (2, 1), 1),
    "stride beyond the kernel": ((1, 3, 11, 11), (4, 3, 2, 2), (4, 3), (0, 0), (1, 1), 1),
    "dilated": ((1, 4, 12, 13), (6, 4, 3, 3), (2, 1), (2, 3), (3, 2), 1),
    "grouped": ((2, 6, 7, 7), (8, 3, 3, 3), (1, 2), (1, 1), (1, 1), 2),
    "grouped 1x1": ((2, 6, 7, 7), (8, 3, 1, 1), (1, 1), (0, 0), (1, 1), 2),
    "depthwise": ((2, 6, 7, 7), (6, 1, 3, 3), (1, 1), (1, 1), (1, 1), 6),
    "depthwise with multiplier": ((2, 6, 7, 7), (12, 1, 3, 3), (2, 2), (1, 1), (1, 1), 6),
    "first layer": ((2, 3, 19, 17), (8, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
    "empty batch": ((0, 3, 6, 6), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
}
DTYPES = {
    "float64": (np.dtype(np.float64), 1e-12),
    "float32": (np.dtype(np.float32), 1e-5),
    "float16": (np.dtype(np.float16), 2e-3),
    "bfloat16": (np.dtype(ml_dtypes.bfloat16), 1e-2),
}
LAYOUTS = ("NCHW", "channels-last", "strided")


def in_layout(array, layout):
    """The same values in another memory layout."""
    if layout == "channels-last":
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "strided":
        wide = np.zeros((*array.shape[:3], 2 * array.shape[3]), array.dtype)
        wide[..., ::2] = array
        return wide[:, ::-1, :, ::2][:, ::-1]
    return array


def random(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def reference(x, w, bias, gy, stride, padding, dilation, groups):
    """PyTorch's y, gx and gw in float64."""
    tx, tw, tb, tgy = (torch.from_numpy(np.ascontiguousarray(a, np.float64)) for a in (x, w, bias, gy))
    y = F.conv2d(tx, tw, tb, stride, padding, dilation, groups)
    gx, gw, _ = torch.ops.aten.convolution_backward(
        tgy, tx, tw, None, stride, padding, dilation, False, [0, 0], groups, [True, True, False]
    )
    return y.numpy(), gx.numpy(), gw.numpy()


def output_size(x_shape, w_shape, stride, padding, dilation):
    spans = zip(x_shape[2:], w_shape[2:], stride, padding, dilation, strict=True)
    return tuple((h + 2 * p - d * (r - 1) - 1) // s + 1 for h, r, s, p, d in spans)


def assert_near(actual, expected, tolerance):
    """Relative error in the Euclidean norm, and no element far off; NaN fails."""
    actual = np.asarray(actual, np.float64)
    assert actual.shape == expected.shape
    scale = np.sqrt(np.mean(expected**2)) if expected.size else 0.0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=10 * tolerance * scale)
    assert np.linalg.norm(actual - expected) <= tolerance * np.linalg.norm(expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("config", CONFIGS)
def test_all_directions(config, dtype, layout):
    x_shape, w_shape, *geometry = CONFIGS[config]
    dtype, tolerance = DTYPES[dtype]
    rng = np.random.default_rng(0)
    y_shape = (x_shape[0], w_shape[0], *output_size(x_shape, w_shape, *geometry[:3]))
    x, w, bias, gy = (random(rng, s, dtype) for s in (x_shape, w_shape, w_shape[:1], y_shape))
    expected = reference(x, w, bias, gy, *geometry)
    x, gy = in_layout(x, layout), in_layout(gy, layout)

    y = conv.fprop(x, w, bias, *geometry)
    gx = conv.dgrad(gy, w, x_shape[2:], *geometry)
    gw = conv.wgrad(gy, x, w_shape[2:], *geometry)

    for actual, judge in zip((y, gx, gw), expected, strict=True):
        assert actual.dtype == dtype
        assert_near(actual, judge, tolerance)
    for image in (y, gx):
        assert image.transpose(0, 2, 3, 1).flags.c_contiguous
    assert gw.flags.c_contiguous


def test_without_bias():
    rng = np.random.default_rng(1)
    x, w = random(rng, (2, 3, 6, 6), np.float64), random(rng, (4, 3, 3, 3), np.float64)
    y = conv.fprop(x, w, None, (1, 1), (1, 1), (1, 1), 1)
    assert_near(y, F.conv2d(torch.from_numpy(x), torch.from_numpy(w), None, 1, 1).numpy(), 1e-12)


def test_more_lines_than_fit_into_the_column_buffer():
    """A large image is worked on in several blocks, one of them ragged and across two images."""
    rng = np.random.default_rng(2)
    x, w = random(rng, (2, 16, 61, 67), np.float64), random(rng, (4, 16, 5, 5), np.float64)
    geometry = (2, 1), (2, 2), (1, 1), 1
    gy = random(rng, (2, 4, *output_size(x.shape, w.shape, *geometry[:3])), np.float64)
    expected = reference(x, w, np.zeros(4), gy, *geometry)
    actual = (
        conv.fprop(x, w, None, *geometry),
        conv.dgrad(gy, w, x.shape[2:], *geometry),
        conv.wgrad(gy, x, w.shape[2:], *geometry),
    )
    for a, e in zip(actual, expected, strict=True):
        assert_near(a, e, 1e-12)


def test_dgrad_of_a_larger_image():
    """The rows and columns that no window reached, which only ``input_size`` tells, get a zero gradient."""
    gy, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))
    gx = conv.dgrad(gy, w, (5, 6), (2, 2), (0, 0), (1, 1), 1)
    expected = np.zeros((1, 1, 5, 6))
    expected[:, :, :4, :4] = 1
    np.testing.assert_array_equal(gx, expected)


def test_float16_overflow_is_infinity():
    x, w = np.full((1, 64, 1, 1), 60000, np.float16), np.ones((1, 64, 1, 1), np.float16)
    assert conv.fprop(x, w, None, (1, 1), (0, 0), (1, 1), 1)[0, 0, 0, 0] == np.inf
