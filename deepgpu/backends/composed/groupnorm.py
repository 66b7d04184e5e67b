"""Group norm (Wu & He, arXiv 1803.08494), composed of a backend's layer norm of each group and array operations."""

from __future__ import annotations

import math

from deepgpu.backends.base import Array, Backend
from deepgpu.backends.precision import accumulation_dtype, rounded, widened


def group_norm(
    backend: Backend, x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """``(x - mean) invstd weight + bias``, and the statistics ``(N, groups)``."""
    y, mean, invstd = backend.layer_norm(_rows(backend, x, groups), None, None, eps, True)
    assert mean is not None
    y = y.reshape(x.shape)
    if weight is not None:
        y = y * _along(weight, x)
    if bias is not None:
        y = y + _along(bias, x)
    return rounded(y, x.dtype), mean.reshape(len(x), groups), invstd.reshape(len(x), groups)


def group_norm_backward(
    backend: Backend, gy: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
) -> tuple[Array, Array, Array]:
    """``(gx, gweight, gbias)``, the latter two in the statistics' dtype."""
    groups, stats = mean.shape[1], accumulation_dtype(x.dtype)
    centre, scale = mean.reshape(-1), invstd.reshape(-1)
    rows = _rows(backend, x, groups)
    xhat = ((widened(rows) - centre[:, None]) * scale[:, None]).reshape(x.shape)
    axes = (0, *range(2, x.ndim))
    g = widened(gy)
    gweight, gbias = (g * xhat).sum(axis=axes, dtype=stats), g.sum(axis=axes, dtype=stats)
    g = gy if weight is None else rounded(g * _along(weight, x), gy.dtype)
    gx, _, _ = backend.layer_norm_backward(_rows(backend, g, groups), rows, None, centre, scale, False)
    return gx.reshape(x.shape), gweight, gbias


def _rows(backend: Backend, x: Array, groups: int) -> Array:
    """The groups as rows."""
    n, channels, *spatial = x.shape
    return backend.reshape(x, (n * groups, channels // groups * math.prod(spatial)))


def _along(parameter: Array, x: Array) -> Array:
    """One value a channel as it broadcasts over an image."""
    return parameter.reshape(-1, *[1] * (x.ndim - 2))
