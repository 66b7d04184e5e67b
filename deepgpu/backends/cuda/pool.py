"""Pooling on ``kernels/cuda/pool.cu``. `xp` is CuPy or what emulates it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array, Pair
from deepgpu.backends.composed import pool as composed
from deepgpu.backends.cuda import runtime
from deepgpu.backends.cuda.elementwise import vector
from deepgpu.backends.cuda.layout import channels_last
from deepgpu.backends.cuda.plans import C_TYPES, MULTIPROCESSORS, fast_div, up
from deepgpu.backends.layout import empty_channels_last

_THREADS = 256
_REACH_BYTES = 96 << 10
"""Shared memory that rows and columns of an image may take; larger images go the composed way."""


def max_pool2d(
    xp: Any, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output_size: Pair
) -> tuple[Array, Array]:
    """``(y, index)``. A window that meets no element (all padding) gives minus infinity and the index -1."""
    return _max_pool(xp, x, output_size, _windows(kernel, stride, padding, dilation))


def adaptive_max_pool2d(xp: Any, x: Array, output_size: Pair) -> tuple[Array, Array]:
    """As :func:`max_pool2d`, with windows that cover the image."""
    return _max_pool(xp, x, output_size, _adaptive())


def avg_pool2d(
    xp: Any,
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output_size: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """Mean of each window."""
    return _avg_pool(xp, x, output_size, _windows(kernel, stride, padding, (1, 1), count_include_pad, divisor_override))


def avg_pool2d_backward(
    xp: Any,
    gy: Array,
    input_size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """Adjoint of :func:`avg_pool2d`."""
    windows = _windows(kernel, stride, padding, (1, 1), count_include_pad, divisor_override)
    return _avg_pool_backward(xp, gy, input_size, windows)


def adaptive_avg_pool2d(xp: Any, x: Array, output_size: Pair) -> Array:
    """Mean over the windows of :func:`adaptive_max_pool2d`."""
    return _avg_pool(xp, x, output_size, _adaptive())


def adaptive_avg_pool2d_backward(xp: Any, gy: Array, input_size: Pair) -> Array:
    """Adjoint of :func:`adaptive_avg_pool2d`."""
    return _avg_pool_backward(xp, gy, input_size, _adaptive())


def pool_scatter(xp: Any, gy: Array, index: Array, input_size: Pair) -> Array:
    """Add `gy` at `index` of each plane of zeros ``(N, C, *input_size)``; a negative index adds nowhere."""
    h, w = input_size
    lines = 2 * (h + w)
    if 4 * lines > _REACH_BYTES:
        return composed.pool_scatter(xp, gy, index, input_size)
    gx = empty_channels_last(xp, (*gy.shape[:2], h, w), gy.dtype)
    if gx.size == 0 or gy.size == 0:
        gx[...] = 0
        return gx
    gy, index = channels_last(xp, gy), channels_last(xp, index)
    reach = xp.full(lines, -1, np.int32)  # of each row, then of each column: the first and the last window, or none
    reach[:h] = reach[2 * h : 2 * h + w] = np.iinfo(np.int32).max
    blocks = min(up(index.size, 4 * _THREADS), 4 * MULTIPROCESSORS)
    runtime.launch(
        "pool.cu",
        "pool_reach",
        (blocks,),
        (_THREADS,),
        (index, reach, _shape(gx.shape, gy.shape, gy.shape, 1)),
        4 * lines,
    )
    _launch("pool_scatter", (gy, index, reach, gx), gx.shape, gy.shape, gx, _width(gx, gy, index))
    return gx


def pool_gather(xp: Any, x: Array, index: Array) -> Array:
    """The elements of each plane of `x` at `index`, 0 where the index is negative."""
    y = empty_channels_last(xp, index.shape, x.dtype)
    x, index = channels_last(xp, x), channels_last(xp, index)
    name, shape = f"pool_gather<{C_TYPES[x.dtype.name]}>", _shape(x.shape, y.shape, y.shape, 1)
    runtime.launch("pool.cu", name, (up(y.size, _THREADS),), (_THREADS,), (x, index, y, shape))
    return y


def _max_pool(xp: Any, x: Array, output_size: Pair, windows: tuple[str, np.void]) -> tuple[Array, Array]:
    x = channels_last(xp, x)
    y = empty_channels_last(xp, (*x.shape[:2], *output_size), x.dtype)
    index = empty_channels_last(xp, y.shape, np.int32)
    _launch("max_pool", (x, y, index), x.shape, y.shape, y, _width(x, y), windows)
    return y, index


def _avg_pool(xp: Any, x: Array, output_size: Pair, windows: tuple[str, np.void]) -> Array:
    x = channels_last(xp, x)
    y = empty_channels_last(xp, (*x.shape[:2], *output_size), x.dtype)
    _launch("avg_pool", (x, y), x.shape, y.shape, y, _width(x, y), windows)
    return y


def _avg_pool_backward(xp: Any, gy: Array, input_size: Pair, windows: tuple[str, np.void]) -> Array:
    gy = channels_last(xp, gy)
    gx = empty_channels_last(xp, (*gy.shape[:2], *input_size), gy.dtype)
    _launch("avg_pool_backward", (gy, gx), gx.shape, gy.shape, gx, _width(gx, gy), windows)
    return gx


def _launch(
    kernel: str,
    arrays: Sequence[Array],
    x: tuple[int, ...],
    y: tuple[int, ...],
    made: Array,
    width: int,
    windows: tuple[str, np.void] | None = None,
) -> None:
    """A thread for each `width` channels of a pixel of `made`; `x` and `y` are the shapes of image and result."""
    parameters = [C_TYPES[made.dtype.name], str(width)]
    args = [*arrays, _shape(x, y, made.shape, width)]
    if windows is not None:
        parameters.append(windows[0])
        args.append(windows[1])
    grid = (up(made.size // width, _THREADS),)
    runtime.launch("pool.cu", f"{kernel}<{', '.join(parameters)}>", grid, (_THREADS,), tuple(args))


def _width(*images: Array) -> int:
    """Channels a thread."""
    width = vector(*images)
    return width if images[0].shape[1] % width == 0 else 1


@functools.lru_cache(maxsize=4096)
def _shape(x: tuple[int, ...], y: tuple[int, ...], made: tuple[int, ...], width: int) -> np.void:
    """``Shape`` of pool.cu, of images `x`, results `y`, and threads that make (or read) `made`."""
    divisors = [fast_div(d) for d in (made[1] // width, made[3], made[2])]
    numbers = [(d.divisor, d.multiplier, d.shift) for d in divisors]
    return _struct(x[0], *x[2:], x[1], *y[2:], *sum(numbers, ()))


@functools.lru_cache(maxsize=4096)
def _windows(
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> tuple[str, np.void]:
    """``Windows`` of pool.cu, and its name."""
    numbers = (*kernel, *stride, *padding, *dilation, int(count_include_pad), divisor_override or 0)
    return "Windows", _struct(*numbers)


@functools.cache
def _adaptive() -> tuple[str, np.void]:
    """``Adaptive`` of pool.cu, and its name."""
    return "Adaptive", _struct(0)


def _struct(*numbers: int) -> np.void:
    """A structure of 32-bit integers."""
    return np.array(numbers, np.int64).astype(np.uint32).view(np.dtype(("V", 4 * len(numbers))))[0]
