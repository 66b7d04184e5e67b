"""The natural logarithm, and that of 1 + x: one pass over flat float32 arrays. Bytes: 8 an element, backward 12."""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .elementwise import FUSED, elementwise
from .softmax import LN2_HIGH, LN2_LOW

ZERO, ONE, TWO, HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)
INFINITY, NAN = np.float32(np.inf), np.float32(np.nan)

NORMAL = np.float32(2.0**-126)
"""The smallest number that has all its digits."""

RAISE, RAISED, NONE = np.float32(2.0**24), np.int32(24), np.int32(0)

HALF_ROOT = np.float32(0.5**0.5).view(np.int32)
"""The bits of the smallest mantissa: they go from here to twice it."""


@kernel(inline="always")
def log_of(x):
    """``log(x)`` to 2 units in the last place; minus infinity at 0, NaN below.

    ``x = 2**n (1 + f)``, and ``log(1 + f) = 2 artanh(s)`` with ``s = f / (2 + f)``, \\|s| < 0.172. Its series to the
    11th power leaves 4e-9. It is summed up as ``f - (f^2 / 2 - s (f^2 / 2 + ...))``, so that of a small f all digits
    stay.
    """
    small = x < NORMAL
    scaled = np.float32(x * (RAISE if small else ONE))
    bits = scaled.view(np.int32)
    n = np.int32(np.int32(bits - HALF_ROOT) >> np.int32(23))
    f = np.int32(bits - np.int32(n << np.int32(23))).view(np.float32) - ONE
    s = f / (TWO + f)
    z = s * s
    tail = np.float32(2 / 11)
    for factor in (2 / 9, 2 / 7, 2 / 5, 2 / 3):
        tail = tail * z + np.float32(factor)
    halves = HALF * f * f
    raised = RAISED if small else NONE
    power = np.float32(np.int32(n - raised))
    found = power * LN2_HIGH + (f - (halves - (s * (halves + tail * z) + power * LN2_LOW)))
    found = found if x > ZERO else NAN
    found = -INFINITY if x == ZERO else found
    return found if x < INFINITY else x


@elementwise(fastmath=FUSED)
def log(x):
    """``log(x)``."""
    return log_of(x)


@elementwise(arrays=2)
def log_backward(gy, x):
    """``gy / x``."""
    return gy / x


@kernel(inline="always")
def log1p_of(x):
    """``log(1 + x)``: of ``u = 1 + x`` as it was rounded, times ``x / (u - 1)``, which has what rounding took away."""
    u = ONE + x
    inside = x > -ONE and x < INFINITY and u != ONE
    found = log_of(u)
    lost = u - ONE
    found = found * (x / (lost if lost != 0 else ONE)) if inside else found
    return x if u == ONE else found


@elementwise
def log1p(x):
    """``log(1 + x)``."""
    return log1p_of(x)


@elementwise(arrays=2)
def log1p_backward(gy, x):
    """``gy / (1 + x)``."""
    return gy / (ONE + x)
