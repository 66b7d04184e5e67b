"""Batch normalisation (Ioffe and Szegedy, 2015), composed of array operations. `xp` is the array namespace.

The statistics are accumulated in float64 and the variance is taken about the mean, so that a large common offset does
not cancel. Those of an empty batch are zeros.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.layout import channels_last
from deepgpu.backends.precision import accumulation_dtype, rounded
from deepgpu.backends.unfinished import Normalisation


@np.errstate(invalid="ignore")  # the deviations of an infinity are NaN, as in PyTorch
def batch_norm_train(
    xp: Any, x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Normalisation, Array, Array]:
    """Normalise by the batch's own statistics: ``(y, mean, var)``, ``var`` biased."""
    axes, each = _reduced(x), _each(x)
    mean = x.sum(axis=axes, dtype=np.float64) / _count(x)
    var = xp.square(x.astype(np.float64) - mean[each]).sum(axis=axes) / _count(x)
    stats = accumulation_dtype(x.dtype)
    y = ComposedNormalisation(xp, x, weight, bias, mean, var, eps)
    return y, mean.astype(stats), var.astype(stats)


def batch_norm_eval(
    xp: Any, x: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
) -> Normalisation:
    """Normalise by given statistics."""
    return ComposedNormalisation(xp, x, weight, bias, mean, var, eps)


@np.errstate(invalid="ignore")
def batch_norm_backward(
    xp: Any, gy: Array, x: Array, weight: Array | None, mean: Array, var: Array, eps: float, training: bool
) -> tuple[Array, Array, Array]:
    """``(gx, gweight, gbias)``; with `training` the mean and the variance are functions of `x`."""
    axes, each = _reduced(x), _each(x)
    invstd = 1 / xp.sqrt(var.astype(np.float64) + eps)
    g = gy.astype(np.float64)
    xhat = (x.astype(np.float64) - mean.astype(np.float64)[each]) * invstd[each]
    gbias, gweight = g.sum(axis=axes), (g * xhat).sum(axis=axes)
    if training:
        g = g - (gbias[each] + xhat * gweight[each]) / _count(x)
    scale = invstd if weight is None else invstd * weight
    gx = channels_last(xp, rounded(g * scale[each], x.dtype))
    stats = accumulation_dtype(x.dtype)
    return gx, gweight.astype(stats), gbias.astype(stats)


class ComposedNormalisation(Normalisation):
    """See :class:`deepgpu.backends.unfinished.Normalisation`."""

    def __init__(
        self, xp: Any, x: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
    ) -> None:
        super().__init__(x)
        self.xp = xp
        self.mean = mean.astype(np.float64)
        self.scale = 1 / xp.sqrt(var.astype(np.float64) + eps)
        if weight is not None:
            self.scale = self.scale * weight
        self.bias = None if bias is None else bias.astype(np.float64)

    @np.errstate(invalid="ignore")
    def __call__(self, residual: Array | None = None, low: float = np.nan, high: float = np.nan) -> Array:
        each = _each(self.x)
        y = (self.x.astype(np.float64) - self.mean[each]) * self.scale[each]
        if self.bias is not None:
            y = y + self.bias[each]
        y = rounded(y, self.x.dtype)
        if residual is not None:
            y = y + residual
        for limit, choose in ((low, self.xp.maximum), (high, self.xp.minimum)):
            if not math.isnan(limit):
                y = choose(y, y.dtype.type(limit))
        return channels_last(self.xp, y)


def _reduced(x: Array) -> tuple[int, ...]:
    """Every axis but the channels'."""
    return (0, *range(2, x.ndim))


def _each(x: Array) -> Any:
    """The index that spreads a ``(C,)`` array over `x`."""
    return (slice(None), *(None,) * (x.ndim - 2))


def _count(x: Array) -> int:
    """Elements a channel; 1 rather than 0, for sums of nothing."""
    return max(x.size // max(x.shape[1], 1), 1)
