"""Layer norm (Ba et al., arXiv 1607.06450) and RMS norm (arXiv 1910.07467) of rows, composed of array operations."""

from __future__ import annotations

from typing import Any

from deepgpu.backends.base import Array
from deepgpu.backends.precision import accumulation_dtype, rounded, widened


def layer_norm(
    xp: Any, x: Array, weight: Array | None, bias: Array | None, eps: float, centered: bool
) -> tuple[Array, Array | None, Array]:
    """``(x - mean) invstd weight + bias``, the means (None if not `centered`) and ``invstd``."""
    wide = widened(x)
    mean = wide.mean(axis=1, keepdims=True) if centered else None
    centred = wide if mean is None else wide - mean
    invstd = 1 / xp.sqrt((centred * centred).mean(axis=1, keepdims=True) + wide.dtype.type(eps))
    y = centred * invstd
    if weight is not None:
        y = y * weight.astype(wide.dtype, copy=False)
    if bias is not None:
        y = y + bias.astype(wide.dtype, copy=False)
    return rounded(y, x.dtype), None if mean is None else mean[:, 0], invstd[:, 0]


def layer_norm_backward(
    xp: Any, gy: Array, x: Array, weight: Array | None, mean: Array | None, invstd: Array, affine: bool
) -> tuple[Array, Array | None, Array | None]:
    """``gx = invstd (g - mean(g) - xhat mean(g xhat))`` with ``g = gy weight``; without means, no ``mean(g)``."""
    stats = accumulation_dtype(x.dtype)
    g, wide = widened(gy), widened(x)
    xhat = (wide if mean is None else wide - mean[:, None]) * invstd[:, None]
    gweight, gbias = ((g * xhat).sum(axis=0, dtype=stats), g.sum(axis=0, dtype=stats)) if affine else (None, None)
    if weight is not None:
        g = g * weight.astype(stats, copy=False)
    gx = g - xhat * (g * xhat).mean(axis=1, keepdims=True)
    if mean is not None:
        gx = gx - g.mean(axis=1, keepdims=True)
    return rounded(gx * invstd[:, None], x.dtype), gweight, gbias
