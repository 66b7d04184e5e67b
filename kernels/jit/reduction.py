"""Sums of columns, as for bias gradients, of rows, and of all elements: one pass.

NumPy adds on one thread. Here each run of rows, or of elements, has an accumulator of its own; sums stay in the input's
precision over ``BLOCK`` rows, or ``SHORT`` elements in several chains, where they cannot lose much, and in float64
beyond.
"""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .parallel import parallel_for

BLOCK = 32

SHORT = 512


@parallel_for(fastmath={"contract"})
def column_sums(part, x, sums, scratch):
    """The sums of each column in each of ``len(sums)`` runs of rows; `scratch` has the dtype of `x`."""
    rows, width = x.shape
    first, end = rows * part // len(sums), rows * (part + 1) // len(sums)
    total, s = sums[part], scratch[part]
    for c in range(width):
        total[c] = 0
    for block in range(first, end, BLOCK):
        last = block + BLOCK if block + BLOCK < end else end
        for c in range(width):
            s[c] = 0
        for r in range(block, last):
            row = x[r]
            for c in range(width):
                s[c] += row[c]
        for c in range(width):
            total[c] += s[c]


@parallel_for(fastmath={"contract"})
def middle_sums(task, x, sums, strip):
    """The sums over the rows of ``x (outer, rows, width)``, float64; a task is a strip of so many columns."""
    _, rows, width = x.shape
    outer, j = divmod(task, (width + strip - 1) // strip)
    first, end = j * strip, min(j * strip + strip, width)
    total, s = sums[outer, first:end], np.empty(end - first, x.dtype)
    total[:] = 0
    for block in range(0, rows, BLOCK):
        s[:] = 0
        for r in range(block, min(block + BLOCK, rows)):
            row = x[outer, r, first:end]
            for c in range(end - first):
                s[c] += row[c]
        for c in range(end - first):
            total[c] += s[c]


@kernel(fastmath={"contract", "reassoc"})
def _short_sum(x):
    total = x.dtype.type(0)
    for i in range(len(x)):
        total += x[i]
    return total


@kernel
def _sum(x):
    """In float64."""
    total = 0.0
    for first in range(0, len(x), SHORT):
        total += _short_sum(x[first : first + SHORT])
    return total


@parallel_for
def row_sums(part, x, sums, parts):
    """The sum of each row, in float64."""
    for r in range(len(x) * part // parts, len(x) * (part + 1) // parts):
        sums[r] = _sum(x[r])


@parallel_for
def run_sums(part, x, sums):
    """The sum of each of ``len(sums)`` runs of elements, in float64."""
    sums[part] = _sum(x[len(x) * part // len(sums) : len(x) * (part + 1) // len(sums)])
