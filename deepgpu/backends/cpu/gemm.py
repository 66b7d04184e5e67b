"""Matrix products on the CPU."""

from __future__ import annotations

import numpy as np

from deepgpu.backends.base import Array


def matmul(a: Array, b: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.matmul`. The half types are summed in float32 and rounded once."""
    dtype = a.dtype
    if dtype.itemsize == 2 and dtype.kind not in "iu":
        with np.errstate(over="ignore"):
            return np.asarray(np.matmul(a.astype(np.float32), b.astype(np.float32))).astype(dtype)
    return np.asarray(np.matmul(a, b))
