"""Activations of straight lines over flat arrays: one pass at the speed of memory.

A task is one of `parts` runs of elements. Bytes, float32: 8 an element, backward 12.

A limit that is NaN limits nothing, because every comparison with it is false; an element that is NaN stays NaN.
"""

from __future__ import annotations

from .parallel import parallel_for


@parallel_for
def clamp(part, x, y, low, high, parts):
    """``y = x``, but `low` where it is less, and `high` where it is more."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        v = a[i]
        v = low if v < low else v
        b[i] = high if v > high else v


@parallel_for
def clamp_backward(part, gy, y, gx, low, high, parts):
    """``gx = gy``, but 0 where the result `y` of :func:`clamp` is at a limit."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    g, a, b, zero = gy[first:end], y[first:end], gx[first:end], y.dtype.type(0)
    for i in range(end - first):
        v, w = g[i], a[i]
        v = zero if w <= low else v
        b[i] = zero if w >= high else v


@parallel_for
def leaky_relu(part, x, y, slope, parts):
    """``y = x``, but ``slope x`` where it is not positive."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        b[i] = a[i] if a[i] > 0 else slope * a[i]


@parallel_for
def leaky_relu_backward(part, gy, x, gx, slope, parts):
    """``gx = gy``, but ``slope gy`` where `x` is not positive."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    g, a, b = gy[first:end], x[first:end], gx[first:end]
    for i in range(end - first):
        b[i] = g[i] if a[i] > 0 else slope * g[i]
