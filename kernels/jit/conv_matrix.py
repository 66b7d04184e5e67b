"""The matrix whose rows are the pixels under a window, made a block at a time: what im2col would write to memory.

A row is cut into *pieces*, runs of floats that are neighbours in memory: the ``S C`` floats of one row of the window
where its columns are neighbours (dilation 1), else the channels of one tap. Long rows are cut into *chunks* of pieces,
such that a block of columns stays in L2, and what it is multiplied by in L1.

Where the pieces are the rows of windows that overlap, nothing need be gathered: see :mod:`.conv_patch`.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from .compile import kernel
from .conv import Geometry
from .gemm import FAR
from .rows import clear_rows, copy_rows, copy_rows_exactly
from .vector import LINE
from .workspace import address

Array = Any

CHUNK = 384
"""Floats of a row in a chunk, about: a block of 96 rows of it has 144 KiB."""


class Rows(NamedTuple):
    """Which floats of an image make a row of the matrix, and which weight each of them meets; tables of int64."""

    pieces: Array  # (pieces, 5): row and column relative to the window's corner, pixels, first channel, channels
    chunks: Array  # (chunks + 1,): where each chunk begins among the pieces
    starts: Array  # (chunks + 1,): where each chunk begins among the floats of a row
    offsets: Array  # (length,): for each float, where its weight is relative to the filter
    sorted: Array  # (length,): the floats in the order of their weights
    stride: int  # floats from one gathered row to the next: a vector to spare, and no power of two
    columns: int  # of the window if the pieces are its rows, 0 if they are parts of them
    most: int  # pieces in a chunk

    @property
    def length(self) -> int:
        return len(self.offsets)


class Tap(NamedTuple):
    """One row of a window: its place relative to the window's corner, and the offset of each column's weight."""

    row: int
    column: int  # of the first
    step: int  # from one column to the next
    weights: tuple[int, ...]


class Weights(NamedTuple):
    """Where a filter's weights lie: ``(k, c, tap)`` at ``k * lane + c * step`` plus the tap's offset."""

    taps: tuple[Tap, ...]
    channels: int  # c
    step: int
    lane: int
    all_channels: bool  # whether these are all channels of a pixel: then neighbouring pixels are neighbours in memory


@functools.lru_cache(maxsize=1024)
def matrix_rows(taps: tuple[Tap, ...], channels: int, channel_step: int, neighbours: bool) -> Rows:
    """Cut the rows of a matrix.

    Parameters
    ----------
    channels
        Channels of a pixel that count.
    channel_step
        From one channel to the next in the weights.
    neighbours
        Whether a pixel is nothing but these channels, so that neighbouring pixels are neighbours in memory.
    """
    pieces, offsets = [], []
    parts = -(-channels // CHUNK)
    for row, column, step, weights in taps:
        together = neighbours and step == 1 and len(weights) * channels <= CHUNK
        runs = [(column, weights)] if together else [(column + step * i, (w,)) for i, w in enumerate(weights)]
        for at, some in runs:
            for part in range(parts):
                first, last = (min(channels, -(-channels * p // parts // LINE) * LINE) for p in (part, part + 1))
                pieces.append((row, at, len(some), first, last - first))
                offsets += [w + c * channel_step for w in some for c in range(first, last)]
    chunks, starts, size = [0], [0], 0
    for i, (_, _, pixels, _, count) in enumerate(pieces):
        if size + pixels * count - starts[-1] > CHUNK and size > starts[-1]:
            chunks.append(i)
            starts.append(size)
        size += pixels * count
    tables = pieces, [*chunks, len(pieces)], [*starts, size], offsets, np.argsort(offsets, kind="stable")
    most, longest = (max(b - a for a, b in itertools.pairwise(table)) for table in tables[1:3])
    whole = neighbours and all(piece[1:] == pieces[0][1:] for piece in pieces)
    return Rows(
        *(np.array(table, np.int64) for table in tables),
        stride=longest // LINE * LINE + 3 * LINE,
        columns=pieces[0][2] if whole else 0,
        most=most,
    )


@functools.lru_cache(maxsize=1024)
def window_taps(window: tuple[int, int], conv: Geometry) -> tuple[Tap, ...]:
    """The rows of a whole window, in the order of its weights."""
    r, s = window
    return tuple(
        Tap(i * conv.dilation[0] - conv.padding[0], -conv.padding[1], conv.dilation[1], tuple(range(i * s, i * s + s)))
        for i in range(r)
    )


class Windows(NamedTuple):
    """Where the windows lie in an image ``(N, height, width, pixel)``. Its address in bytes, sizes in floats."""

    image: int  # the first channel that counts
    pixel: int  # from one pixel to the next
    height: int
    width: int
    stride_h: int
    stride_w: int
    rows: int  # of windows in an image
    columns: int


def windows_of(image: Array, channel: int, stride: tuple[int, int], size: tuple[int, int]) -> Windows:
    """The windows of an image ``(N, H, W, C)``; ``size`` is their number in an image."""
    _, height, width, pixel = image.shape
    return Windows(address(image) + 4 * channel, pixel, height, width, *stride, *size)


def is_matrix(windows: Windows, window: tuple[int, int], conv: Geometry) -> bool:
    """Whether the pixels, as they lie in memory, are the rows of the matrix, and may well be read there."""
    return conv.is_pointwise(window) and windows.pixel < FAR


@kernel
def gather_columns(to, to_row, windows, first, count, pieces):
    """Write ``count`` rows of the matrix, from window ``first`` on, for the given pieces.

    Piece by piece, and each for a whole line of windows at once, so that the test whether a window leaves the image is
    not made for each. Every copy may write some zeros behind its piece; the next piece overwrites them.
    """
    image, pixel, height, width, stride_h, stride_w, rows, columns = windows
    done = 0
    while done < count:
        n, rest = divmod(first + done, rows * columns)
        i, q = divmod(rest, columns)
        line = min(columns - q, count - done)
        place = to + 4 * done * to_row
        for piece in range(pieces.shape[0]):
            h, right = i * stride_h + pieces[piece, 0], pieces[piece, 1]
            pixels, channels = pieces[piece, 2], pieces[piece, 4]
            length = pixels * channels
            if h < 0 or h >= height:
                clear_rows(place, to_row, length, line)
            else:  # the windows from `left` to `end` lie inside the image
                source = image + 4 * ((n * height + h) * width * pixel + pieces[piece, 3])
                left = min(max(-(right // stride_w), q), q + line)
                end = max(left, min((width - pixels - right) // stride_w + 1, q + line))
                for border in range(q, q + line):
                    if left <= border < end:
                        continue
                    at, w = place + 4 * (border - q) * to_row, border * stride_w + right
                    from_w, to_w = max(w, 0), min(w + pixels, width)
                    clear_rows(at, 0, length, 1)
                    if to_w > from_w:
                        at += 4 * (from_w - w) * channels
                        copy_rows_exactly(at, 0, source + 4 * from_w * pixel, 0, (to_w - from_w) * channels, 1)
                inside = source + 4 * (left * stride_w + right) * pixel
                copy_rows(place + 4 * (left - q) * to_row, to_row, inside, stride_w * pixel, length, end - left)
            place += 4 * length
        done += line
