"""Sums into memory that exists, over flat arrays: one pass at the speed of memory."""

from __future__ import annotations

from .parallel import parallel_for


@parallel_for
def accumulate(part, total, other, parts):
    """``total += other`` on one of `parts` runs of elements."""
    first, end = len(total) * part // parts, len(total) * (part + 1) // parts
    a, b = total[first:end], other[first:end]
    for i in range(end - first):
        a[i] += b[i]
