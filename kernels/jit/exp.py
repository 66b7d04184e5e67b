"""The exponential: one pass over flat float32 arrays.

That of :mod:`.softmax` is for numbers up to 0 and has no denormal results; this one is for all. Bytes an element: 8.
"""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .elementwise import FUSED, elementwise
from .softmax import LN2_HIGH, LN2_LOW, LOG2_E

LOW, HIGH = np.float32(-104), np.float32(89)
"""Where the result is 0 and infinity."""


@kernel(inline="always")
def _power_of_two(n):
    return np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)


@elementwise(fastmath=FUSED)
def exp(x):
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


@elementwise(arrays=2)
def exp_backward(gy, y):
    """``gy y``."""
    return gy * y
