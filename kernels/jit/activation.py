"""Activations over flat arrays: one pass at the speed of memory. A task is one of `parts` runs of elements."""

from __future__ import annotations

from .parallel import parallel_for


@parallel_for
def relu(part, x, y, parts):
    """``y = max(x, 0)``; NaN stays NaN, for it is not less than 0."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b, zero = x[first:end], y[first:end], x.dtype.type(0)
    for i in range(end - first):
        v = a[i]
        b[i] = zero if v < zero else v


@parallel_for
def relu_backward(part, gy, y, gx, parts):
    """``gx = gy`` where ``y > 0``, else 0."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    g, a, b, zero = gy[first:end], y[first:end], gx[first:end], y.dtype.type(0)
    for i in range(end - first):
        v = g[i]
        b[i] = v if a[i] > zero else zero
