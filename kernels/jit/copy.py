"""Copies of arrays whose innermost dimensions are neighbours in memory on both sides: rows, by all threads.

A task is one of `parts` runs of rows. Bytes, float32: 8 an element.
"""

from __future__ import annotations

from .parallel import parallel_for


@parallel_for
def copy_rows(part, x, starts, y, places, n, parts):
    """``y[places[r] + i] = x[starts[r] + i]`` for i below `n`; both are flat, whatever lies between their rows."""
    for r in range(len(starts) * part // parts, len(starts) * (part + 1) // parts):
        a, b = x[starts[r] : starts[r] + n], y[places[r] : places[r] + n]
        for i in range(n):
            b[i] = a[i]
