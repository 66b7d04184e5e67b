"""The leaky ReLU whose slopes are parameters, one a channel: one pass over float32 images.

Planar memory is flat: so many neighbours have one slope, and then come those of the next channel. Of channels-last
memory there are rows, with a slope for each column. A task is one of `parts` runs. Sums are float32 over so many
elements, and float64 beyond. Bytes an element: 8, backward 12.
"""

from __future__ import annotations

import numpy as np

from .parallel import parallel_for

SUMS = {"reassoc", "contract"}  # sums may be taken in any order, lane by lane

BLOCK = 2048
"""Neighbours whose sum is float32."""

ROWS = 64
"""The same of rows."""

ZERO = np.float32(0)


@parallel_for
def planar(part, x, weight, inner, y, parts):
    """``y = x`` where it is positive, else ``weight x``; `inner` neighbours have one weight."""
    end = len(x) * (part + 1) // parts
    at = len(x) * part // parts
    while at < end:
        row = at // inner
        until = min(end, (row + 1) * inner)
        a, b, slope = x[at:until], y[at:until], weight[row % len(weight)]
        for i in range(len(a)):
            b[i] = a[i] if a[i] > 0 else slope * a[i]
        at = until


@parallel_for(fastmath=SUMS)
def planar_backward(part, gy, x, weight, inner, gx, sums, parts):
    """``gx = gy``, or ``weight gy``; ``sums (parts, channels)`` are those of ``gy x`` where x is not positive."""
    end = len(x) * (part + 1) // parts
    at = len(x) * part // parts
    sums[part] = 0
    while at < end:
        row = at // inner
        until = min(end, (row + 1) * inner, at + BLOCK)
        g, a, b, slope, some = gy[at:until], x[at:until], gx[at:until], weight[row % len(weight)], ZERO
        for i in range(len(a)):
            b[i] = g[i] if a[i] > 0 else slope * g[i]
            some += ZERO if a[i] > 0 else g[i] * a[i]
        sums[part, row % len(weight)] += some
        at = until


@parallel_for
def channels_last(part, x, weight, y, parts):
    """``y = x`` where it is positive, else ``weight x``; rows of ``x (rows, width)`` have a weight for each column."""
    rows, width = x.shape
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        a, b = x[r], y[r]
        for c in range(width):
            b[c] = a[c] if a[c] > 0 else weight[c] * a[c]


@parallel_for(fastmath=SUMS)
def channels_last_backward(part, gy, x, weight, gx, some, sums, parts):
    """As :func:`planar_backward`; ``sums (parts, width)`` by way of ``some (parts, width)``, float32."""
    rows, width = x.shape
    low, high = rows * part // parts, rows * (part + 1) // parts
    total, block = sums[part], some[part]
    total[:] = 0
    for first in range(low, high, ROWS):
        block[:] = 0
        for r in range(first, min(first + ROWS, high)):
            g, a, b = gy[r], x[r], gx[r]
            for c in range(width):
                b[c] = g[c] if a[c] > 0 else weight[c] * g[c]
                block[c] += ZERO if a[c] > 0 else g[c] * a[c]
        for c in range(width):
            total[c] += block[c]
