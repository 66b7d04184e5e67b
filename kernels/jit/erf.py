"""The error function: one pass over memory, limited by the C library's polynomial (about 20 flops an element)."""

from __future__ import annotations

import math

from .elementwise import elementwise


@elementwise
def erf(x):
    """``erf(x)``."""
    return math.erf(x)
