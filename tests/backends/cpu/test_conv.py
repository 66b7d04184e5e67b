"""CPU convolutions against PyTorch's in float64."""

from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

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
    "many groups": ((2, 32, 7, 9), (32, 2, 3, 3), (1, 1), (1, 1), (1, 1), 16),
    "many groups, strided": ((2, 24, 8, 9), (48, 4, 3, 3), (2, 2), (1, 1), (1, 1), 6),
    "groups that do not join evenly": ((3, 21, 6, 7), (14, 3, 3, 2), (1, 2), (0, 1), (2, 1), 7),
    "groups that are one together": ((2, 12, 7, 5), (8, 3, 1, 1), (1, 1), (0, 0), (1, 1), 4),
    "one window": ((5, 6, 4, 3), (7, 6, 4, 3), (1, 1), (0, 0), (1, 1), 1),
    "one window, one image": ((1, 6, 4, 4), (7, 6, 4, 4), (2, 2), (0, 0), (1, 1), 1),
    "one window, many channels": ((9, 70, 3, 3), (65, 70, 3, 3), (1, 1), (0, 0), (1, 1), 1),
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


def check(x_shape, w_shape, geometry, dtype, layout, tolerance):
    """All three directions against the reference."""
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


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("config", CONFIGS)
def test_all_directions(config, dtype, layout):
    x_shape, w_shape, *geometry = CONFIGS[config]
    dtype, tolerance = DTYPES[dtype]
    check(x_shape, w_shape, geometry, dtype, layout, tolerance)


# the same as above for the algorithms in float32 that a shape would not get by itself, and what is special to each
EDGES = {
    "folded": {
        "4x4": ((2, 16, 12, 16), (20, 16, 4, 4), (2, 2), (1, 1), (1, 1), 1),
        "one output": ((1, 3, 2, 2), (5, 3, 4, 4), (2, 2), (1, 1), (1, 1), 1),
        "two outputs each way": ((3, 17, 4, 4), (9, 17, 4, 4), (2, 2), (1, 1), (1, 1), 1),
        "few tiles of many channels": ((64, 130, 4, 4), (140, 130, 4, 4), (2, 2), (1, 1), (1, 1), 1),
        "5x5": ((2, 9, 10, 18), (16, 9, 5, 5), (2, 2), (2, 2), (1, 1), 1),
        "6x6": ((2, 8, 14, 10), (16, 8, 6, 6), (2, 2), (2, 2), (1, 1), 1),
        "4x6": ((2, 8, 14, 10), (16, 8, 4, 6), (2, 2), (1, 2), (1, 1), 1),
        "5x4": ((1, 1, 6, 40), (1, 1, 5, 4), (2, 2), (2, 1), (1, 1), 1),
    },
    "winograd": {
        "one of everything": ((1, 1, 1, 1), (1, 1, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "partial tiles and vectors": ((3, 20, 13, 10), (24, 20, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "no padding": ((2, 16, 8, 9), (17, 16, 3, 3), (1, 1), (0, 0), (1, 1), 1),
        "uneven padding": ((2, 19, 8, 9), (16, 19, 3, 3), (1, 1), (2, 0), (1, 1), 1),
        "padding beyond the filter": ((1, 16, 5, 6), (16, 16, 3, 3), (1, 1), (4, 3), (1, 1), 1),
        "one output": ((2, 8, 3, 3), (8, 8, 3, 3), (1, 1), (0, 0), (1, 1), 1),
        "few tiles": ((5, 150, 4, 4), (170, 150, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "many blocks": ((4, 70, 40, 36), (66, 70, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "many channels": ((1, 20, 12, 12), (300, 20, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "many tiles and filters": ((2, 130, 48, 48), (140, 130, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "tiles of five": ((3, 20, 14, 10), (24, 20, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "tiles of five, partial": ((2, 17, 9, 13), (18, 17, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "tiles of five, few": ((4, 150, 10, 10), (170, 150, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "tiles of five, many channels": ((2, 512, 14, 14), (512, 512, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "two pixels": ((3, 20, 2, 2), (24, 20, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "two pixels, few tiles": ((5, 150, 2, 2), (170, 150, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "two pixels, many tiles": ((130, 20, 2, 2), (24, 20, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "two pixels from four": ((3, 20, 4, 4), (24, 20, 3, 3), (1, 1), (0, 0), (1, 1), 1),
        "two pixels to four": ((3, 20, 2, 2), (24, 20, 3, 3), (1, 1), (2, 2), (1, 1), 1),
        "two rows": ((2, 16, 2, 9), (16, 16, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "one row, no padding": ((2, 16, 3, 7), (16, 16, 3, 3), (1, 1), (0, 0), (1, 1), 1),
        "strided, one of everything": ((1, 1, 1, 1), (1, 1, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, even": ((3, 20, 12, 8), (24, 20, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, odd": ((2, 19, 13, 11), (21, 19, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, odd number of outputs": ((2, 16, 10, 9), (16, 16, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, few tiles": ((5, 150, 8, 8), (170, 150, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, many blocks": ((4, 70, 40, 37), (66, 70, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, whole tiles": ((2, 24, 16, 32), (32, 24, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, three outputs": ((2, 16, 6, 5), (16, 16, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, few tiles of many points": ((20, 150, 8, 8), (170, 150, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, many filters": ((4, 130, 24, 24), (140, 130, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "strided, two pixels": ((2, 16, 2, 2), (16, 16, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    },
    "depthwise": {
        "channel tail": ((2, 19, 12, 30), (19, 1, 3, 3), (1, 1), (1, 1), (1, 1), 19),
        "strided": ((2, 24, 9, 8), (24, 1, 3, 3), (2, 2), (1, 1), (1, 1), 24),
        "5x5": ((1, 16, 6, 7), (16, 1, 5, 5), (1, 1), (2, 2), (1, 1), 16),
        "5x5, strided": ((2, 21, 9, 23), (21, 1, 5, 5), (2, 2), (2, 1), (1, 1), 21),
        "7x7": ((1, 17, 9, 19), (17, 1, 7, 7), (1, 1), (3, 3), (1, 1), 17),
        "7x7, strided": ((1, 8, 8, 20), (8, 1, 7, 7), (2, 2), (3, 2), (1, 1), 8),
        "rows and columns differ": ((2, 16, 11, 17), (16, 1, 2, 3), (3, 1), (1, 0), (1, 1), 16),
        "padding beyond the middle": ((1, 8, 6, 6), (8, 1, 3, 3), (1, 1), (2, 2), (1, 1), 8),
        "7x7 of a small image": ((1, 8, 2, 3), (8, 1, 7, 7), (1, 1), (3, 3), (1, 1), 8),
        "dilated, uneven": ((2, 16, 12, 13), (16, 1, 3, 4), (1, 2), (2, 1), (2, 1), 16),
        "stride beyond the kernel": ((1, 8, 11, 11), (8, 1, 2, 2), (4, 3), (0, 0), (1, 1), 8),
        "one tap": ((1, 8, 5, 5), (8, 1, 1, 1), (1, 1), (0, 0), (1, 1), 8),
    },
    "direct": {
        "wide rows": ((1, 130, 6, 7), (40, 130, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "rows of several chunks": ((2, 900, 3, 4), (40, 900, 1, 1), (1, 1), (0, 0), (1, 1), 1),
        "many blocks": ((3, 33, 23, 29), (65, 33, 3, 3), (2, 2), (1, 1), (1, 1), 1),
        "many pixels": ((8, 3, 40, 40), (17, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "3x3 in Winograd's place": ((2, 16, 9, 9), (16, 16, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "groups with vector tails": ((2, 39, 9, 9), (57, 13, 3, 3), (2, 1), (1, 1), (1, 1), 3),
        "image's gradient": ((2, 3, 19, 17), (24, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
        "two channels, uneven": ((2, 2, 9, 8), (20, 2, 2, 3), (3, 2), (0, 4), (1, 1), 1),
        "four channels and lines left out": ((2, 20, 11, 9), (4, 20, 2, 2), (3, 3), (0, 1), (1, 1), 1),
        "few channels, dilated": ((2, 20, 11, 9), (3, 20, 3, 3), (1, 1), (2, 2), (2, 2), 1),
        "few channels, 1x1": ((2, 20, 11, 9), (3, 20, 1, 1), (1, 1), (0, 0), (1, 1), 1),
        "one output channel": ((2, 20, 9, 9), (1, 20, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "patches": ((2, 3, 7, 50), (20, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        "patches, padding beyond the filter": ((2, 5, 4, 25), (24, 5, 3, 5), (2, 1), (6, 7), (1, 1), 1),
        "patches, lines longer than a block": ((1, 3, 5, 230), (17, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
        "patches, stride beyond the window": ((2, 4, 9, 120), (16, 4, 2, 2), (1, 4), (0, 0), (2, 1), 1),
        "patches of several chunks": ((2, 40, 6, 30), (36, 40, 5, 3), (1, 1), (2, 1), (1, 1), 1),
    },
}
TOLERANCES = {"winograd": 4e-6, "folded": 4e-6, "depthwise": 1e-6, "direct": 1e-6, "im2col": 1e-6}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("name", "config"), [(a, c) for a in EDGES for c in EDGES[a]])
def test_edges_of_an_algorithm(name, config, layout):
    x_shape, w_shape, *geometry = EDGES[name][config]
    with conv.use_algorithm(name):
        for direction in ("fprop", "dgrad", "wgrad"):
            assert conv.algorithm(direction, x_shape, w_shape, *geometry) == name
        check(x_shape, w_shape, geometry, np.dtype(np.float32), layout, TOLERANCES[name])


@st.composite
def convolutions(draw):
    """Any convolution with at least one output."""
    window = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    if draw(st.booleans()):
        window, stride, dilation = (3, 3), (1, 1), (1, 1)  # often enough for Winograd
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels, filters = (groups * draw(st.integers(1, 40)) for _ in range(2))
    if draw(st.integers(0, 3)) == 0:
        groups = filters = channels  # depthwise
    least = [max(1, d * (r - 1) + 1 - 2 * p) for d, r, p in zip(dilation, window, padding, strict=True)]
    size = tuple(draw(st.integers(low, low + 20)) for low in least)
    batch = draw(st.integers(1, 5))
    w_shape = (filters, channels // groups, *window)
    return (batch, channels, *size), w_shape, stride, padding, dilation, groups


@settings(max_examples=60, deadline=None, derandomize=True)
@given(convolutions(), st.sampled_from(conv.ALGORITHMS), st.sampled_from(LAYOUTS))
def test_any_convolution(config, name, layout):
    x_shape, w_shape, *geometry = config
    with conv.use_algorithm(name):
        name = conv.algorithm("fprop", x_shape, w_shape, *geometry)
        check(x_shape, w_shape, geometry, np.dtype(np.float32), layout, TOLERANCES[name])


@st.composite
def folding(draw):
    """Convolutions with stride 2 whose windows are 4 to 6 wide and cover the image evenly."""
    image = [2 * draw(st.integers(1, 12)) for _ in range(2)]
    window, padding = zip(*(draw(st.sampled_from([(4, 1), (5, 2), (5, 1), (6, 2)])) for _ in range(2)), strict=True)
    n, c, k = (draw(st.integers(1, most)) for most in (3, 40, 40))
    return (n, c, *image), (k, c, *window), ((2, 2), padding, (1, 1), 1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(folding(), st.sampled_from(LAYOUTS))
def test_any_folding(config, layout):
    x_shape, w_shape, geometry = config
    with conv.use_algorithm("folded"):
        if conv.algorithm("fprop", x_shape, w_shape, *geometry) == "folded":
            check(x_shape, w_shape, geometry, np.dtype(np.float32), layout, TOLERANCES["folded"])


@pytest.mark.parametrize("name", conv.ALGORITHMS)
def test_not_a_number_is_seen(name):
    """A NaN in the image reaches every output whose window holds it, and no other."""
    groups = 8 if name == "depthwise" else 1
    w = np.ones((8, 8 // groups, 3, 3), np.float32)
    x = np.zeros((1, 8, 12, 12), np.float32)
    x[0, 3, 1, 1] = np.nan
    with conv.use_algorithm(name):
        y = conv.fprop(x, w, None, (1, 1), (1, 1), (1, 1), groups)
    assert np.isnan(y[0, 3, :3, :3]).all()
    tile = 8 if name == "winograd" else 3  # Winograd spreads it over the tiles whose pixels hold it
    assert np.isfinite(y[0, :, tile:, tile:]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_groups_do_not_see_each_other(bad):
    """Nor where several are taken as one, whose other weights are zero."""
    rng = np.random.default_rng(0)
    x, w = random(rng, (2, 16, 6, 6), np.float32), random(rng, (24, 2, 3, 3), np.float32)
    gy = random(rng, (2, 24, 6, 6), np.float32)
    geometry = (1, 1), (1, 1), (1, 1), 8
    assert conv.algorithm("fprop", x.shape, w.shape, *geometry) == "direct"
    clean = (
        conv.fprop(x, w, None, *geometry),
        conv.dgrad(gy, w, (6, 6), *geometry),
        conv.wgrad(gy, x, (3, 3), *geometry),
    )
    x[1, 5, 2, 3] = gy[1, 7, 2, 3] = bad  # both of group 2
    y, gx, gw = (
        conv.fprop(x, w, None, *geometry),
        conv.dgrad(gy, w, (6, 6), *geometry),
        conv.wgrad(gy, x, (3, 3), *geometry),
    )
    for found, expected, axis in zip((y, gx, gw), clean, (1, 1, 0), strict=True):
        of_group = found.shape[axis] // 8
        own = np.arange(2 * of_group, 3 * of_group)
        assert not np.isfinite(found.take(own, axis)).all()
        assert_near(np.delete(found, own, axis), np.delete(expected, own, axis), 1e-6)


def test_results_do_not_depend_on_what_a_workspace_held():
    """Scratch memory full of NaN must not leak into results."""
    configs = [(EDGES[a][c], a) for a in EDGES for c in EDGES[a]]
    for (x_shape, w_shape, *geometry), name in configs:
        with conv.use_algorithm(name):
            x = np.full(x_shape, np.nan, np.float32)
            gy = np.full((x_shape[0], w_shape[0], *output_size(x_shape, w_shape, *geometry[:3])), np.nan, np.float32)
            conv.fprop(x, np.full(w_shape, np.nan, np.float32), None, *geometry)
            conv.wgrad(gy, x, w_shape[2:], *geometry)
            check(x_shape, w_shape, geometry, np.dtype(np.float32), "NCHW", TOLERANCES[name])


STREAMED = {
    "1x1": ((8, 24, 64, 64), (72, 24, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1, several shares and a vector less than a panel": ((4, 8, 64, 64), (136, 8, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "several chunks, and a vector less than a panel": ((4, 520, 56, 56), (168, 520, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "3x3 of planes": ((4, 3, 96, 96), (64, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "no whole vectors": ((4, 8, 96, 96), (60, 8, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "depthwise": ((4, 64, 96, 96), (64, 1, 3, 3), (1, 1), (1, 1), (1, 1), 64),
}


@pytest.mark.parametrize("case", STREAMED)
def test_images_that_are_written_past_the_caches(case):
    x_shape, w_shape, *geometry = STREAMED[case]
    check(x_shape, w_shape, geometry, np.dtype(np.float32), "channels-last", 1e-6)


def test_two_threads_at_once():
    shape, w_shape, *geometry = EDGES["winograd"]["many blocks"]
    rng = np.random.default_rng(3)
    images, w = [random(rng, shape, np.float32) for _ in range(6)], random(rng, w_shape, np.float32)
    alone = [conv.fprop(x, w, None, *geometry) for x in images]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda x: conv.fprop(x, w, None, *geometry), images))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_image_that_may_not_be_written_to():
    rng = np.random.default_rng(4)
    x, w = random(rng, (1, 16, 8, 8), np.float32), random(rng, (16, 16, 3, 3), np.float32)
    expected = conv.fprop(x, w, None, (1, 1), (1, 1), (1, 1), 1)
    x.flags.writeable = w.flags.writeable = False
    np.testing.assert_array_equal(conv.fprop(x, w, None, (1, 1), (1, 1), (1, 1), 1), expected)


@pytest.mark.parametrize("channels", [1, 3, 16, 21])
@pytest.mark.parametrize("part", [np.s_[:], np.s_[:, 1:], np.s_[1:, :, 2:], np.s_[:, :, :, 1:], np.s_[::-1]])
def test_large_images_of_planes(channels, part):
    """Large enough for the kernel that interleaves planes, whole or sliced."""
    x = random(np.random.default_rng(5), (3, channels + 1, 47, 45), np.float32)[part]
    w = np.eye(x.shape[1], dtype=np.float32)[:, :, None, None]
    y = conv.fprop(x, w, None, (1, 1), (0, 0), (1, 1), 1)
    np.testing.assert_array_equal(y, x)


def test_choice_of_algorithm():
    def choice(x_shape, w_shape, *geometry, dtype=np.float32):
        return conv.algorithm("fprop", x_shape, w_shape, *geometry, dtype=dtype)

    assert choice((64, 64, 32, 32), (64, 64, 3, 3), (1, 1), (1, 1)) == "winograd"
    assert choice((64, 64, 2, 2), (64, 64, 3, 3), (1, 1), (1, 1)) == "winograd"
    assert choice((64, 64, 1, 1), (64, 64, 3, 3), (1, 1), (1, 1)) == "direct"  # where no multiplications are saved
    assert choice((64, 64, 32, 32), (64, 64, 3, 3), (2, 2), (1, 1)) == "winograd"
    assert choice((64, 64, 32, 32), (64, 64, 3, 3), (2, 2), (0, 0)) == "direct"
    assert choice((64, 64, 14, 14), (64, 64, 3, 3), (2, 2), (1, 1)) == "winograd"
    assert choice((64, 64, 6, 6), (64, 64, 3, 3), (2, 2), (1, 1)) == "direct"
    assert choice((64, 3, 32, 32), (64, 3, 3, 3), (1, 1), (1, 1)) == "direct"
    assert choice((64, 64, 32, 32), (64, 64, 4, 4), (2, 2), (1, 1)) == "folded"
    assert choice((64, 64, 32, 32), (64, 64, 5, 5), (2, 2), (2, 2)) == "folded"
    assert choice((64, 3, 32, 32), (64, 3, 4, 4), (2, 2), (1, 1)) == "direct"
    assert choice((64, 64, 31, 32), (64, 64, 4, 4), (2, 2), (1, 1)) == "direct"
    assert choice((64, 64, 32, 32), (64, 64, 4, 4), (2, 2), (2, 2)) == "direct"
    assert choice((64, 64, 32, 32), (64, 64, 7, 7), (2, 2), (3, 3)) == "direct"
    assert choice((64, 96, 32, 32), (96, 1, 3, 3), (1, 1), (1, 1), (1, 1), 96) == "depthwise"
    assert choice((64, 64, 32, 32), (64, 64, 3, 3), dtype=np.float64) == "im2col"
    assert choice((64, 64, 32, 32), (64, 64, 3, 3), dtype=np.float16) == "winograd"
    assert choice((0, 64, 32, 32), (64, 64, 3, 3)) == "im2col"
    with conv.use_algorithm("direct"):
        assert choice((64, 64, 32, 32), (64, 64, 3, 3)) == "direct"
    with conv.use_algorithm("winograd"):
        assert choice((64, 64, 32, 32), (64, 64, 1, 1)) == "direct"
    assert choice((64, 64, 32, 32), (64, 64, 3, 3)) == "winograd"
    with pytest.raises(ValueError, match="`name` is 'fft'; expected one of 'winograd'"), conv.use_algorithm("fft"):
        pass


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
