"""The sigmoid and tanh: of one value, for other kernels, and one pass over flat float32 arrays.

The exponential is that of :mod:`.softmax`, so all of it is vectors. Bytes: 8 an element, backward 12.
"""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .elementwise import FUSED, elementwise
from .softmax import exp

ONE, TWO = np.float32(1), np.float32(2)

SMALL = np.float32(0.625)
"""Below, ``1 - exp(-2 x)`` would cancel."""


@kernel(inline="always")
def sigmoid_of(x):
    """``1 / (1 + exp(-x))``, by an exponential that cannot overflow."""
    e = exp(-abs(x))
    return (ONE if x >= 0 else e) / (ONE + e)


@kernel(inline="always")
def tanh_of(x):
    """``(1 - e) / (1 + e)`` with ``e = exp(-2 |x|)``; near 0 an odd polynomial, fitted to 5e-9 at Chebyshev's nodes."""
    z = x * x
    near = np.float32(-0.005704042525286814)
    for factor in (0.020637861489554547, -0.05373915650374668, 0.13331431753510375, -0.3333328128411311):
        near = near * z + np.float32(factor)
    e = exp(-TWO * abs(x))
    far = (ONE - e) / (ONE + e)
    far = -far if x < 0 else far
    near = x + x * z * near if z > 0 else x  # -0 is itself
    return near if abs(x) < SMALL else far


@elementwise(fastmath=FUSED)
def sigmoid(x):
    """``1 / (1 + exp(-x))``."""
    return sigmoid_of(x)


@elementwise(arrays=2, fastmath=FUSED)
def sigmoid_backward(gy, y):
    """``gy y (1 - y)``."""
    return gy * (y * (ONE - y))


@elementwise(fastmath=FUSED)
def tanh(x):
    """``tanh(x)``."""
    return tanh_of(x)


@elementwise(arrays=2, fastmath=FUSED)
def tanh_backward(gy, y):
    """``gy (1 - y^2)``."""
    return gy * (ONE - y * y)
