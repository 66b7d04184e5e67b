"""Batch normalisation on ``kernels/cuda/batchnorm.cu``. `xp` is CuPy or what emulates it."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import batchnorm as composed
from deepgpu.backends.cuda import runtime
from deepgpu.backends.cuda.elementwise import vector
from deepgpu.backends.cuda.layout import channels_last, image, matrix
from deepgpu.backends.cuda.plans import C_TYPES, MULTIPROCESSORS, up
from deepgpu.backends.precision import accumulation_dtype
from deepgpu.backends.unfinished import Normalisation

_THREADS = 256
_FILE = "batchnorm.cu"


class CUDANormalisation(Normalisation):
    """See :class:`deepgpu.backends.unfinished.Normalisation`."""

    def __init__(
        self,
        xp: Any,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        mean: Array,
        var: Array,
        eps: float,
        plan: ColumnPlan,
    ) -> None:
        super().__init__(x)
        self.xp, self.plan = xp, plan
        stats = accumulation_dtype(x.dtype)
        # copies, so that parameters may change
        self.vectors = [None if v is None else v.astype(stats, order="C") for v in (weight, bias, mean, var)]
        self.eps = stats.type(eps)

    def __call__(self, residual: Array | None = None, low: float = np.nan, high: float = np.nan) -> Array:
        x, plan = self.x, self.plan
        if residual is not None:
            residual = channels_last(self.xp, residual)
            if residual.data.ptr % 16:
                plan = plan_columns(*rows_and_channels(x), x.dtype.name, 1)
        y = image(self.xp.empty(matrix(x).shape, x.dtype), x.shape)
        limits = [self.eps.dtype.type(x.dtype.type(limit)) for limit in (low, high)]
        plan.launch("batchnorm_apply", x, y, *self.vectors, self.eps, residual, *limits, *plan.sizes)
        return y


def batch_norm_train(
    xp: Any, x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Normalisation, Array, Array]:
    """Normalise by the batch's own statistics: ``(y, mean, var)``, ``var`` biased."""
    if x.size == 0:
        return composed.batch_norm_train(xp, x, weight, bias, eps)
    x = channels_last(xp, x)
    m, c = rows_and_channels(x)
    plan = plan_columns(m, c, x.dtype.name, _width(x))
    stats = accumulation_dtype(x.dtype)
    partial = xp.empty((2, plan.chunks, c), stats)
    mean, var = xp.empty(c, stats), xp.empty(c, stats)
    plan.launch("batchnorm_statistics", x, partial, *plan.sizes)
    _merge("batchnorm_merge", partial, mean, var, np.int64(m), np.int32(c), np.int32(plan.chunks), plan.sizes[2])
    return CUDANormalisation(xp, x, weight, bias, mean, var, eps, plan), mean, var


def batch_norm_eval(
    xp: Any, x: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
) -> Normalisation:
    """Normalise by given statistics."""
    if x.size == 0:
        return composed.batch_norm_eval(xp, x, weight, bias, mean, var, eps)
    x = channels_last(xp, x)
    plan = plan_columns(*rows_and_channels(x), x.dtype.name, _width(x))
    return CUDANormalisation(xp, x, weight, bias, mean, var, eps, plan)


def batch_norm_backward(
    xp: Any, gy: Array, x: Array, weight: Array | None, mean: Array, var: Array, eps: float, training: bool
) -> tuple[Array, Array, Array]:
    """``(gx, gweight, gbias)``; with `training` the mean and the variance are functions of `x`."""
    if x.size == 0:
        return composed.batch_norm_backward(xp, gy, x, weight, mean, var, eps, training)
    x, gy = channels_last(xp, x), channels_last(xp, gy.astype(x.dtype, copy=False))
    m, c = rows_and_channels(x)
    plan = plan_columns(m, c, x.dtype.name, _width(x, gy))
    stats = accumulation_dtype(x.dtype)
    weight, mean, var = (_vector(xp, v, stats) for v in (weight, mean, var))
    partial = xp.empty((2, plan.chunks, c), stats)
    epsilon = stats.type(eps)
    plan.launch("batchnorm_backward_sums", gy, x, mean, var, epsilon, partial, *plan.sizes)
    gweight, gbias = merge_sums(xp, partial)
    gx = image(xp.empty((m, c), x.dtype), x.shape)
    arrays = (gy, x, gx, weight, mean, var, gweight, gbias)
    plan.launch("batchnorm_backward_apply", *arrays, epsilon, *plan.sizes, option=str(training).lower())
    return gx, gweight, gbias


def rows_and_channels(x: Array) -> tuple[int, int]:
    """Elements a channel, and channels."""
    return x.size // x.shape[1], x.shape[1]


def _vector(xp: Any, v: Array | None, dtype: np.dtype) -> Array | None:
    return None if v is None else xp.ascontiguousarray(v.astype(dtype, copy=False))


def _width(*images: Array) -> int:
    """Channels a thread: as many as it can load at once, if rows consist of whole vectors."""
    width = vector(*images)
    return width if images[0].shape[1] % width == 0 else 1


class ColumnPlan(NamedTuple):
    """How a matrix is cut: the same for every pass over it."""

    dtype: str
    width: int
    grid: tuple[int, int]
    block: tuple[int, int]
    chunks: int
    sizes: tuple[Any, Any, Any]

    def launch(self, kernel: str, *args: Any, option: str | None = None) -> None:
        """Launch a kernel that passes over the matrix."""
        parameters = [C_TYPES[self.dtype], str(self.width), *([] if option is None else [option])]
        runtime.launch(_FILE, f"{kernel}<{', '.join(parameters)}>", self.grid, self.block, args)


@functools.lru_cache(maxsize=1024)
def plan_columns(m: int, c: int, dtype: str, width: int) -> ColumnPlan:
    """Four blocks a multiprocessor, if each thread still has 8 rows to go down."""
    tx = 1
    while tx * width < c and tx < _THREADS // 8:
        tx *= 2
    ty = _THREADS // tx
    across = up(c, tx * width)
    chunks = max(1, min(up(m, 8 * ty), up(4 * MULTIPROCESSORS, across), 65535))
    rows = up(m, chunks)
    chunks = up(m, rows)
    return ColumnPlan(dtype, width, (across, chunks), (tx, ty), chunks, (np.int64(m), np.int32(c), np.int32(rows)))


def merge_sums(xp: Any, partial: Array) -> tuple[Array, Array]:
    """``(gweight, gbias)`` from the chunks' sums ``(2, chunks, C)``: of gradients, and of gradients times xhat."""
    _, chunks, c = partial.shape
    gweight, gbias = xp.empty(c, partial.dtype), xp.empty(c, partial.dtype)
    _merge("batchnorm_backward_merge", partial, gweight, gbias, np.int32(c), np.int32(chunks))
    return gweight, gbias


def _merge(kernel: str, partial: Array, *args: Any) -> None:
    name = f"{kernel}<{C_TYPES[partial.dtype.name]}>"
    runtime.launch(_FILE, name, (up(partial.shape[2], 128),), (128,), (partial, *args))
