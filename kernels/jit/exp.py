"""The exponential: one pass over flat float32 arrays. A task is one of `parts` runs of elements.

That of :mod:`.softmax` is for numbers up to 0 and has no denormal results; this one is for all. Bytes an element: 8.
"""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .parallel import parallel_for
from .softmax import LN2_HIGH, LN2_LOW, LOG2_E

FUSED = {"contract"}

LOW, HIGH = np.float32(-104), np.float32(89)
"""Where the result is 0 and infinity."""


@kernel(inline="always")
def _power_of_two(n):
    return np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)


@kernel(inline="always")
def exp_of(x):
    """``e**x`` to 2 units in the last place.

    As :func:`.softmax.exp`, but ``2**n`` is two factors: one alone could not be a number where ``e**r 2**n`` is one.
    """
    x = LOW if x < LOW else x
    x = HIGH if x > HIGH else x
    n = np.floor(x * LOG2_E + np.float32(0.5))
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    z = r * r
    even, odd = np.float32(1 / 720), np.float32(1 / 5040)
    for of_even, of_odd in ((1 / 24, 1 / 120), (1 / 2, 1 / 6), (1.0, 1.0)):
        even, odd = even * z + np.float32(of_even), odd * z + np.float32(of_odd)
    half = np.int32(np.int32(n) >> np.int32(1))
    return (even + r * odd) * _power_of_two(half) * _power_of_two(np.int32(np.int32(n) - half))


@parallel_for(fastmath=FUSED)
def exp(part, x, y, parts):
    """``y = e**x``."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        b[i] = exp_of(a[i])


@parallel_for
def exp_backward(part, gy, y, gx, parts):
    """``gx = gy y``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    g, a, b = gy[first:end], y[first:end], gx[first:end]
    for i in range(end - first):
        b[i] = g[i] * a[i]
