"""Layer norm and RMS norm of the rows of float32 ``x (rows, n)``. A task is one of `parts` runs of rows.

A row stays in a cache while it is read three times, backward twice. Its sums are made of blocks whose sums are float32,
lane by lane, and are joined in float64: a row may be as long as a whole image. Bytes an element: 8, backward 12; flops
an element: 8, backward 14.
"""

from __future__ import annotations

import math

import numpy as np

from .compile import kernel
from .parallel import parallel_for

SUMS = {"reassoc", "contract"}  # sums may be taken in any order, lane by lane

BLOCK = 2048
"""Elements whose sum is float32."""


@kernel(fastmath=SUMS)
def sum_of(a):
    """The sum of a row."""
    total = 0.0
    for first in range(0, len(a), BLOCK):
        block, some = a[first : min(first + BLOCK, len(a))], np.float32(0)
        for i in range(len(block)):
            some += block[i]
        total += some
    return total


@kernel(fastmath=SUMS)
def squares_of(a, centre):
    """The sum of the squares of a row less its centre."""
    total = 0.0
    for first in range(0, len(a), BLOCK):
        block, some = a[first : min(first + BLOCK, len(a))], np.float32(0)
        for i in range(len(block)):
            some += (block[i] - centre) * (block[i] - centre)
        total += some
    return total


@parallel_for(fastmath=SUMS)
def layer_norm(part, x, weight, bias, y, mean, invstd, eps, parts):
    """``y = (x - mean) invstd weight + bias``, with the statistics; without `mean`, of length 0, the mean counts as 0.

    Weight and bias may have length 0, too.
    """
    rows, n = x.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, b, centre = x[r], y[r], np.float32(0)
        if len(mean):
            centre = np.float32(sum_of(a) / n)
            mean[r] = centre
        scale = np.float32(1 / math.sqrt(squares_of(a, centre) / n + eps))
        invstd[r] = scale
        if len(bias):
            for i in range(n):
                b[i] = (a[i] - centre) * scale * weight[i] + bias[i]
        elif len(weight):
            for i in range(n):
                b[i] = (a[i] - centre) * scale * weight[i]
        else:
            for i in range(n):
                b[i] = (a[i] - centre) * scale


@parallel_for(fastmath=SUMS)
def layer_norm_backward(part, gy, x, weight, mean, invstd, gx, sums, parts):
    """``gx = invstd (g - xhat mean(g xhat) - mean(g))`` with ``g = gy weight``; without `mean` no ``mean(g)``.

    Each part adds ``gy xhat`` and ``gy`` of its rows up in ``sums (parts, 2, n)``, unless that has length 0.
    """
    rows, n = x.shape
    if len(sums):
        sums[part] = 0
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        g, a, out = gy[r], x[r], gx[r]
        centre, scale = mean[r] if len(mean) else np.float32(0), invstd[r]
        along, all_g = 0.0, 0.0
        for first in range(0, n, BLOCK):
            end = min(first + BLOCK, n)
            d, c, some, some_g = g[first:end], a[first:end], np.float32(0), np.float32(0)
            if len(weight):
                w = weight[first:end]
                for i in range(end - first):
                    v = d[i] * w[i]
                    some += v * (c[i] - centre)
                    some_g += v
            else:
                for i in range(end - first):
                    some += d[i] * (c[i] - centre)
                    some_g += d[i]
            along, all_g = along + some, all_g + some_g
        slope = np.float32(along * scale * scale / n)
        level = np.float32(all_g / n) if len(mean) else np.float32(0)
        if len(weight):
            for i in range(n):
                out[i] = scale * (g[i] * weight[i] - (a[i] - centre) * slope - level)
        else:
            for i in range(n):
                out[i] = scale * (g[i] - (a[i] - centre) * slope - level)
        if len(sums):
            of_weight, of_bias = sums[part, 0], sums[part, 1]
            for i in range(n):
                of_weight[i] += g[i] * ((a[i] - centre) * scale)
                of_bias[i] += g[i]
