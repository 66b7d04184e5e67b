"""Pooling, channels-last: images are ``(N, H, W, C)`` and C-contiguous, and the vector lanes are channels.

Windows come as tables with one entry an output row and an output column, so that ordinary and adaptive pooling are the
same kernels: window ``(p, q)`` spans rows ``top[p] .. bottom[p]`` and columns ``left[q] .. right[q]`` of the image.
A task is one of `parts` runs of output rows, or of images.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic

from .lanes import over_channels, unpack
from .parallel import parallel_for


@intrinsic
def _max_of_window(typingctx, x, y, index, source, target, position, rows, down, columns, across, width, channels):
    """The maximum of a window of `x` into ``y[target + c]``, and where it stood into ``index[target + c]``.

    The window starts at ``x[source]``, pixel `position` of an image `width` pixels wide, and has rows x columns taps
    (at least one), `down` and `across` pixels apart. Ties keep the first tap, and a NaN wins over all.
    """

    def generate(context, builder, signature, args):
        x, y, index, source, target, position, rows, down, columns, across, width, channels = unpack(
            context, builder, signature, args
        )

        def body(emit, c):
            def row(i, best):
                def tap(j, best):
                    highest, where = best
                    pixel = i * down * width + j * across
                    value = emit.load(x, source + pixel * channels + c)
                    wins = (value > highest) | value.is_nan()
                    return emit.select(wins, value, highest), emit.select(wins, emit.int32(position + pixel), where)

                return emit.loop(columns, best, tap)

            highest, where = emit.loop(rows, [emit.load(x, source + c), emit.int32(position)], row)
            emit.store(highest, y, target + c)
            emit.store(where, index, target + c)

        over_channels(builder, channels, x, body)
        return context.get_dummy_value()

    return types.void(x, y, index, *[types.intp] * 9), generate


@intrinsic
def _sum_of_window(
    typingctx, x, y, source, target, rows, columns, width, channels, row_weights, column_weights, p, q, scale
):
    """``y[target + c] = scale * sum over (i, j) of row_weights[p + i] column_weights[q + j] x[window(i, j), c]``.

    Each row of the window is summed by itself first, which keeps the rounding of long sums small.
    """

    def generate(context, builder, signature, args):
        x, y, source, target, rows, columns, width, channels, row_weights, column_weights, p, q, scale = unpack(
            context, builder, signature, args
        )

        def body(emit, c):
            zero = emit.zero(x)

            def row(i, total):
                def tap(j, total):
                    value = emit.load(x, source + (i * width + j) * channels + c)
                    return [total[0] + value * emit.element(column_weights, q + j)]

                return [total[0] + emit.loop(columns, [zero], tap)[0] * emit.element(row_weights, p + i)]

            emit.store(emit.loop(rows, [zero], row)[0] * emit.spread(scale), y, target + c)

        over_channels(builder, channels, x, body, widest=8)
        return context.get_dummy_value()

    return types.void(x, y, *[types.intp] * 6, row_weights, column_weights, types.intp, types.intp, x.dtype), generate


@parallel_for
def max_pool(part, x, y, index, top, bottom, down, left, right, across, parts):
    """Maximum of each window and its place ``h * W + w`` in int32; taps are `down` rows and `across` columns apart.

    An empty window gives minus infinity and -1.
    """
    _, H, W, C = x.shape
    N, P, Q, _ = y.shape
    for row in range(N * P * part // parts, N * P * (part + 1) // parts):
        n, p = row // P, row % P
        rows = (bottom[p] - top[p] + down - 1) // down
        for q in range(Q):
            columns = (right[q] - left[q] + across - 1) // across
            position = top[p] * W + left[q]
            if rows > 0 and columns > 0:
                source, target = (n * H * W + position) * C, (row * Q + q) * C
                _max_of_window(x, y, index, source, target, position, rows, down, columns, across, W, C)
            else:
                for c in range(C):
                    y[n, p, q, c], index[n, p, q, c] = -np.inf, -1


@parallel_for
def weighted_pool(part, x, y, top, bottom, left, right, row_weights, column_weights, row_scale, column_scale, parts):
    """``y[p, q] = row_scale[p] column_scale[q] * sum over the window of row_weights[h] column_weights[w] x[h, w]``.

    With unit weights and scales of 1 / count that is an average pool; its adjoint swaps weights and scales, and asks
    for each input which windows it lies in.
    """
    _, H, W, C = x.shape
    N, P, Q, _ = y.shape
    for row in range(N * P * part // parts, N * P * (part + 1) // parts):
        n, p = row // P, row % P
        rows = bottom[p] - top[p]
        for q in range(Q):
            source, target = ((n * H + top[p]) * W + left[q]) * C, (row * Q + q) * C
            scale = row_scale[p] * column_scale[q]
            columns = right[q] - left[q]
            _sum_of_window(
                x, y, source, target, rows, columns, W, C, row_weights, column_weights, top[p], left[q], scale
            )


@parallel_for
def scatter(part, gy, index, gx, parts):
    """Add ``gy (N, P Q, C)`` at ``index`` of the planes of ``gx (N, H W, C)``; a negative index adds nowhere.

    The windows of one image may overlap, so an image is never split.
    """
    for n in range(len(gx) * part // parts, len(gx) * (part + 1) // parts):
        for i in range(gx.shape[1]):
            for c in range(gx.shape[2]):
                gx[n, i, c] = 0
        for p in range(gy.shape[1]):
            for c in range(gy.shape[2]):
                at = index[n, p, c]
                if at >= 0:
                    gx[n, at, c] += gy[n, p, c]


@parallel_for
def gather(part, x, index, y, parts):
    """``y (N, P Q, C)``: the elements of ``x (N, H W, C)`` at ``index``, 0 where that is negative."""
    for n in range(len(y) * part // parts, len(y) * (part + 1) // parts):
        for p in range(y.shape[1]):
            for c in range(y.shape[2]):
                at = index[n, p, c]
                y[n, p, c] = x[n, at, c] if at >= 0 else 0
