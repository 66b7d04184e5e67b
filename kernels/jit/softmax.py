"""Softmax and its logarithm over the rows of float32 ``x (rows, n)``. A task is one of `parts` runs of rows.

A row stays in the L1 cache while it is read two or three times. What costs is the exponential: the C library's takes
one number a call, so :func:`exp` is arithmetic that LLVM turns into vectors.
"""

from __future__ import annotations

import math

import numpy as np

from .compile import kernel
from .parallel import parallel_for

SUMS = {"reassoc", "contract"}  # sums may be taken in any order, lane by lane

LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH = np.float32(0.693359375)  # 9 bits: its product with an exponent is exact
LN2_LOW = np.float32(-2.1219444005469057e-4)  # ln 2 - LN2_HIGH
LOWEST = np.float32(-87.33654)  # log of the smallest normal number


@kernel(inline="always")
def exp(x):
    """``e**x`` for x <= 0 to 2 units in the last place; 0 below the normal numbers, NaN for NaN.

    ``x = n ln 2 + r`` with \\|r| <= ln(2) / 2, so that ``e**x = 2**n e**r``; the Taylor series of ``e**r`` to the 7th
    power leaves 4e-9. Its even and its odd powers are two chains of half the length, which the CPU works on at once.
    An integer n is shifted into the exponent's bits.
    """
    n = np.floor(x * LOG2_E + np.float32(0.5))
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    z = r * r
    even, odd = np.float32(1 / 720), np.float32(1 / 5040)
    for of_even, of_odd in ((1 / 24, 1 / 120), (1 / 2, 1 / 6), (1.0, 1.0)):
        even, odd = even * z + np.float32(of_even), odd * z + np.float32(of_odd)
    scale = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return np.float32(0) if x < LOWEST else (even + r * odd) * scale


@kernel
def row_maximum(row):
    """The largest element; a NaN counts as larger than infinity, or if its sign is set as smaller than all.

    LLVM may not change the order of comparisons of floats, but it may of integers, and so takes whole vectors of them.
    The bits of floats are ordered like integers once the magnitude of negative ones is inverted.
    """
    bits = row.view(np.int32)
    highest = np.int32(-(2**31))
    for i in range(len(bits)):
        key = np.int32(bits[i] ^ (np.int32(bits[i] >> 31) & np.int32(0x7FFFFFFF)))
        highest = key if key > highest else highest
    return np.int32(highest ^ (np.int32(highest >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)


@parallel_for(fastmath=SUMS)
def softmax(part, x, y, parts):
    """``y = exp(x - max) / sum(exp(x - max))``."""
    for r in range(len(x) * part // parts, len(x) * (part + 1) // parts):
        a, b = x[r], y[r]
        highest, total = row_maximum(a), np.float32(0)
        for i in range(len(a)):
            e = exp(a[i] - highest)
            b[i] = e
            total += e
        share = np.float32(1) / total
        for i in range(len(a)):
            b[i] *= share


@parallel_for(fastmath=SUMS)
def log_softmax(part, x, y, parts):
    """``y = x - max - log(sum(exp(x - max)))``."""
    for r in range(len(x) * part // parts, len(x) * (part + 1) // parts):
        a, b = x[r], y[r]
        highest, total = row_maximum(a), np.float32(0)
        for i in range(len(a)):
            total += exp(a[i] - highest)
        log_total = np.float32(math.log(total))
        for i in range(len(a)):
            b[i] = (a[i] - highest) - log_total


@parallel_for(fastmath=SUMS)
def softmax_backward(part, gy, y, gx, parts):
    """``gx = y (gy - sum(gy y))``."""
    for r in range(len(y) * part // parts, len(y) * (part + 1) // parts):
        g, b, out, total = gy[r], y[r], gx[r], np.float32(0)
        for i in range(len(g)):
            total += g[i] * b[i]
        for i in range(len(g)):
            out[i] = b[i] * (g[i] - total)


@parallel_for(fastmath=SUMS)
def log_softmax_backward(part, gy, y, gx, parts):
    """``gx = gy - exp(y) sum(gy)``."""
    for r in range(len(y) * part // parts, len(y) * (part + 1) // parts):
        g, b, out, total = gy[r], y[r], gx[r], np.float32(0)
        for i in range(len(g)):
            total += g[i]
        for i in range(len(g)):
            out[i] = g[i] - exp(b[i]) * total
