"""The error function: one pass over memory, limited by the polynomial (about 20 flops an element)."""

from __future__ import annotations

import math
from typing import Any

from numba import prange

from .compile import kernel


@kernel(parallel=True)
def erf(x: Any, y: Any) -> Any:
    """``y[i] = erf(x[i])``; both are 1-d and contiguous, and may be the same array."""
    for i in prange(x.size):
        y[i] = math.erf(x[i])
    return y
