"""ELU, CELU and SELU: one pass over flat float32 arrays. A task is one of `parts` runs of elements.

Bytes: 8 an element, backward 12. The exponential is that of :mod:`.softmax`, so all of it is vectors.
"""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .parallel import parallel_for
from .softmax import exp

FUSED = {"contract"}

ONE = np.float32(1)

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


@parallel_for(fastmath=FUSED)
def elu(part, x, y, bent, scale, inner, parts):
    """``y = scale x`` where x is positive, else ``bent (exp(inner x) - 1)``."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        v = a[i]
        low = np.float32(0) if v > 0 else v * inner
        b[i] = scale * v if v > 0 else bent * expm1_of(low)


@parallel_for(fastmath=FUSED)
def elu_backward(part, gy, x, gx, bent, scale, inner, parts):
    """Its gradient."""
    first, end = len(x) * part // parts, len(x) * (part + 1) // parts
    g, a, b = gy[first:end], x[first:end], gx[first:end]
    for i in range(end - first):
        v = a[i]
        low = np.float32(0) if v > 0 else v * inner
        b[i] = g[i] * (scale if v > 0 else bent * inner * exp(low))
