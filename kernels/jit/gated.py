"""Activations that are the input times a gate between 0 and 1: one pass over flat float32 arrays.

A task is one of `parts` runs of elements. The exponential is that of :mod:`.softmax`, so all of it is vectors. Bytes: 8
an element, backward 12.
"""

from __future__ import annotations

import math

import numpy as np

from .compile import kernel
from .parallel import parallel_for
from .sigmoid import ONE, TWO, sigmoid_of, tanh_of
from .softmax import exp

FUSED = {"contract"}

HALF, SIXTH = np.float32(0.5), np.float32(1 / 6)
DENSITY = np.float32(1 / math.sqrt(2 * math.pi))
TAIL = tuple(
    np.float32(c)
    for c in [
        -2.27961991e-05,
        0.10025346,
        0.0946055407,
        0.122629084,
        -0.0236386636,
        0.310915108,
        -0.341654206,
        0.401489119,
        -0.199086859,
        0.0345102087,
    ]
)
"""Coefficients of :func:`upper_tail`, by Chebyshev's nodes for 0 <= a <= 14; the relative error is below 2e-8."""

SCALE, CUBE = np.float32(math.sqrt(2 / math.pi)), np.float32(0.044715)


@kernel(inline="always")
def upper_tail(a, e):
    """The normal ``Phi(-a)`` for a >= 0, with ``e = exp(-a^2 / 2)``: e times a polynomial in ``1 / (1 + a/4)``."""
    t = ONE / (ONE + np.float32(0.25) * a)
    z = t * t
    even, odd = TAIL[8], TAIL[9]  # two chains of half the length
    for of_even, of_odd in ((TAIL[6], TAIL[7]), (TAIL[4], TAIL[5]), (TAIL[2], TAIL[3]), (TAIL[0], TAIL[1])):
        even, odd = even * z + of_even, odd * z + of_odd
    return e * (even + t * odd)


@kernel(inline="always")
def _silu(x):
    return x * sigmoid_of(x)


@kernel(inline="always")
def _silu_slope(x):
    s = sigmoid_of(x)
    return s * (ONE + x * (ONE - s))


@kernel(inline="always")
def _gelu(x):
    tail = upper_tail(abs(x), exp(-HALF * x * x))
    return x * (ONE - tail if x >= 0 else tail)


@kernel(inline="always")
def _gelu_slope(x):
    e = exp(-HALF * x * x)
    tail = upper_tail(abs(x), e)
    return (ONE - tail if x >= 0 else tail) + x * (e * DENSITY)


@kernel(inline="always")
def _tanh_gelu(x):
    return HALF * x * (ONE + tanh_of(SCALE * x * (ONE + CUBE * x * x)))


@kernel(inline="always")
def _tanh_gelu_slope(x):
    t = tanh_of(SCALE * x * (ONE + CUBE * x * x))
    inner = SCALE * (ONE + np.float32(3) * CUBE * x * x)
    return HALF * (ONE + t) + HALF * x * (ONE - t * t) * inner


@kernel(inline="always")
def _hardswish(x):
    gate = x + np.float32(3)
    gate = np.float32(0) if gate < 0 else gate
    return x * (np.float32(6) if gate > 6 else gate) * SIXTH


@kernel(inline="always")
def _hardswish_slope(x):
    slope = x * np.float32(1 / 3) + HALF
    slope = np.float32(0) if x <= -3 else slope
    return ONE if x >= 3 else slope


@kernel(inline="always")
def _mish_gate(x):
    """``tanh(log(1 + e^x)) = (n + 2) n / ((n + 2) n + 2)`` with ``n = e^x``, by ``e^-|x|``, which cannot overflow."""
    e = exp(-abs(x))
    above = ONE + TWO * e if x > 0 else e * (e + TWO)
    return above / (above + (TWO * e * e if x > 0 else TWO))


@kernel(inline="always")
def _mish(x):
    return x * _mish_gate(x)


@kernel(inline="always")
def _mish_slope(x):
    t = _mish_gate(x)
    return t + x * sigmoid_of(x) * (ONE - t * t)


@parallel_for(fastmath=FUSED)
def silu(part, x, y, parts):
    """``y = x sigmoid(x)``."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        b[i] = _silu(a[i])


@parallel_for(fastmath=FUSED)
def silu_backward(part, gy, x, gx, parts):
    """Its gradient."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    g, a, b = gy[first:end], x[first:end], gx[first:end]
    for i in range(end - first):
        b[i] = g[i] * _silu_slope(a[i])


@parallel_for(fastmath=FUSED)
def gelu(part, x, y, parts):
    """``y = x Phi(x)`` (Hendrycks & Gimpel, arXiv 1606.08415)."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        b[i] = _gelu(a[i])


@parallel_for(fastmath=FUSED)
def gelu_backward(part, gy, x, gx, parts):
    """Its gradient."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    g, a, b = gy[first:end], x[first:end], gx[first:end]
    for i in range(end - first):
        b[i] = g[i] * _gelu_slope(a[i])


@parallel_for(fastmath=FUSED)
def tanh_gelu(part, x, y, parts):
    """``y = 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        b[i] = _tanh_gelu(a[i])


@parallel_for(fastmath=FUSED)
def tanh_gelu_backward(part, gy, x, gx, parts):
    """Its gradient."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    g, a, b = gy[first:end], x[first:end], gx[first:end]
    for i in range(end - first):
        b[i] = g[i] * _tanh_gelu_slope(a[i])


@parallel_for(fastmath=FUSED)
def hardswish(part, x, y, parts):
    """``y = x min(max(x + 3, 0), 6) / 6``."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        b[i] = _hardswish(a[i])


@parallel_for(fastmath=FUSED)
def hardswish_backward(part, gy, x, gx, parts):
    """Its gradient."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    g, a, b = gy[first:end], x[first:end], gx[first:end]
    for i in range(end - first):
        b[i] = g[i] * _hardswish_slope(a[i])


@parallel_for(fastmath=FUSED)
def mish(part, x, y, parts):
    """``y = x tanh(log(1 + exp(x)))`` (Misra, arXiv 1908.08681)."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        b[i] = _mish(a[i])


@parallel_for(fastmath=FUSED)
def mish_backward(part, gy, x, gx, parts):
    """Its gradient."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    g, a, b = gy[first:end], x[first:end], gx[first:end]
    for i in range(end - first):
        b[i] = g[i] * _mish_slope(a[i])
