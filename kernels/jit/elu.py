"""ELU, CELU and SELU: one pass over flat float32 arrays.

Bytes: 8 an element, backward 12. The exponential is that of :mod:`.softmax`, so all of it is vectors.
"""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .elementwise import FUSED, elementwise
from .softmax import exp

ZERO, ONE = np.float32(0), np.float32(1)

SMALL = np.float32(-0.5)
"""Above, ``exp(x) - 1`` would cancel; the Taylor series leaves 6e-9 of the value there."""


@kernel(inline="always")
def expm1_of(x):
    """``e**x - 1`` for x <= 0."""
    near = np.float32(1 / 40320)
    for factor in (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2):
        near = near * x + np.float32(factor)
    near = x + x * x * near
    far = exp(x) - ONE
    return near if x > SMALL else far


@elementwise(fastmath=FUSED)
def elu(x, bent, scale, inner):
    """``scale x`` where x is positive, else ``bent (exp(inner x) - 1)``."""
    low = ZERO if x > 0 else x * inner
    return scale * x if x > 0 else bent * expm1_of(low)


@elementwise(arrays=2, fastmath=FUSED)
def elu_backward(gy, x, bent, scale, inner):
    """Its gradient."""
    low = ZERO if x > 0 else x * inner
    return gy * (scale if x > 0 else bent * inner * exp(low))
