"""Sums by index: rows, or single elements, added where their numbers say, as the gradients of lookups are.

Values are added in their order, whatever the number of threads.
"""

from __future__ import annotations

from .compile import kernel
from .parallel import parallel_for


@parallel_for
def add_rows(part, index, values, out, parts):
    """``out[index[i]] += values[i]``. A task has one of `parts` runs of rows of `out`, and reads all of the index."""
    first, end = len(out) * part // parts, len(out) * (part + 1) // parts
    for i in range(len(index)):
        row = index[i]
        if first <= row < end:
            a, b = values[i], out[row]
            for c in range(len(a)):
                b[c] += a[c]


@kernel
def add_elements(index, values, out):
    """The same of flat arrays, on one thread."""
    for i in range(len(index)):
        out[index[i]] += values[i]
