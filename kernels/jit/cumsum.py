"""Running sums along an axis: ``x (outer, n, inner)``, sums in float64. Bytes, float32: 8 an element.

Of neighbours in memory each sum waits for the one before, so several rows are summed up at once; with other elements in
between, these are vectors.
"""

from __future__ import annotations

import numpy as np

from .parallel import parallel_for

STRIP = 64
"""Neighbours that are summed up together."""


@parallel_for
def rows(part, x, y, reverse, parts):
    """``y[r, i] = x[r, 0] + ... + x[r, i]`` of ``x (rows, n)``; in reverse the sums are from the end."""
    count, n = x.shape
    step, start = (-1, n - 1) if reverse else (1, 0)
    first, end = count * part // parts, count * (part + 1) // parts
    for r in range(first, end - (end - first) % 4, 4):
        p = q = s = t = 0.0
        i = start
        for _ in range(n):
            p, q, s, t = p + x[r, i], q + x[r + 1, i], s + x[r + 2, i], t + x[r + 3, i]
            y[r, i], y[r + 1, i], y[r + 2, i], y[r + 3, i] = p, q, s, t
            i += step
    for r in range(end - (end - first) % 4, end):
        p, i = 0.0, start
        for _ in range(n):
            p += x[r, i]
            y[r, i] = p
            i += step


@parallel_for
def columns(task, x, y, reverse):
    """The same along the middle axis of ``x (outer, n, inner)``; a task is a strip of ``STRIP`` columns."""
    _, n, inner = x.shape
    outer, strip = divmod(task, (inner + STRIP - 1) // STRIP)
    first, end = strip * STRIP, min(strip * STRIP + STRIP, inner)
    totals = np.zeros(end - first)
    for k in range(n):
        i = n - 1 - k if reverse else k
        a, b = x[outer, i, first:end], y[outer, i, first:end]
        for c in range(end - first):
            totals[c] += a[c]
            b[c] = totals[c]
