"""Convolutions with stride 2 and windows of 4 to 6 pixels, folded to 3x3 ones with stride 1 for Winograd's algorithm.

An image ``(H, W, C)`` is folded to ``(H/2, W/2, 4 C)``: the four pixels of a square become the channels of one. The
window of an output begins at most one square before its own and ends at most one behind it, so it is a window of 3x3
squares, some of whose weights are zero. F(4x4, 3x3) multiplies 36 times for 16 outputs and each of four times as many
channels: 9 times for an output and a channel, a direct sum 16 times with 4x4 (DCGAN's), 25 with 5x5 and 36 with 6x6.

Bytes beside Winograd's: 8 x for folding; weights of 36 C K in place of R S C K.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from . import winograd
from .conv import Geometry
from .finish import Epilogue, Moments
from .parallel import parallel_for
from .rows import copy_rows_exactly
from .workspace import Kept, address, prepared, workspace

Array = Any

SQUARE = Geometry((1, 1), (1, 1))
"""The convolution of folded images."""

FIRST, LAST = -2, 3
"""Pixels from an output's square, in one dimension, that a window of three squares reaches."""


def serves(x_shape: tuple[int, ...], window: tuple[int, int], conv: Geometry) -> bool:
    """Whether the windows of a convolution of ``x (N, C, H, W)`` lie as they must, and its channels are enough."""
    if conv.stride != (2, 2) or conv.dilation != (1, 1) or conv.groups != 1:
        return False
    image = x_shape[2:]
    whole = image[0] % 2 == image[1] % 2 == 0 and conv.output_size(image, window) == (image[0] // 2, image[1] // 2)
    return whole and all(p <= -FIRST and size - 1 - p <= LAST for size, p in zip(window, conv.padding, strict=True))


def saving(window: tuple[int, int], size: tuple[int, int]) -> float:
    """How many times as many multiplications a direct sum needs for images ``y`` of this height and width."""
    return window[0] * window[1] * winograd.saving((1, 1), (1, 1), size) / (4 * 9)


@parallel_for
def _fold(line, image, width, channels, squares, back):
    """Copy two rows of the images to a row of squares, or back."""
    for a in range(2):
        row = image + 4 * (2 * line + a) * width * channels
        place = squares + 4 * (2 * line * width + 2 * a) * channels
        if back:
            copy_rows_exactly(row, 2 * channels, place, 4 * channels, 2 * channels, width // 2)
        else:
            copy_rows_exactly(place, 4 * channels, row, 2 * channels, 2 * channels, width // 2)


def _squares(x: Array) -> Array:
    """Room for the folded images ``(N, H/2, W/2, 4 C)``."""
    n, height, width, channels = x.shape
    return workspace("image", n, height // 2, width // 2, 4 * channels)


def _folded(x: Array, squares: Array, back: bool = False) -> Array:
    n, height, width, channels = x.shape
    _fold(n * height // 2, address(x), width, channels, address(squares), int(back))
    return squares


@functools.lru_cache(maxsize=64)
def _table(window: tuple[int, int], padding: tuple[int, int]) -> Array:
    """Which weight of the window each of the 36 of ``(2, 2, 3, 3)`` is; -1 for those that are zero."""
    table = np.full((2, 2, 3, 3), -1)
    for i, j in np.ndindex(window):
        (r, a), (s, b) = divmod(i - padding[0], 2), divmod(j - padding[1], 2)
        table[a, b, r + 1, s + 1] = i * window[1] + j
    return table.reshape(4, 9)


@parallel_for
def _spread(k, w, table, filters):
    """The weights ``(C, taps)`` of one filter as ``(4, C, 9)``."""
    for pixel in range(4):
        for c in range(w.shape[1]):
            for i in range(9):
                tap = table[pixel, i]
                filters[k, pixel, c, i] = w[k, c, tap] if tap >= 0 else np.float32(0)


@parallel_for
def _gather(k, filters, table, w):
    """The reverse."""
    for pixel in range(4):
        for c in range(w.shape[1]):
            for i in range(9):
                tap = table[pixel, i]
                if tap >= 0:
                    w[k, c, tap] = filters[k, pixel, c, i]


def _filters(w: Array, conv: Geometry, kept: Kept | None) -> Array:
    """The weights ``(K, C, R, S)`` as ``(K, 4 C, 3, 3)``."""
    k, c, *window = w.shape

    def fill(filters: Array) -> None:
        table = _table((window[0], window[1]), conv.padding)
        _spread(k, w.reshape(k, c, -1), table, filters.reshape(k, 4, c, 9))

    return prepared("filters", (k, 4 * c, 3, 3), fill, kept, conv)


def fprop(
    x: Array,
    w: Array,
    bias: Array | None,
    y: Array,
    conv: Geometry,
    epilogue: Epilogue | Moments | None = None,
    kept: Kept | None = None,
) -> None:
    """Write ``x * w + bias`` into ``y``, and finish it."""
    winograd.fprop(_folded(x, _squares(x)), _filters(w, conv, kept), bias, y, SQUARE, epilogue, kept)


def dgrad(gy: Array, w: Array, gx: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the input into ``gx``."""
    squares = _squares(gx)
    winograd.dgrad(gy, _filters(w, conv, None), squares, SQUARE)
    _folded(gx, squares, back=True)


def wgrad(gy: Array, x: Array, gw: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the weight into ``gw``."""
    k, c, *window = gw.shape
    filters = workspace("filters", k, 4 * c, 3, 3)
    winograd.wgrad(gy, _folded(x, _squares(x)), filters, SQUARE)
    table = _table((window[0], window[1]), conv.padding)
    _gather(k, filters.reshape(k, 4, c, 9), table, gw.reshape(k, c, -1))


def measures(w: Array, y_shape: tuple[int, ...], conv: Geometry) -> bool:
    """Whether :func:`fprop` can take moments."""
    return True
