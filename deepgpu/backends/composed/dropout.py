"""Dropout with a mask of bools, a byte an element."""

from __future__ import annotations

from deepgpu.backends.base import Array
from deepgpu.backends.precision import rounded, widened


def dropout(x: Array, mask: Array, scale: float) -> Array:
    """``x`` times the mask and `scale`."""
    y = widened(x) * scale
    y *= mask  # a product, not a choice: as in PyTorch, a NaN stays one wherever it stands
    return rounded(y, x.dtype)
