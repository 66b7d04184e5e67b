"""Channels-last memory on the GPU: images are laid out anew by ``kernels/cuda/transpose.cu`` where tiles pay."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cuda import runtime
from deepgpu.backends.cuda.plans import FastDiv, by_value, fast_div, i64, strides, up
from deepgpu.backends.layout import (
    channels_first_view,
    channels_last as copied,
    channels_last_view,
    empty_channels_last,
)

_BITS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned", 8: "unsigned long long"}
_MOST_MATRICES = 65535


def channels_last(xp: Any, x: Array) -> Array:
    """`x` itself if its memory is channels-last, else a copy whose memory is; the logical shape stays."""
    if x.ndim < 3 or channels_last_view(x).flags.c_contiguous or not x.flags.c_contiguous:
        return copied(xp, x)
    n, c = x.shape[:2]
    if n > _MOST_MATRICES or x.size == 0:
        return copied(xp, x)
    y = empty_channels_last(xp, x.shape, x.dtype)
    _transpose(x, channels_last_view(y), n, c, x.size // (n * c))
    return y


def channels_first(xp: Any, x: Array) -> Array:
    """`x` itself if it is C-contiguous, else a copy that is; from channels-last memory a tile at a time."""
    if x.ndim < 3 or x.size == 0 or x.shape[0] > _MOST_MATRICES or x.flags.c_contiguous:
        return xp.ascontiguousarray(x)
    memory = channels_last_view(x)
    if not memory.flags.c_contiguous:
        return xp.ascontiguousarray(x)
    y = xp.empty(x.shape, x.dtype)
    n, c = x.shape[:2]
    _transpose(memory, y, n, x.size // (n * c), c)
    return y


class Pixels(ctypes.Structure):
    """``Pixels`` of transpose.cu."""

    _fields_ = [*((name, i64) for name in ("image", "pixel", "channel")), ("by_chunks", FastDiv), ("by_area", FastDiv)]


def padded_channels(xp: Any, x: Array) -> Array:
    """An image ``(N, C, H, W)`` with channels-last memory and zero channels up to a multiple of 16 bytes."""
    n, c, h, w = x.shape
    size = 16 // x.itemsize
    y = empty_channels_last(xp, (n, up(c, size) * size, h, w), x.dtype)
    if y.size == 0:
        return y
    image, channel, line, pixel = strides(x)
    if h > 1 and w > 1 and line != w * pixel:
        return padded_channels(xp, xp.ascontiguousarray(x))
    bits, chunks = np.dtype(f"u{x.itemsize}"), y.size // size
    pixels = Pixels(image, pixel if w > 1 else line, channel, fast_div(up(c, size)), fast_div(h * w))
    name = f"pad_channels<{_BITS[x.itemsize]}>"
    args = (x.view(bits), y.view(bits), np.int32(chunks), np.int32(c), by_value(pixels))
    runtime.launch("transpose.cu", name, (up(chunks, 256),), (256,), args)
    return y


def matrix(x: Array) -> Array:
    """The view ``(M, C)`` of an array ``(N, C, spatial...)`` on channels-last memory."""
    return channels_last_view(x).reshape(x.size // x.shape[1], x.shape[1])


def image(m: Array, shape: tuple[int, ...]) -> Array:
    """The array of `shape` of which `m` is the :func:`matrix`."""
    n, c, *spatial = shape
    return channels_first_view(m.reshape(n, *spatial, c))


def _transpose(x: Array, y: Array, n: int, rows: int, columns: int) -> None:
    grid = (up(rows, 32) * up(columns, 32), n)
    name = f"transpose<{_BITS[x.itemsize]}>"
    bits = np.dtype(f"u{x.itemsize}")
    args = (x.view(bits), y.view(bits), np.int32(rows), np.int32(columns))
    runtime.launch("transpose.cu", name, grid, (32, 8), args)
