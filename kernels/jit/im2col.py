"""The general convolution: any floating dtype, stride, padding, dilation and number of groups.

A convolution is a matrix product once the pixels under each window stand in a row (*im2col*)::

    columns[pixel, (r, s, c)] = x[n, p * stride + r * dilation - padding, q * ... , c]
    fprop  y       = columns @ w          pixels x (R S C)  @  (R S C) x K
    dgrad  columns = gy @ w^T             then every column is added back to where it came from (*col2im*)
    wgrad  gw      = columns^T @ gy

The products are NumPy's (BLAS), the two rearrangements are the Numba kernels below. Columns are ``R S`` times as large
as the image, so they are made for a few *lines* (rows of output pixels of one image) at a time and stay in cache.
Every faster algorithm is tested against this one.

Arrays are channels-last and C-contiguous: ``x (N, H, W, C)``, ``y (N, P, Q, K)``; weights ``(K, C/groups, R, S)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import prange

from .compile import kernel

Array = Any
Pair = tuple[int, int]

COLUMN_BYTES = 4 << 20
"""Columns made at a time: about what the caches hold."""


@kernel(parallel=True)
def im2col(x, columns, first, output_rows, stride, padding, dilation):
    """Fill ``columns (G, lines, Q, R, S, C/G)`` from ``x (N, H, W, G, C/G)`` for the lines from ``first`` on.

    Line ``l`` is row ``l % output_rows`` of image ``l // output_rows``; outside the image is zero.
    """
    _, height, width, groups, channels = x.shape
    _, lines, output_width, filter_rows, filter_columns, _ = columns.shape
    for line in prange(lines):
        n, p = divmod(first + line, output_rows)
        for q in range(output_width):
            for r in range(filter_rows):
                h = p * stride[0] + r * dilation[0] - padding[0]
                for s in range(filter_columns):
                    w = q * stride[1] + s * dilation[1] - padding[1]
                    inside = 0 <= h < height and 0 <= w < width
                    for g in range(groups):
                        if inside:
                            for c in range(channels):
                                columns[g, line, q, r, s, c] = x[n, h, w, g, c]
                        else:
                            for c in range(channels):
                                columns[g, line, q, r, s, c] = 0


@kernel(parallel=True)
def col2im(columns, x, first, output_rows, stride, padding, dilation):
    """The adjoint of :func:`im2col`: add ``columns`` to the pixels of ``x`` that they stand for.

    Windows overlap, so a thread takes whole rows of ``x`` and looks up which columns belong to them: no two threads
    write to one pixel, and the order of the sums does not depend on the number of threads.
    """
    _, height, width, groups, channels = x.shape
    _, lines, output_width, filter_rows, filter_columns, _ = columns.shape
    first_image = first // output_rows
    images = (first + lines - 1) // output_rows + 1 - first_image
    for row in prange(images * height):
        n, h = first_image + row // height, row % height
        for r in range(filter_rows):
            p, rest = divmod(h + padding[0] - r * dilation[0], stride[0])
            line = n * output_rows + p - first
            if rest != 0 or p < 0 or p >= output_rows or line < 0 or line >= lines:
                continue
            for q in range(output_width):
                for s in range(filter_columns):
                    w = q * stride[1] + s * dilation[1] - padding[1]
                    if 0 <= w < width:
                        for g in range(groups):
                            for c in range(channels):
                                x[n, h, w, g, c] += columns[g, line, q, r, s, c]


def fprop(
    x: Array, w: Array, bias: Array | None, y: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> None:
    """Write ``x * w + bias`` into ``y``."""
    matrix = _filters(w, groups)
    out = _lines(y, groups)
    for part, columns in _columns(x, y.shape, w.shape, stride, padding, dilation, groups):
        _fill(columns, part, x, y.shape[1], w.shape, stride, padding, dilation)
        np.matmul(columns, matrix, out=out[:, part])
    if bias is not None:
        np.add(y, bias, out=y)


def dgrad(gy: Array, w: Array, gx: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> None:
    """Write the gradient with respect to the input into ``gx``."""
    gx[...] = 0
    matrix = _filters(w, groups).transpose(0, 2, 1)
    grad = _lines(gy, groups)
    image = gx.reshape(*gx.shape[:3], groups, -1)
    for part, columns in _columns(gx, gy.shape, w.shape, stride, padding, dilation, groups):
        np.matmul(grad[:, part], matrix, out=columns)
        shape = (groups, -1, gy.shape[2], *w.shape[2:], w.shape[1])
        col2im(columns.reshape(shape), image, part.start // gy.shape[2], gy.shape[1], stride, padding, dilation)


def wgrad(gy: Array, x: Array, gw: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> None:
    """Write the gradient with respect to the weight into ``gw``."""
    grad = _lines(gy, groups).transpose(0, 2, 1)
    total = np.zeros((groups, gw.shape[0] // groups, gw[0].size if len(gw) else 0), gw.dtype)
    for part, columns in _columns(x, gy.shape, gw.shape, stride, padding, dilation, groups):
        _fill(columns, part, x, gy.shape[1], gw.shape, stride, padding, dilation)
        total += np.matmul(grad[:, :, part], columns)
    k, c, r, s = gw.shape
    gw[...] = total.reshape(k, r, s, c).transpose(0, 3, 1, 2)


def _filters(w: Array, groups: int) -> Array:
    """``w (K, C/G, R, S)`` as ``(G, R S C/G, K/G)``."""
    k, c, r, s = w.shape
    return w.reshape(groups, k // groups, c, r, s).transpose(0, 3, 4, 2, 1).reshape(groups, r * s * c, k // groups)


def _lines(y: Array, groups: int) -> Array:
    """``y (N, P, Q, K)`` as a view ``(G, N P Q, K/G)``."""
    n, p, q, k = y.shape
    return y.reshape(n * p * q, groups, k // groups).transpose(1, 0, 2)


def _columns(
    x: Array, y_shape: tuple, w_shape: tuple, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Iterator[tuple[slice, Array]]:
    """Go through the output pixels by whole lines: their slice, and a matrix ``(G, pixels, R S C/G)`` to fill.

    For a 1x1 filter that takes every pixel, ``x`` itself is the matrix of all columns.
    """
    n, p, q, _ = y_shape
    _, c, r, s = w_shape
    if _is_pointwise(w_shape, stride, padding):
        yield slice(0, n * p * q), _lines(x, groups)
        return
    size = groups * r * s * c
    lines = max(1, COLUMN_BYTES // max(1, q * size * x.itemsize))
    buffer = np.empty(min(lines, n * p) * q * size, x.dtype)
    for first in range(0, n * p, lines):
        count = min(lines, n * p - first) * q
        yield slice(first * q, first * q + count), buffer[: count * size].reshape(groups, count, r * s * c)


def _fill(
    columns: Array, part: slice, x: Array, rows: int, w_shape: tuple, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    """Call :func:`im2col`, unless ``columns`` is the image itself."""
    if _is_pointwise(w_shape, stride, padding):
        return
    groups = columns.shape[0]
    image = x.reshape(*x.shape[:3], groups, w_shape[1])
    width = (x.shape[2] + 2 * padding[1] - dilation[1] * (w_shape[3] - 1) - 1) // stride[1] + 1
    shape = (groups, -1, width, *w_shape[2:], w_shape[1])
    im2col(columns.reshape(shape), image, part.start // width, rows, stride, padding, dilation)


def _is_pointwise(w_shape: tuple, stride: Pair, padding: Pair) -> bool:
    return tuple(w_shape[2:]) == (1, 1) and tuple(stride) == (1, 1) and tuple(padding) == (0, 0)
