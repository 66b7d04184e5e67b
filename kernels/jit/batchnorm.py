"""Batch normalisation (Ioffe and Szegedy, 2015) over the rows of ``x (rows, width)``.

A column is a channel, or several columns are one: the caller may fold ``k`` pixels of ``C`` channels into a row of
``width = k C``, so that short rows do not leave vectors half empty. Arrays of `width` repeat with period ``C``.

Sums are kept in the input's own precision over ``BLOCK`` rows, where they cannot lose much, and in float64 beyond.
Loops are written out where NumPy's slices, expressions and allocations would do: those take long to compile.
"""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .parallel import parallel_for
from .rows import fence, stream_rows

BLOCK = 32

FUSED = {"contract"}  # a * b + c may be rounded once


@parallel_for(fastmath=FUSED)
def moments(part, x, counts, means, squares, scratch):
    """Mean and sum of squared deviations of each column, in each of ``len(counts)`` runs of rows.

    One pass: a block is summed about the mean so far, and its distance from its own mean is corrected for. What the
    correction subtracts is no more than what the distance adds to the variance, so digits do not cancel, whatever the
    data. (Chan, Golub and LeVeque, 1983, for the formula that joins two runs.) `scratch` is ``(len(counts), 3, width)``
    of the dtype of `x`.
    """
    rows, width = x.shape
    first, end = rows * part // len(counts), rows * (part + 1) // len(counts)
    mean, m2 = means[part], squares[part]
    about, s, q = scratch[part, 0], scratch[part, 1], scratch[part, 2]
    for c in range(width):
        mean[c], m2[c], about[c] = 0, 0, x[first, c]
    for r in range(first, end, BLOCK):
        n = BLOCK if r + BLOCK < end else end - r
        _block_moments(x, r, r + n, about, s, q)
        known = r - first
        share, weight = n / (known + n), known * n / (known + n)
        for c in range(width):
            offset = np.float64(s[c]) / n
            step = about[c] + offset - mean[c]
            m2[c] += (q[c] - s[c] * offset) + step * step * weight
            mean[c] += step * share
            about[c] = mean[c]
    counts[part] = end - first


@kernel(fastmath=FUSED)
def _block_moments(x, first, end, about, s, q):
    """``s = sum(x - about)`` and ``q = sum((x - about)^2)`` over some rows.

    One by one, though four would touch the sums a quarter as often: memory then brings a third less.
    """
    width = x.shape[1]
    for c in range(width):
        s[c], q[c] = 0, 0
    for r in range(first, end):
        row = x[r]
        for c in range(width):
            d = row[c] - about[c]
            s[c] += d
            q[c] += d * d


@kernel
def join_moments(counts, means, squares, mean, var):
    """Mean and biased variance of each channel from the runs' of :func:`moments`, all float64."""
    C = len(mean)
    parts, width = means.shape
    total = 0.0
    for part in range(parts):
        total += counts[part] * (width // C)
    for c in range(C):
        mean[c], var[c] = 0, 0
    for part in range(parts):
        share = counts[part] / total
        for first in range(0, width, C):
            for c in range(C):
                mean[c] += means[part, first + c] * share
    for part in range(parts):
        share = counts[part] / total
        for first in range(0, width, C):
            for c in range(C):
                step = means[part, first + c] - mean[c]
                var[c] += squares[part, first + c] / total + step * step * share


@parallel_for(fastmath=FUSED)
def join_slots(part, slots, mean, var, parts):
    """Mean and biased variance of some channels, float64, from the moments that a convolution took.

    `slots` are those of :class:`.finish.Moments`.
    """
    first, end = len(mean) * part // parts, len(mean) * (part + 1) // parts
    m, v, some = mean[first:end], var[first:end], slots[:, :, first:end]
    for c in range(end - first):
        m[c], v[c] = 0, 0
    known = 0.0
    for slot in range(slots.shape[0]):
        about, s, q, n = some[slot, 0], some[slot, 1], some[slot, 2], np.float64(some[slot, 3, 0])
        share, weight, each = n / (known + n), known * n / (known + n), 1 / n
        for c in range(end - first):
            offset = s[c] * each
            step = about[c] + offset - m[c]
            v[c] += (q[c] - s[c] * offset) + step * step * weight
            m[c] += step * share
        known += n
    for c in range(end - first):
        v[c] /= known


@kernel
def affine(mean, var, weight, bias, eps, found):
    """Fill ``found (3, width)`` with the centre, scale and shift that :func:`normalise` takes.

    With them it gives ``(x - mean) / sqrt(var + eps) * weight + bias``. The centre is the mean rounded to the precision
    of `x`, and the shift makes up for the rounding: the large part of ``x - mean`` then cancels exactly.
    """
    C = len(mean)
    centre, scale, shift = found[0], found[1], found[2]
    for c in range(C):
        centre[c], scale[c] = mean[c], weight[c] / np.sqrt(var[c] + eps)
        shift[c] = bias[c] + (centre[c] - mean[c]) * scale[c]
    for c in range(C, len(centre)):
        centre[c], scale[c], shift[c] = centre[c - C], scale[c - C], shift[c - C]


@parallel_for(fastmath=FUSED)
def normalise(part, x, y, centre, scale, shift, low, high, parts, streams):
    """``y = (x - centre) * scale + shift``, but within ``[low, high]``, on one of `parts` runs of rows.

    A limit that is NaN limits nothing, because every comparison with it is false. If `y` is to be streamed past the
    caches, a row is made aside first. (Passes that read two images gain nothing by that.)
    """
    rows, width = x.shape
    aside = np.empty(width, x.dtype)
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, b = x[r], aside if streams else y[r]
        for c in range(width):
            v = (a[c] - centre[c]) * scale[c] + shift[c]
            v = low if v < low else v
            b[c] = high if v > high else v
        if streams:
            stream_rows(y[r].ctypes.data, 0, b.ctypes.data, 0, width, 1)
    fence()


@parallel_for(fastmath=FUSED)
def normalise_add(part, x, other, y, centre, scale, shift, low, high, parts):
    """As :func:`normalise`, of the sum with `other`."""
    rows, width = x.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, o, b = x[r], other[r], y[r]
        for c in range(width):
            v = (a[c] - centre[c]) * scale[c] + shift[c] + o[c]
            v = low if v < low else v
            b[c] = high if v > high else v


@kernel(fastmath=FUSED)
def _within(g, centred, scale, shift, low, high):
    """The gradient `g`, but 0 where the result of :func:`normalise` is at a limit: that is not read, but made again."""
    y = centred * scale + shift
    g = type(g)(0) if y <= low else g
    return type(g)(0) if y >= high else g


@parallel_for(fastmath=FUSED)
def gradient_sums(part, gy, x, centre, scale, shift, low, high, sums, scratch):
    """``sum(g)`` and ``sum(g (x - centre))`` of each column, in each of ``len(sums)`` runs of rows.

    `g` is `gy` where the normalised `x` is between the limits, and 0 elsewhere. `sums` is ``(runs, 2, width)`` in
    float64, and `scratch` the same in the dtype of `x`.
    """
    rows, width = x.shape
    first, end = rows * part // len(sums), rows * (part + 1) // len(sums)
    s, q = scratch[part, 0], scratch[part, 1]
    for c in range(width):
        sums[part, 0, c], sums[part, 1, c] = 0, 0
    for r in range(first, end, BLOCK):
        _block_gradient_sums(gy, x, r, r + BLOCK if r + BLOCK < end else end, centre, scale, shift, low, high, s, q)
        for c in range(width):
            sums[part, 0, c] += s[c]
            sums[part, 1, c] += q[c]


@kernel(fastmath=FUSED)
def _block_gradient_sums(gy, x, first, end, centre, scale, shift, low, high, s, q):
    """``s = sum(g)`` and ``q = sum(g (x - centre))`` over some rows.

    One by one, as in :func:`_block_moments`.
    """
    width = x.shape[1]
    for c in range(width):
        s[c], q[c] = 0, 0
    for r in range(first, end):
        row, g = x[r], gy[r]
        for c in range(width):
            d = row[c] - centre[c]
            a = _within(g[c], d, scale[c], shift[c], low, high)
            s[c] += a
            q[c] += a * d


@kernel
def gradient_factors(sums, rows, mean, var, weight, eps, gweight, gbias, of_gy, of_x, constant):
    """The parameters' gradients, and the factors of :func:`input_gradient`. Adds up in ``sums[0]``.

    With the normalised input ``xhat = (x - mean) invstd`` and means over the batch,
    ``gx = weight invstd (gy - mean(gy) - xhat mean(gy xhat))``.
    """
    C = len(mean)
    parts, _, width = sums.shape
    total, product = sums[0, 0], sums[0, 1]
    for part in range(parts):
        for first in range(C if part == 0 else 0, width, C):
            for c in range(C):
                total[c] += sums[part, 0, first + c]
                product[c] += sums[part, 1, first + c]
    pixels = rows * (width // C)
    for c in range(C):
        invstd = 1 / np.sqrt(var[c] + eps)
        gbias[c], gweight[c] = total[c], product[c] * invstd
        of_gy[c] = weight[c] * invstd
        of_x[c] = -weight[c] * (invstd * invstd * invstd) * (product[c] / pixels)
        constant[c] = -weight[c] * invstd * (total[c] / pixels)
    for c in range(C, width):
        of_gy[c], of_x[c], constant[c] = of_gy[c - C], of_x[c - C], constant[c - C]


@parallel_for(fastmath=FUSED)
def input_gradient(part, gy, x, gx, centre, scale, shift, low, high, of_gy, of_x, constant, parts):
    """``gx = of_gy g + of_x (x - centre) + constant`` on one of `parts` runs of rows; see :func:`gradient_sums`."""
    rows, width = x.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        g, a, b = gy[r], x[r], gx[r]
        for c in range(width):
            d = a[c] - centre[c]
            b[c] = of_gy[c] * _within(g[c], d, scale[c], shift[c], low, high) + (of_x[c] * d + constant[c])
