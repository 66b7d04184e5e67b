"""Pooling, composed of array operations. `xp` is the array namespace, NumPy or CuPy.

A window's taps are visited in row-major order; each tap is one strided slice of the whole (padded) batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array, Pair
from deepgpu.backends.layout import channels_last
from deepgpu.backends.precision import accumulation_dtype, rounded, widened
from deepgpu.backends.windows import adaptive_windows, divisors, taps


def max_pool2d(
    xp: Any, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output_size: Pair
) -> tuple[Array, Array]:
    """``(y, index)``. A window that meets no element (all padding) gives minus infinity and the index -1."""
    n, c, h, w = x.shape
    values = widened(x)
    y = xp.full((n, c, *output_size), -np.inf, values.dtype)
    index = xp.full(y.shape, -1, np.int32)
    position = xp.arange(h * w, dtype=np.int32).reshape(1, 1, h, w)
    for inside, outside in taps(x.shape[2:], kernel, stride, padding, dilation, output_size):
        v, best, where = values[inside], y[outside], index[outside]
        # PyTorch's comparison: a NaN always wins, and minus infinity wins over nothing seen so far
        wins = (v > best) | (v != v) | (where < 0)
        y[outside] = xp.where(wins, v, best)
        index[outside] = xp.where(wins, position[inside], where)
    return channels_last(xp, rounded(y, x.dtype)), channels_last(xp, index)


def adaptive_max_pool2d(xp: Any, x: Array, output_size: Pair) -> tuple[Array, Array]:
    """As :func:`max_pool2d`, with the windows of :func:`~deepgpu.backends.windows.adaptive_windows`."""
    n, c, h, w = x.shape
    y = xp.empty((n, c, *output_size), x.dtype)
    index = xp.empty(y.shape, np.int32)
    for p, (h0, h1) in enumerate(adaptive_windows(h, output_size[0])):
        for q, (w0, w1) in enumerate(adaptive_windows(w, output_size[1])):
            one, at = max_pool2d(xp, x[:, :, h0:h1, w0:w1], (h1 - h0, w1 - w0), (1, 1), (0, 0), (1, 1), (1, 1))
            y[:, :, p, q] = one[:, :, 0, 0]
            index[:, :, p, q] = (at[:, :, 0, 0] // (w1 - w0) + h0) * w + at[:, :, 0, 0] % (w1 - w0) + w0
    return channels_last(xp, y), channels_last(xp, index)


def pool_scatter(xp: Any, gy: Array, index: Array, input_size: Pair) -> Array:
    """Add `gy` at `index` of each plane of zeros ``(N, C, *input_size)``; a negative index adds nowhere."""
    n, c, p, q = gy.shape
    h, w = input_size
    planes = xp.zeros((n * c, h * w + 1), accumulation_dtype(gy.dtype))  # the last column takes what goes nowhere
    row = xp.arange(n * c).reshape(-1, 1)
    column = xp.where(index < 0, h * w, index).reshape(n * c, p * q)
    xp.add.at(planes, (row, column), widened(gy.reshape(n * c, p * q)))
    return channels_last(xp, rounded(planes[:, : h * w].reshape(n, c, h, w), gy.dtype))


def pool_gather(xp: Any, x: Array, index: Array) -> Array:
    """The elements of each plane of `x` at `index`, 0 where the index is negative."""
    n, c, h, w = x.shape
    flat = index.reshape(n, c, index.shape[2] * index.shape[3])
    y = xp.take_along_axis(widened(x).reshape(n, c, h * w), xp.maximum(flat, 0), axis=2)
    return channels_last(xp, rounded(xp.where(flat < 0, y.dtype.type(0), y), x.dtype).reshape(index.shape))


def avg_pool2d(
    xp: Any,
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output_size: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """Mean of each window."""
    total = xp.zeros((*x.shape[:2], *output_size), accumulation_dtype(x.dtype))
    for inside, outside in taps(x.shape[2:], kernel, stride, padding, (1, 1), output_size):
        total[outside] += x[inside]
    counts = divisors(x.shape[2:], kernel, stride, padding, output_size, count_include_pad, divisor_override)
    return channels_last(xp, rounded(total / xp.asarray(np.outer(*counts), total.dtype), x.dtype))


def avg_pool2d_backward(
    xp: Any,
    gy: Array,
    input_size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """Adjoint of :func:`avg_pool2d`."""
    output_size = gy.shape[2:]
    gx = xp.zeros((*gy.shape[:2], *input_size), accumulation_dtype(gy.dtype))
    counts = divisors(input_size, kernel, stride, padding, output_size, count_include_pad, divisor_override)
    share = gy / xp.asarray(np.outer(*counts), gx.dtype)
    for inside, outside in taps(input_size, kernel, stride, padding, (1, 1), output_size):
        gx[inside] += share[outside]
    return channels_last(xp, rounded(gx, gy.dtype))


def adaptive_avg_pool2d(xp: Any, x: Array, output_size: Pair) -> Array:
    """Mean over the windows of :func:`~deepgpu.backends.windows.adaptive_windows`."""
    y = xp.empty((*x.shape[:2], *output_size), x.dtype)
    for p, (h0, h1) in enumerate(adaptive_windows(x.shape[2], output_size[0])):
        for q, (w0, w1) in enumerate(adaptive_windows(x.shape[3], output_size[1])):
            y[:, :, p, q] = x[:, :, h0:h1, w0:w1].mean(axis=(2, 3), dtype=accumulation_dtype(x.dtype))
    return channels_last(xp, y)


def adaptive_avg_pool2d_backward(xp: Any, gy: Array, input_size: Pair) -> Array:
    """Adjoint of :func:`adaptive_avg_pool2d`."""
    gx = xp.zeros((*gy.shape[:2], *input_size), accumulation_dtype(gy.dtype))
    for p, (h0, h1) in enumerate(adaptive_windows(input_size[0], gy.shape[2])):
        for q, (w0, w1) in enumerate(adaptive_windows(input_size[1], gy.shape[3])):
            gx[:, :, h0:h1, w0:w1] += gy[:, :, p : p + 1, q : q + 1] / gx.dtype.type((h1 - h0) * (w1 - w0))
    return channels_last(xp, rounded(gx, gy.dtype))
