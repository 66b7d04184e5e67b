"""The general convolution: any floating dtype, stride, padding, dilation and number of groups.

A convolution is a matrix product once the pixels under each window stand in a row (*im2col*)::

    columns[(n, p, q), (r, s, c)] = x[n, p * stride + r * dilation - padding, q * stride + s * dilation - padding, c]

    fprop   y = columns @ w             (N P Q) x (R S C)  times  (R S C) x K
    dgrad   columns = gy @ w^T          then every column is added back to where it came from (*col2im*)
    wgrad   gw = columns^T @ gy

The products are NumPy's (BLAS), the two rearrangements are the Numba kernels below. The columns are ``R S`` times as
large as the image, so they are made for a few *lines* at a time (a line is one row of output pixels of one image) and
stay in cache. Every faster algorithm is tested against this one. For the layout of the arrays see :mod:`.conv`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import prange

from .compile import kernel
from .conv import Geometry

Array = Any

COLUMN_BYTES = 4 << 20
"""Columns made at a time: about what the caches hold."""


@kernel(parallel=True)
def im2col(x, columns, first, rows, conv):
    """Fill ``columns (G, lines, Q, R, S, C/G)`` from ``x (N, H, W, G, C/G)`` for the lines from ``first`` on.

    Line ``l`` is row ``l % rows`` of image ``l // rows``. Outside the image is zero.
    """
    _, height, width, groups, channels = x.shape
    _, lines, output_width, filter_rows, filter_columns, _ = columns.shape
    (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), _ = conv
    for line in prange(lines):
        n, p = divmod(first + line, rows)
        for q in range(output_width):
            for r in range(filter_rows):
                h = p * stride_h + r * dilation_h - pad_h
                for s in range(filter_columns):
                    w = q * stride_w + s * dilation_w - pad_w
                    inside = 0 <= h < height and 0 <= w < width
                    for g in range(groups):
                        if inside:
                            for c in range(channels):
                                columns[g, line, q, r, s, c] = x[n, h, w, g, c]
                        else:
                            for c in range(channels):
                                columns[g, line, q, r, s, c] = 0


@kernel(parallel=True)
def col2im(columns, x, first, rows, conv):
    """The adjoint of :func:`im2col`: add ``columns`` to the pixels of ``x`` that they stand for.

    Windows overlap, so a thread takes whole rows of ``x`` and looks up which columns belong to them: no two threads
    write to one pixel, and the order of the sums does not depend on the number of threads.
    """
    _, height, width, groups, channels = x.shape
    _, lines, output_width, filter_rows, filter_columns, _ = columns.shape
    (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), _ = conv
    first_image = first // rows
    images = (first + lines - 1) // rows + 1 - first_image
    for image_row in prange(images * height):
        n, h = first_image + image_row // height, image_row % height
        for r in range(filter_rows):
            p, between = divmod(h + pad_h - r * dilation_h, stride_h)
            line = n * rows + p - first
            if between != 0 or p < 0 or p >= rows or line < 0 or line >= lines:
                continue
            for q in range(output_width):
                for s in range(filter_columns):
                    w = q * stride_w + s * dilation_w - pad_w
                    if 0 <= w < width:
                        for g in range(groups):
                            for c in range(channels):
                                x[n, h, w, g, c] += columns[g, line, q, r, s, c]


def fprop(x: Array, w: Array, bias: Array | None, y: Array, conv: Geometry) -> None:
    """Write ``x * w + bias`` into ``y``."""
    filters, out = _filters(w, conv.groups), _pixels(y, conv.groups)
    if conv.is_pointwise(w.shape[2:]):
        np.matmul(_pixels(x, conv.groups), filters, out=out)
    else:
        for first, part, columns in _blocks(y.shape, w.shape, x.dtype, conv.groups):
            im2col(_grouped(x, conv.groups), columns, first, y.shape[1], conv)
            np.matmul(_matrix(columns), filters, out=out[:, part])
    if bias is not None:
        np.add(y, bias, out=y)


def dgrad(gy: Array, w: Array, gx: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the input into ``gx``."""
    filters, grads = _filters(w, conv.groups).transpose(0, 2, 1), _pixels(gy, conv.groups)
    if conv.is_pointwise(w.shape[2:]):
        np.matmul(grads, filters, out=_pixels(gx, conv.groups))
        return
    gx[...] = 0
    for first, part, columns in _blocks(gy.shape, w.shape, gy.dtype, conv.groups):
        np.matmul(grads[:, part], filters, out=_matrix(columns))
        col2im(columns, _grouped(gx, conv.groups), first, gy.shape[1], conv)


def wgrad(gy: Array, x: Array, gw: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the weight into ``gw``."""
    k, c, r, s = gw.shape
    grads = _pixels(gy, conv.groups).transpose(0, 2, 1)
    if conv.is_pointwise((r, s)):
        total = np.matmul(grads, _pixels(x, conv.groups))
    else:
        total = np.zeros((conv.groups, k // conv.groups, r * s * c), gw.dtype)
        for first, part, columns in _blocks(gy.shape, gw.shape, gw.dtype, conv.groups):
            im2col(_grouped(x, conv.groups), columns, first, gy.shape[1], conv)
            total += np.matmul(grads[:, :, part], _matrix(columns))
    gw[...] = total.reshape(k, r, s, c).transpose(0, 3, 1, 2)


def _filters(w: Array, groups: int) -> Array:
    """``w (K, C/G, R, S)`` as matrices ``(G, R S C/G, K/G)``."""
    k, c, r, s = w.shape
    return w.reshape(groups, k // groups, c, r, s).transpose(0, 3, 4, 2, 1).reshape(groups, r * s * c, k // groups)


def _grouped(x: Array, groups: int) -> Array:
    """``x (N, H, W, C)`` as ``(N, H, W, G, C/G)``."""
    return x.reshape(*x.shape[:3], groups, x.shape[3] // groups)


def _pixels(y: Array, groups: int) -> Array:
    """``y (N, P, Q, K)`` as a view ``(G, N P Q, K/G)``."""
    n, p, q, k = y.shape
    return y.reshape(n * p * q, groups, k // groups).transpose(1, 0, 2)


def _matrix(columns: Array) -> Array:
    """``columns (G, lines, Q, R, S, C/G)`` as matrices ``(G, lines Q, R S C/G)``."""
    g, lines, q, r, s, c = columns.shape
    return columns.reshape(g, lines * q, r * s * c)


def _blocks(y_shape: tuple, w_shape: tuple, dtype: Any, groups: int) -> Iterator[tuple[int, slice, Array]]:
    """Go through the output a few lines at a time: the first line, the slice of pixels, and columns to fill."""
    n, p, q, _ = y_shape
    _, c, r, s = w_shape
    size = groups * q * r * s * c
    most = max(1, COLUMN_BYTES // max(1, size * dtype.itemsize))
    buffer = np.empty(min(most, n * p) * size, dtype)
    for first in range(0, n * p, most):
        lines = min(most, n * p - first)
        columns = buffer[: lines * size].reshape(groups, lines, q, r, s, c)
        yield first, slice(first * q, (first + lines) * q), columns
