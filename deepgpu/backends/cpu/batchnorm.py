"""Batch normalisation on the CPU: see the input as rows of channels, split them over the threads."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import batchnorm as composed
from deepgpu.backends.cpu import activation, memory
from deepgpu.backends.cpu.parts import MOST, folded, parts
from deepgpu.backends.cpu.transpose import contiguous
from deepgpu.backends.layout import channels_last_view, image_of_pixels
from deepgpu.backends.precision import accumulation_dtype, rounded
from deepgpu.backends.unfinished import Convolution, Normalisation, Unfinished

WIDTH = 256
"""Elements that a row should have; pixels of fewer channels are folded together."""

WORTH = 1 << 14
"""Elements that are worth a task of their own."""

PRECISE = np.dtype(np.float32), np.dtype(np.float64)
"""What kernels take as it is; the half types are widened."""

HEIGHT = 32
"""Rows that a task should have: each task's sums are joined with the others', which takes as long as two rows."""

LEAST = 16
"""Channels whose statistics are joined as one task: a cache line of them."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import batchnorm

    return batchnorm


class CPUNormalisation(Normalisation):
    """See :class:`deepgpu.backends.unfinished.Normalisation`."""

    def __init__(self, x: Array, rows: Array, factors: Array) -> None:
        super().__init__(x)
        self.rows, self.factors = rows, factors

    def __call__(self, residual: Array | None = None, low: float = np.nan, high: float = np.nan) -> Array:
        rows, dtype = self.rows, self.rows.dtype
        y = memory.empty(rows.shape, dtype)
        tasks = _parts(rows)
        limits = dtype.type(low), dtype.type(high)
        if residual is None:
            _kernels().normalise(tasks, rows, y, *self.factors, *limits, tasks, _streams(y))
        else:
            _kernels().normalise_add(tasks, rows, _rows(residual), y, *self.factors, *limits, tasks)
        return _like(y, self.x)

    def limited_gradient(self, gy: Array, y: Array, low: float, high: float) -> Unfinished | None:
        return LimitedGradient(self, gy, y, low, high) if gy.dtype == y.dtype == self.rows.dtype else None


class LimitedGradient(Unfinished):
    """The gradient of a normalisation that was limited: its backward makes the limits again instead of reading them."""

    def __init__(self, normalisation: CPUNormalisation, gy: Array, y: Array, low: float, high: float) -> None:
        self.normalisation, self.gy, self.y, self.limits = normalisation, gy, y, (low, high)
        self.shape, self.dtype, self.reads = y.shape, y.dtype, (gy, y)

    def __call__(self, residual: Array | None = None, low: float = np.nan, high: float = np.nan) -> Array:
        gradient = activation.hardtanh_backward(self.gy, self.y, *self.limits)
        if residual is not None:
            gradient += residual
        return gradient if low != low and high != high else activation.hardtanh(gradient, low, high)


def batch_norm_train(
    x: Array | Convolution, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Normalisation, Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.batch_norm_train`."""
    slots = None
    if isinstance(x, Convolution):
        x, slots = x.with_moments()
    if x.size == 0:
        return composed.batch_norm_train(np, x, weight, bias, eps)
    rows = _rows(x)
    tasks, width, C = _parts(rows), rows.shape[1], x.shape[1]
    mean, var = np.empty((2, C))
    if slots is None:
        counts, (means, squares) = np.empty(tasks), np.empty((2, tasks, width))
        _kernels().moments(tasks, rows, counts, means, squares, np.empty((tasks, 3, width), rows.dtype))
        _kernels().join_moments(counts, means, squares, mean, var)
    else:
        joining = parts(slots.size, WORTH, -(-C // LEAST))
        _kernels().join_slots(joining, slots, mean, var, joining)
    y = CPUNormalisation(x, rows, factors(width, rows.dtype, weight, bias, mean, var, eps))
    return y, mean.astype(rows.dtype), var.astype(rows.dtype)


def batch_norm_eval(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
) -> Normalisation:
    """See :meth:`deepgpu.backends.base.Backend.batch_norm_eval`."""
    if x.size == 0:
        return composed.batch_norm_eval(np, x, weight, bias, mean, var, eps)
    rows = _rows(x)
    return CPUNormalisation(x, rows, factors(rows.shape[1], rows.dtype, weight, bias, mean, var, eps))


def normalisation(x: Array, factors: Array) -> Normalisation:
    """The normalisation of an image by the :func:`factors` of its channels."""
    rows = _rows(x)
    return CPUNormalisation(x, rows, np.tile(factors, rows.shape[1] // factors.shape[1]))


def factors(
    width: int, dtype: Any, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
) -> Array:
    """Centre, scale and shift of each column of some rows, ``(3, width)``: copies, so that parameters may change."""
    found = np.empty((3, width), dtype)
    C = len(mean)
    _kernels().affine(_channels(mean), _channels(var), _channels(weight, 1, C), _channels(bias, 0, C), eps, found)
    return found


def batch_norm_backward(
    gy: Array, x: Array, weight: Array | None, mean: Array, var: Array, eps: float, training: bool
) -> tuple[Array, Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.batch_norm_backward`."""
    if x.size == 0:
        return composed.batch_norm_backward(np, gy, x, weight, mean, var, eps, training)
    kernels = _kernels()
    rows, C = _rows(x), x.shape[1]
    tasks, width, dtype = _parts(rows), rows.shape[1], rows.dtype
    mean, var, scale = _channels(mean), _channels(var), _channels(weight, 1, C)
    low = high = np.nan
    if isinstance(gy, LimitedGradient) and gy.normalisation.x is x and training:
        image, (low, high), gradients = gy.normalisation.factors, gy.limits, _rows(gy.gy)
    else:
        gradients = _rows(gy() if isinstance(gy, Unfinished) else gy)
        image = np.zeros((3, width), dtype)
        image[0].reshape(-1, C)[...] = mean
    limited = *image, dtype.type(low), dtype.type(high)  # which gradients count
    sums = np.empty((tasks, 2, width))
    kernels.gradient_sums(tasks, gradients, rows, *limited, sums, np.empty(sums.shape, dtype))
    gweight, gbias = np.empty(C, dtype), np.empty(C, dtype)
    of_gy, of_x, constant = np.empty((3, width), dtype)
    kernels.gradient_factors(sums, len(rows), mean, var, scale, eps, gweight, gbias, of_gy, of_x, constant)
    gx = memory.empty(rows.shape, dtype)
    if training:
        kernels.input_gradient(tasks, gradients, rows, gx, *limited, of_gy, of_x, constant, tasks)
    else:  # the statistics are constants: gx = of_gy * gy
        zero = np.zeros(width, dtype)
        unlimited = dtype.type(np.nan)
        kernels.normalise(tasks, gradients, gx, zero, of_gy, zero, unlimited, unlimited, tasks, _streams(gx))
    return _like(gx, x), gweight, gbias


def _rows(x: Array) -> Array:
    """``(N, C, spatial...)`` as contiguous rows of channels, several pixels a row where C is small."""
    pixels = contiguous(channels_last_view(x), accumulation_dtype(x.dtype))
    return pixels.reshape(folded(x.size // x.shape[1], x.shape[1], WIDTH))


def _like(rows: Array, x: Array) -> Array:
    """The inverse of :func:`_rows`, in the dtype of `x`."""
    return image_of_pixels(rounded(rows, x.dtype), x.shape)


def _streams(rows: Array) -> int:
    """Whether the kernels write these rows past the caches."""
    from deepgpu.kernels.jit.workspace import streams

    return streams(rows)


def _parts(rows: Array) -> int:
    few = min(len(rows), 4)  # even if the rows are long and few, all threads should work
    return parts(rows.size, WORTH, min(max(len(rows) // HEIGHT, few), MOST))


def _channels(x: Array | None, default: float = 0, size: int = 0) -> Array:
    """An argument of one value a channel as the kernels take it; `default` in every place if it is None."""
    if x is None:
        return np.full(size, default, np.float64)
    if x.dtype not in PRECISE:
        return np.ascontiguousarray(x, np.float64)
    return x if x.flags.c_contiguous else np.ascontiguousarray(x)
