"""The error function on the CPU."""

from __future__ import annotations

import numpy as np

from deepgpu.backends.base import Array


def erf(x: Array) -> Array:
    """Elementwise; the half types in float32. The memory layout is kept."""
    from deepgpu.kernels.jit import erf as kernels

    # astype with order K makes a dense copy, whatever gaps x has: its memory, read in order, is one flat array
    out = x.astype(x.dtype if x.dtype in (np.float32, np.float64) else np.float32, order="K")
    order = np.argsort([-s for s in out.strides], kind="stable")
    flat = out.transpose(order).reshape(-1)
    kernels.erf(flat, flat)
    return out.astype(x.dtype, copy=False)
