"""Group norm of float32 images: each sample's channels, in groups, less their mean over their standard deviation.

Planar images are ``(samples groups, channels of a group, pixels)``, channels-last ones ``(samples, pixels, channels)``.
A task is a group, or a channels-last sample; of few samples it is some of a sample's groups. It stays
in a cache while it is read three times, backward twice. Sums are float32 over ``BLOCK`` elements, and float64 beyond:
about the mean, so that no digits cancel. Bytes an element: 8, backward 12; flops an element: 8, backward 12.
"""

from __future__ import annotations

import math

import numpy as np

from .compile import kernel
from .layernorm import BLOCK, SUMS, squares_of, sum_of
from .parallel import parallel_for

FUSED = {"contract"}

ROWS = 64
"""Rows of channels-last images whose sums are float32."""


@kernel(inline="always")
def _inverse(squares, count, eps):
    return np.float32(1 / math.sqrt(squares / count + eps))


@parallel_for(fastmath=SUMS)
def planar(part, x, weight, bias, y, mean, invstd, eps, parts):
    """``y = (x - mean) invstd weight + bias``, with the statistics of each group."""
    groups, channels, pixels = x.shape
    for r in range(groups * part // parts, groups * (part + 1) // parts):
        group = x[r].reshape(channels * pixels)
        centre = np.float32(sum_of(group) / len(group))
        scale = _inverse(squares_of(group, centre), len(group), eps)
        mean[r], invstd[r] = centre, scale
        first = r * channels % len(weight)
        for c in range(channels):
            a, b, w, shift = x[r, c], y[r, c], weight[first + c] * scale, bias[first + c]
            for i in range(pixels):
                b[i] = (a[i] - centre) * w + shift


@parallel_for(fastmath=SUMS)
def planar_backward(part, gy, x, weight, mean, invstd, gx, sums, parts):
    """``gx = invstd (g - xhat mean(g xhat) - mean(g))`` with ``g = gy weight``.

    ``sums (groups, 2, channels)`` are those of ``gy xhat`` and of ``gy``.
    """
    groups, channels, pixels = x.shape
    for r in range(groups * part // parts, groups * (part + 1) // parts):
        centre, scale = mean[r], invstd[r]
        first = r * channels % len(weight)
        along, level = 0.0, 0.0
        for c in range(channels):
            g, a = gy[r, c], x[r, c]
            of_both, of_g = 0.0, 0.0
            for begin in range(0, pixels, BLOCK):
                d, v = g[begin : min(begin + BLOCK, pixels)], a[begin : min(begin + BLOCK, pixels)]
                some, some_g = np.float32(0), np.float32(0)
                for i in range(len(d)):
                    some += d[i] * (v[i] - centre)
                    some_g += d[i]
                of_both, of_g = of_both + some, of_g + some_g
            sums[r, 0, c], sums[r, 1, c] = of_both * scale, of_g
            along += of_both * weight[first + c]
            level += of_g * weight[first + c]
        count = channels * pixels
        slope, level = np.float32(along * scale * scale * scale / count), np.float32(level * scale / count)
        for c in range(channels):
            g, a, out, w = gy[r, c], x[r, c], gx[r, c], weight[first + c] * scale
            for i in range(pixels):
                out[i] = g[i] * w - (a[i] - centre) * slope - level


@kernel(fastmath=FUSED)
def _column_sums(x, low, about, some, columns, sums):
    """``sums = sum(x - about)`` of each channel: its columns repeat from `low` on.

    Sums are taken in `some`, float32, and in `columns`.
    """
    rows, width = len(x), len(about)
    columns[:] = 0
    for first in range(0, rows, ROWS):
        some[:] = 0
        for p in range(first, min(first + ROWS, rows)):
            row = x[p, low : low + width]
            for c in range(width):
                some[c] += row[c] - about[c]
        for c in range(width):
            columns[c] += some[c]
    _fold(columns, sums)


@kernel(fastmath=FUSED)
def _column_squares(x, low, about, some, columns, sums):
    """``sums = sum((x - about)^2)`` of each channel."""
    rows, width = len(x), len(about)
    columns[:] = 0
    for first in range(0, rows, ROWS):
        some[:] = 0
        for p in range(first, min(first + ROWS, rows)):
            row = x[p, low : low + width]
            for c in range(width):
                d = row[c] - about[c]
                some[c] += d * d
        for c in range(width):
            columns[c] += some[c]
    _fold(columns, sums)


@kernel(fastmath=FUSED)
def _column_products(gy, x, low, about, some, columns, sums):
    """``sums = sum(gy (x - about))`` of each channel."""
    rows, width = len(x), len(about)
    columns[:] = 0
    for first in range(0, rows, ROWS):
        some[:] = 0
        for p in range(first, min(first + ROWS, rows)):
            row, g = x[p, low : low + width], gy[p, low : low + width]
            for c in range(width):
                some[c] += g[c] * (row[c] - about[c])
        for c in range(width):
            columns[c] += some[c]
    _fold(columns, sums)


@kernel
def _fold(columns, sums):
    """The sums of the columns that are one channel."""
    sums[:] = 0
    for first in range(0, len(columns), len(sums)):
        for c in range(len(sums)):
            sums[c] += columns[first + c]


@kernel
def _repeat(values, period):
    """Fill the rest of each row of `values` with its first `period` elements, again and again."""
    for row in values:
        for c in range(period, len(row)):
            row[c] = row[c - period]


@parallel_for(fastmath=FUSED)
def channels_last(task, x, weight, bias, y, mean, invstd, eps, tasks):
    """As :func:`planar`; ``mean`` and ``invstd`` are ``(samples, groups)``, a task is one of `tasks` of a sample.

    If it is all of a sample, several pixels may be folded into a row of ``x (samples, rows, width)``.
    """
    _, rows, width = x.shape
    groups, each = mean.shape[1], len(weight) // mean.shape[1]
    n, part = divmod(task, tasks)
    low, high = groups * part // tasks, groups * (part + 1) // tasks
    first, channels = low * each, (high - low) * each
    width = width if tasks == 1 else channels
    a, b = x[n], y[n]
    factors, some, columns, sums = (
        np.zeros((3, width), x.dtype),
        np.empty(width, x.dtype),
        np.empty(width),
        np.empty(channels),
    )
    centre, scale, shift = factors[0], factors[1], factors[2]
    count = each * (rows * width // channels)
    _column_sums(a, first, centre, some, columns, sums)
    for group in range(high - low):
        mean[n, low + group] = sums[group * each : group * each + each].sum() / count
        centre[group * each : group * each + each] = mean[n, low + group]
    _repeat(factors, channels)
    _column_squares(a, first, centre, some, columns, sums)
    for group in range(high - low):
        found = _inverse(sums[group * each : group * each + each].sum(), count, eps)
        invstd[n, low + group] = found
        for c in range(group * each, group * each + each):
            scale[c], shift[c] = weight[first + c] * found, bias[first + c]
    _repeat(factors, channels)
    for p in range(rows):
        row, to = a[p, first : first + width], b[p, first : first + width]
        for c in range(width):
            to[c] = (row[c] - centre[c]) * scale[c] + shift[c]


@parallel_for(fastmath=FUSED)
def channels_last_backward(task, gy, x, weight, mean, invstd, gx, sums, tasks):
    """As :func:`planar_backward`, of images as :func:`channels_last` has; ``sums`` are ``(samples, 2, channels)``."""
    _, rows, width = x.shape
    groups, each = mean.shape[1], len(weight) // mean.shape[1]
    n, part = divmod(task, tasks)
    low, high = groups * part // tasks, groups * (part + 1) // tasks
    first, channels = low * each, (high - low) * each
    width = width if tasks == 1 else channels
    g, a, out = gy[n], x[n], gx[n]
    factors, some, columns = np.zeros((4, width), x.dtype), np.empty(width, x.dtype), np.empty(width)
    centre, slope, level, scale = factors[0], factors[1], factors[2], factors[3]
    of_both, of_g = sums[n, 0, first : first + channels], sums[n, 1, first : first + channels]
    count = each * (rows * width // channels)
    _column_sums(g, first, centre, some, columns, of_g)
    for c in range(channels):
        centre[c] = mean[n, low + c // each]
    _repeat(factors, channels)
    _column_products(g, a, first, centre, some, columns, of_both)
    for group in range(high - low):
        inverse, begin, end = np.float64(invstd[n, low + group]), group * each, group * each + each
        along, all_g = 0.0, 0.0
        for c in range(begin, end):
            along += of_both[c] * weight[first + c]
            all_g += of_g[c] * weight[first + c]
            of_both[c] *= inverse
        for c in range(begin, end):
            slope[c], level[c] = along * inverse**3 / count, all_g * inverse / count
            scale[c] = weight[first + c] * inverse
    _repeat(factors, channels)
    for p in range(rows):
        row, down, to = a[p, first : first + width], g[p, first : first + width], out[p, first : first + width]
        for c in range(width):
            to[c] = down[c] * scale[c] - (row[c] - centre[c]) * slope[c] - level[c]
