"""Matrix product, composed of array operations. `xp` is the array namespace, NumPy or CuPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.precision import rounded, widened


def matmul(xp: Any, a: Array, b: Array) -> Array:
    """Matrix product with NumPy's rules for 1-d and batched arguments; half types are multiplied in float32."""
    dtype = np.result_type(a.dtype, b.dtype)
    if dtype.kind in "fV":
        a, b = widened(a), widened(b)
    return rounded(xp.matmul(a, b), dtype)


def linear(matmul: Callable[[Array, Array], Array], x: Array, w: Array, bias: Array | None) -> Array:
    """``x @ w^T + bias``, by the backend's own product."""
    y = matmul(x, w.T)
    if bias is not None:
        y += bias
    return y
