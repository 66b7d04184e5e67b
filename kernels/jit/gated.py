"""Activations that are the input times a gate between 0 and 1: one pass over flat float32 arrays.

The exponential is that of :mod:`.softmax`, so all of it is vectors. Bytes: 8 an element, backward 12.
"""

from __future__ import annotations

import math

import numpy as np

from .compile import kernel
from .elementwise import FUSED, elementwise
from .sigmoid import ONE, TWO, sigmoid_of, tanh_of
from .softmax import exp

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


@elementwise(fastmath=FUSED)
def silu(x):
    """``x sigmoid(x)``."""
    return x * sigmoid_of(x)


@elementwise(arrays=2, fastmath=FUSED)
def silu_backward(gy, x):
    """Its gradient."""
    s = sigmoid_of(x)
    return gy * (s * (ONE + x * (ONE - s)))


@elementwise(fastmath=FUSED)
def gelu(x):
    """``x Phi(x)`` (Hendrycks & Gimpel, arXiv 1606.08415)."""
    tail = upper_tail(abs(x), exp(-HALF * x * x))
    return x * (ONE - tail if x >= 0 else tail)


@elementwise(arrays=2, fastmath=FUSED)
def gelu_backward(gy, x):
    """Its gradient."""
    e = exp(-HALF * x * x)
    tail = upper_tail(abs(x), e)
    return gy * ((ONE - tail if x >= 0 else tail) + x * (e * DENSITY))


@elementwise(fastmath=FUSED)
def tanh_gelu(x):
    """``0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``."""
    return HALF * x * (ONE + tanh_of(SCALE * x * (ONE + CUBE * x * x)))


@elementwise(arrays=2, fastmath=FUSED)
def tanh_gelu_backward(gy, x):
    """Its gradient."""
    t = tanh_of(SCALE * x * (ONE + CUBE * x * x))
    inner = SCALE * (ONE + np.float32(3) * CUBE * x * x)
    return gy * (HALF * (ONE + t) + HALF * x * (ONE - t * t) * inner)


@elementwise(fastmath=FUSED)
def hardswish(x):
    """``x min(max(x + 3, 0), 6) / 6``."""
    gate = x + np.float32(3)
    gate = np.float32(0) if gate < 0 else gate
    return x * (np.float32(6) if gate > 6 else gate) * SIXTH


@elementwise(arrays=2, fastmath=FUSED)
def hardswish_backward(gy, x):
    """Its gradient."""
    slope = x * np.float32(1 / 3) + HALF
    slope = np.float32(0) if x <= -3 else slope
    return gy * (ONE if x >= 3 else slope)


@elementwise(fastmath=FUSED)
def hardsigmoid(x):
    """The gate of :func:`hardswish`."""
    gate = x + np.float32(3)
    gate = np.float32(0) if gate < 0 else gate
    return (np.float32(6) if gate > 6 else gate) * SIXTH


@elementwise(arrays=2, fastmath=FUSED)
def hardsigmoid_backward(gy, x):
    """A sixth of `gy` between the limits, else 0."""
    gy = gy if x > -3 else np.float32(0)
    return (gy if x < 3 else np.float32(0)) * SIXTH


@kernel(inline="always")
def _mish_gate(x):
    """``tanh(log(1 + e^x)) = (n + 2) n / ((n + 2) n + 2)`` with ``n = e^x``, by ``e^-|x|``, which cannot overflow."""
    e = exp(-abs(x))
    above = ONE + TWO * e if x > 0 else e * (e + TWO)
    return above / (above + (TWO * e * e if x > 0 else TWO))


@elementwise(fastmath=FUSED)
def mish(x):
    """``x tanh(log(1 + exp(x)))`` (Misra, arXiv 1908.08681)."""
    return x * _mish_gate(x)


@elementwise(arrays=2, fastmath=FUSED)
def mish_backward(gy, x):
    """Its gradient."""
    t = _mish_gate(x)
    return gy * (t + x * sigmoid_of(x) * (ONE - t * t))
