"""In which precision a backend accumulates; the same for every array namespace."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array


def accumulation_dtype(dtype: Any) -> np.dtype:
    """The dtype in which sums over elements of `dtype` are kept: float32 for float16 and bfloat16, else `dtype`."""
    dtype = np.dtype(dtype)
    half = dtype.itemsize == 2 and dtype.kind not in "iu"  # NumPy knows bfloat16 as a kind of its own, not as "f"
    return np.dtype(np.float32) if half else dtype


def widened(x: Array) -> Array:
    """`x` in its :func:`accumulation_dtype`; no copy if it is in it already."""
    dtype = accumulation_dtype(x.dtype)
    return x if x.dtype == dtype else x.astype(dtype)


def rounded(x: Array, dtype: Any) -> Array:
    """`x` in the caller's dtype; what is too large for a half type becomes infinite, silently as in PyTorch."""
    if x.dtype == dtype:
        return x
    with np.errstate(over="ignore"):
        return x.astype(dtype)
