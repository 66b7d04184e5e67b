"""The softplus ``log(1 + exp(x))`` and the logarithm of the sigmoid: one pass over flat float32 arrays.

A task is one of `parts` runs of elements. Bytes: 8 an element, backward 12. Both are ``log(1 + t)`` of a t = exp(-|x|)
between 0 and 1: no logarithm is needed, but a series, so all of it is vectors.
"""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .parallel import parallel_for
from .sigmoid import sigmoid_of
from .softmax import exp

FUSED = {"contract"}

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)


@kernel(inline="always")
def log1p_of(t):
    """``log(1 + t)`` for 0 <= t <= 1: ``2 artanh(s)`` with ``s = t / (2 + t) <= 1/3``; the series leaves 2e-9 of it."""
    s = t / (TWO + t)
    z = s * s
    found = np.float32(2 / 17)
    for factor in (2 / 15, 2 / 13, 2 / 11, 2 / 9, 2 / 7, 2 / 5, 2 / 3, 2.0):
        found = found * z + np.float32(factor)
    return s * found


@kernel(inline="always")
def log_sigmoid_of(x):
    """``log(1 / (1 + exp(-x)))``."""
    low = ZERO if x > 0 else x
    return low - log1p_of(exp(-abs(x)))


@parallel_for(fastmath=FUSED)
def softplus(part, x, y, beta, threshold, parts):
    """``y = log(1 + exp(beta x)) / beta``, and x where ``beta x`` is above the threshold."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b, per = x[first:end], y[first:end], ONE / beta
    for i in range(end - first):
        v = a[i] * beta
        b[i] = a[i] if v > threshold else -log_sigmoid_of(-v) * per


@parallel_for(fastmath=FUSED)
def softplus_backward(part, gy, x, gx, beta, threshold, parts):
    """Its gradient."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    g, a, b = gy[first:end], x[first:end], gx[first:end]
    for i in range(end - first):
        v = a[i] * beta
        b[i] = g[i] if v > threshold else g[i] * sigmoid_of(v)


@parallel_for(fastmath=FUSED)
def log_sigmoid(part, x, y, parts):
    """``y = log(sigmoid(x))``."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        b[i] = log_sigmoid_of(a[i])


@parallel_for(fastmath=FUSED)
def log_sigmoid_backward(part, gy, x, gx, parts):
    """Its gradient."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    g, a, b = gy[first:end], x[first:end], gx[first:end]
    for i in range(end - first):
        b[i] = g[i] * sigmoid_of(-a[i])
