"""Sums of the columns of ``x (rows, width)``, for bias gradients: one pass over memory.

NumPy adds row by row into one accumulator for each column, on one thread. Here each run of rows has its own, sums stay
in the input's precision over ``BLOCK`` rows, where they cannot lose much, and in float64 beyond.
"""

from __future__ import annotations

from .parallel import parallel_for

BLOCK = 32


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
