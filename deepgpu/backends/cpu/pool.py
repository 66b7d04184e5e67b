"""Pooling on the CPU: lay the images and the tables of windows out for the kernels."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array, Pair
from deepgpu.backends.cpu import memory, reduction
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.cpu.transpose import contiguous
from deepgpu.backends.layout import channels_first_view, channels_last_view
from deepgpu.backends.precision import rounded, widened
from deepgpu.backends.windows import adaptive_windows, clipped_windows, covering_windows, divisors

WORTH = 1 << 13
"""Elements that are worth a task of their own."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import pool

    return pool


def max_pool2d(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output_size: Pair
) -> tuple[Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.max_pool2d`."""
    rows, columns = (
        _clipped(*one) for one in zip(x.shape[2:], kernel, stride, padding, dilation, output_size, strict=True)
    )
    return _max_pool(x, rows, columns, dilation, output_size)


def adaptive_max_pool2d(x: Array, output_size: Pair) -> tuple[Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.adaptive_max_pool2d`."""
    rows, columns = (_adaptive(*one) for one in zip(x.shape[2:], output_size, strict=True))
    return _max_pool(x, rows, columns, (1, 1), output_size)


def pool_scatter(gy: Array, index: Array, input_size: Pair) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.pool_scatter`."""
    n, c = gy.shape[:2]
    gx = memory.empty((n, input_size[0] * input_size[1], c), widened(gy[:0]).dtype)
    tasks = parts(gx.size, WORTH, n)
    _kernels().scatter(tasks, _planes(_images(gy)), _planes(_images(index, np.int32)), gx, tasks)
    return channels_first_view(rounded(gx, gy.dtype).reshape(n, *input_size, c))


def pool_gather(x: Array, index: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.pool_gather`."""
    n, c, p, q = index.shape
    images = _images(x)
    y = memory.empty((n, p * q, c), images.dtype)
    tasks = parts(y.size, WORTH, n)
    _kernels().gather(tasks, _planes(images), _planes(_images(index, np.int32)), y, tasks)
    return channels_first_view(rounded(y, x.dtype).reshape(n, p, q, c))


def avg_pool2d(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output_size: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.avg_pool2d`."""
    forward, _ = _averages(
        x.shape[2:], kernel, stride, padding, output_size, count_include_pad, divisor_override, x.dtype
    )
    return _weighted_pool(x, output_size, forward)


def avg_pool2d_backward(
    gy: Array,
    input_size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.avg_pool2d_backward`."""
    _, backward = _averages(
        input_size, kernel, stride, padding, gy.shape[2:], count_include_pad, divisor_override, gy.dtype
    )
    return _weighted_pool(gy, input_size, backward)


def adaptive_avg_pool2d(x: Array, output_size: Pair) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.adaptive_avg_pool2d`."""
    if tuple(output_size) == (1, 1) and x.flags.c_contiguous:
        total = reduction.sum(x, (2, 3), True)  # of planes: they need not be laid out otherwise
        if total is not None:
            return total * x.dtype.type(1 / (x.shape[2] * x.shape[3]))
    forward, _ = _adaptive_averages(x.shape[2:], tuple(output_size), x.dtype)
    return _weighted_pool(x, output_size, forward)


def adaptive_avg_pool2d_backward(gy: Array, input_size: Pair) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.adaptive_avg_pool2d_backward`."""
    _, backward = _adaptive_averages(tuple(input_size), gy.shape[2:], gy.dtype)
    return _weighted_pool(gy, input_size, backward)


def _max_pool(x: Array, rows: Any, columns: Any, dilation: Pair, output_size: Pair) -> tuple[Array, Array]:
    images = _images(x)
    n, _, _, c = images.shape
    y = memory.empty((n, *output_size, c), images.dtype)
    index = memory.empty(y.shape, np.int32)
    tasks = parts(max(x.size, y.size), WORTH, n * output_size[0])
    _kernels().max_pool(tasks, images, y, index, *rows, dilation[0], *columns, dilation[1], tasks)
    return channels_first_view(rounded(y, x.dtype)), channels_first_view(index)


def _weighted_pool(x: Array, output_size: Pair, tables: tuple[np.ndarray, ...]) -> Array:
    images = _images(x)
    n, _, _, c = images.shape
    y = memory.empty((n, *output_size, c), images.dtype)
    tasks = parts(max(x.size, y.size), WORTH, n * output_size[0])
    _kernels().weighted_pool(tasks, images, y, *tables, tasks)
    return channels_first_view(rounded(y, x.dtype))


def _images(x: Array, dtype: Any = None) -> Array:
    """``(N, C, H, W)`` as C-contiguous ``(N, H, W, C)`` in a dtype that the kernels take."""
    return contiguous(channels_last_view(widened(x)), dtype)


def _planes(images: Array) -> Array:
    """``(N, H, W, C)`` as ``(N, H W, C)``."""
    n, h, w, c = images.shape
    return images.reshape(n, h * w, c)


# --- tables of windows: kept, because a network asks for the same few at every step ----------------------------------


@functools.lru_cache(maxsize=256)
def _clipped(*geometry: int) -> tuple[np.ndarray, np.ndarray]:
    return _table(clipped_windows(*geometry))


@functools.lru_cache(maxsize=256)
def _adaptive(size: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    return _table(adaptive_windows(size, outputs))


@functools.lru_cache(maxsize=256)
def _averages(
    input_size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output_size: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
    dtype: np.dtype,
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    windows = [
        clipped_windows(*one) for one in zip(input_size, kernel, stride, padding, (1, 1), output_size, strict=True)
    ]
    counts = divisors(input_size, kernel, stride, padding, output_size, count_include_pad, divisor_override)
    return _weighted_tables(windows, counts, input_size, dtype)


@functools.lru_cache(maxsize=256)
def _adaptive_averages(
    input_size: Pair, output_size: Pair, dtype: np.dtype
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    windows = [adaptive_windows(*one) for one in zip(input_size, output_size, strict=True)]
    counts = tuple(np.array([end - start for start, end in one], np.float64) for one in windows)
    return _weighted_tables(windows, counts, input_size, dtype)


def _weighted_tables(
    windows: list[list[Pair]], counts: tuple[np.ndarray, ...], input_size: Pair, dtype: np.dtype
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """What :func:`deepgpu.kernels.jit.pool.weighted_pool` takes for an average, and for its adjoint."""
    dtype = widened(np.empty(0, dtype)).dtype
    ones = tuple(np.ones(size, dtype) for size in input_size)
    shares = tuple((1 / count).astype(dtype) for count in counts)
    covering = [covering_windows(one, size) for one, size in zip(windows, input_size, strict=True)]
    forward = (*_table(windows[0]), *_table(windows[1]), *ones, *shares)
    backward = (*_table(covering[0]), *_table(covering[1]), *shares, *ones)
    return forward, backward


def _table(windows: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends."""
    starts, ends = np.array(windows, np.intp).reshape(-1, 2).T.copy()
    return starts, ends
