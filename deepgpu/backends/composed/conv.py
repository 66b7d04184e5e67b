"""Convolution as one matrix product over unfolded windows (im2col), composed of array operations.

`xp` is the array namespace, NumPy or CuPy. Every window of the padded input becomes a row of ``C/G * R * S`` numbers,
so that a convolution is ``rows @ filters``; its two gradients are the same product with the other two operands.
"""

from __future__ import annotations

from typing import Any

from deepgpu.backends.base import Array, Pair
from deepgpu.backends.layout import channels_last
from deepgpu.backends.precision import rounded, widened
from deepgpu.backends.windows import taps


def conv2d_fprop(
    xp: Any, x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """``x (N, C, H, W) * w (K, C/G, R, S) + bias (K,) -> (N, K, P, Q)``."""
    kernel = w.shape[2:]
    output_size = _output_size(x.shape[2:], kernel, stride, padding, dilation)
    n, k, (p, q) = x.shape[0], w.shape[0], output_size
    rows = _unfold(xp, widened(x), kernel, stride, padding, dilation, groups, output_size)
    filters = widened(w).reshape(groups, k // groups, rows.shape[2])
    y = xp.matmul(rows, filters.transpose(0, 2, 1))  # (G, N P Q, K/G)
    y = y.reshape(groups, n, p, q, k // groups).transpose(1, 0, 4, 2, 3).reshape(n, k, p, q)
    if bias is not None:
        y = y + widened(bias)[:, None, None]
    return channels_last(xp, rounded(y, x.dtype))


def conv2d_dgrad(
    xp: Any, gy: Array, w: Array, input_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Gradient with respect to the input, ``(N, C, *input_size)``."""
    n, k, p, q = gy.shape
    channels, r, s = w.shape[1:]
    filters = widened(w).reshape(groups, k // groups, channels * r * s)
    rows = xp.matmul(_by_group(widened(gy), groups), filters)  # (G, N P Q, C/G R S)
    windows = rows.reshape(groups, n, p, q, channels, r, s)
    gx = xp.zeros((n, groups * channels, *input_size), filters.dtype)
    for i, (inside, outside) in enumerate(taps(input_size, (r, s), stride, padding, dilation, (p, q))):
        tap = windows[..., i // s, i % s].transpose(1, 0, 4, 2, 3).reshape(n, groups * channels, p, q)
        gx[inside] += tap[outside]
    return channels_last(xp, rounded(gx, gy.dtype))


def conv2d_wgrad(
    xp: Any, gy: Array, x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Gradient with respect to the weight, ``(K, C/G, *kernel_size)``."""
    x = widened(x)
    rows = _unfold(xp, x, kernel_size, stride, padding, dilation, groups, gy.shape[2:])
    gw = xp.matmul(_by_group(widened(gy), groups).transpose(0, 2, 1), rows)
    return rounded(gw.reshape(gy.shape[1], x.shape[1] // groups, *kernel_size), gy.dtype)


def _unfold(
    xp: Any, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int, output_size: Pair
) -> Array:
    """The windows of `x` as rows, ``(G, N P Q, C/G R S)``; zeros stand for the padding."""
    n, c = x.shape[:2]
    (r, s), (p, q) = kernel, output_size
    windows = xp.zeros((r * s, n, c, p, q), x.dtype)
    for i, (inside, outside) in enumerate(taps(x.shape[2:], kernel, stride, padding, dilation, output_size)):
        windows[i][outside] = x[inside]
    channels = c // groups
    by_group = windows.reshape(r * s, n, groups, channels, p, q).transpose(2, 1, 4, 5, 3, 0)
    return by_group.reshape(groups, n * p * q, channels * r * s)


def _by_group(gy: Array, groups: int) -> Array:
    """``(N, K, P, Q) -> (G, N P Q, K/G)``."""
    n, k, p, q = gy.shape
    return gy.reshape(n, groups, k // groups, p, q).transpose(1, 0, 3, 4, 2).reshape(groups, n * p * q, k // groups)


def _output_size(input_size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    p, q = (
        (size + 2 * pad - d * (k - 1) - 1) // s + 1
        for size, k, s, pad, d in zip(input_size, kernel, stride, padding, dilation, strict=True)
    )
    return p, q
