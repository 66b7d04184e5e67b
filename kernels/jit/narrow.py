"""Convolutions with at most four output channels: sums along the input channels, not across the output's.

The product of :mod:`.gemm` keeps neighbouring output channels in the lanes of a vector. With three of them (an image
at the end of a generator, or the gradient with respect to one) most lanes would be idle. Here the lanes are input
channels: a tile of ``PIXELS`` pixels x ``K`` channels of *vectors* of partial sums stays in registers, and only at the
end the lanes of each are added up::

    sums[i, k] += x[pixel i, l : l + LANES] * w[k, l : l + LANES]

A thread copies a few rows of the image, with a border of zeros where the windows leave it, into its cache. There the
``S C`` floats under each row of a window are neighbours.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from .conv_matrix import Tap, Weights, Windows
from .conv_patch import copy_line
from .finish import Finish, finish
from .parallel import parallel_for, threads
from .vector import LANES, LINE, Emitter, Int, Pointer, take, vector_kernel
from .workspace import address, counter, workspace, zeros

Array = Any

MOST = 4
"""Output channels."""

PIXELS = 4
"""Pixels in a tile: 4 x 3 sums, 3 vectors of weights and 1 of pixels fill the 16 registers of AVX2."""


@vector_kernel
def dots(
    emit: Emitter,
    x: Pointer,
    x_pixel: Int,
    x_row: Int,
    rows: Int,
    length: Int,
    weights: Pointer,
    padded: Int,
    bias: Pointer,
    y: Pointer,
    y_pixel: Int,
    channels: Int,
    pixels: Int,
) -> None:
    """A line of outputs. A window has ``rows`` rows of ``length`` floats, ``x_row`` apart.

    The weights are ``(channels, rows, padded)``, with zeros from ``length`` to ``padded``, a multiple of LANES.
    """
    whole = (length - 1).quotient(LANES)
    mask = emit.mask(length - whole * LANES)
    filter_ = rows * padded

    def tile(number: int, some: int, x: Pointer, y: Pointer) -> None:
        def add(x: Pointer, w: Pointer, sums: list, mask: Any) -> list:
            pixel = [(x + x_pixel * i).load(mask) for i in range(number)]
            factor = [(w + filter_ * k).load() for k in range(some)]
            return [pixel[i] * factor[k] + sums[i * some + k] for i in range(number) for k in range(some)]

        def row(r: Int, values: list) -> list:
            def vector(_: Int, values: list) -> list:
                return [values[0] + LANES, values[1] + LANES, *add(values[0], values[1], values[2:], None)]

            source, w, *sums = emit.loop(whole, [x + x_row * r, weights + padded * r, *values], vector)
            return add(source, w, sums, mask)

        sums = emit.loop(rows, [emit.zero()] * (number * some), row)
        for i in range(number):
            for k in range(some):
                total = sums[i * some + k].sum_of_lanes() + (bias + k).broadcast()
                (y + (y_pixel * i + k)).store_first(total)

    def line(some: int) -> None:
        def full(_: Int, values: list) -> list:
            tile(PIXELS, some, *values)
            return [values[0] + x_pixel * PIXELS, values[1] + y_pixel * PIXELS]

        tiles = pixels.quotient(PIXELS)
        rest = emit.loop(tiles, [x, y], full)
        emit.choose(pixels - tiles * PIXELS, {n: lambda n=n: tile(n, some, *rest) for n in range(1, PIXELS)})

    emit.choose(channels, {k: lambda k=k: line(k) for k in range(1, MOST + 1)})


class Problem(NamedTuple):
    """What the kernel must know. Addresses in bytes, strides in floats."""

    taps_row: int  # the window's first row and column relative to its corner, and its size
    taps_column: int
    taps_rows: int
    taps_columns: int
    weights: int  # (channels, taps_rows, padded)
    padded: int
    bias: int
    y: int  # image (N, y_height, y_width, channels)
    y_height: int
    y_width: int
    y_stride_h: int  # which rows and columns of y are filled
    y_stride_w: int
    y_first_h: int
    y_first_w: int
    images: int
    channels: int
    lines: int  # of windows in a block
    patch: int  # of all workers
    patch_size: int  # of one
    counter: int


@parallel_for
def _blocks(worker, p, ending, windows):
    """One worker: take some lines of windows, copy what they need of the image, and sum."""
    pixel = windows.pixel
    patch = p.patch + 4 * worker * p.patch_size
    columns = (windows.columns - 1) * windows.stride_w + p.taps_columns
    patch_row = columns * pixel + LINE
    blocks = (windows.rows + p.lines - 1) // p.lines
    while True:
        item = take(p.counter)
        if item >= p.images * blocks:
            break
        n, first = item // blocks, item % blocks * p.lines
        lines = min(p.lines, windows.rows - first)
        rows = (lines - 1) * windows.stride_h + p.taps_rows
        top = first * windows.stride_h + p.taps_row
        for row in range(rows):
            copy_line(patch + 4 * row * patch_row, columns, windows, n, top + row, p.taps_column)
        for line in range(lines):
            h = (first + line) * p.y_stride_h + p.y_first_h
            place = p.y + 4 * ((n * p.y_height + h) * p.y_width + p.y_first_w) * p.channels
            dots(
                patch + 4 * line * windows.stride_h * patch_row,
                windows.stride_w * pixel,
                patch_row,
                p.taps_rows,
                p.taps_columns * pixel,
                p.weights,
                p.padded,
                p.bias,
                place,
                p.y_stride_w * p.channels,
                p.channels,
                windows.columns,
            )
            pixel_row = p.y_stride_w * p.channels
            finish(ending, place, pixel_row, place, pixel_row, 0, p.channels, windows.columns, 0, 0)


def serves(taps: tuple[Tap, ...], channels: int) -> bool:
    """Whether the channels are few, and the taps a rectangle of neighbours."""
    steps = {tap.step for tap in taps if len(tap.weights) > 1} | {b.row - a.row for a, b in itertools.pairwise(taps)}
    return channels <= MOST and steps <= {1}


def product(
    windows: Windows,
    w: Array,
    weights: Weights,
    bias: Array | None,
    ending: Finish,
    y: Array,
    stride: tuple[int, int],
    first: tuple[int, int],
) -> None:
    """Fill and finish every ``stride``-th pixel of ``y (N, H, W, K)`` from ``first`` on."""
    workers, channels, taps = threads(), y.shape[3], weights.taps
    pixel = np.arange(weights.channels) * weights.step
    offsets = np.array([[o + pixel for o in tap.weights] for tap in taps]).reshape(len(taps), -1)
    padded = -(-offsets.shape[1] // LANES) * LANES
    packed = np.zeros((channels, len(taps), padded), np.float32)
    for k in range(channels):
        packed[k, :, : offsets.shape[1]] = w.reshape(-1)[k * weights.lane + offsets]
    shift = zeros(channels) if bias is None else address(bias)
    lines = max(1, min(8, -(-len(y) * windows.rows // (4 * workers))))
    span = (windows.columns - 1) * windows.stride_w + len(taps[0].weights)
    rows = (lines - 1) * windows.stride_h + len(taps)
    patch = workspace("scratch", workers, rows * (span * windows.pixel + LINE) + LINE)
    problem = Problem(
        taps_row=taps[0].row,
        taps_column=taps[0].column,
        taps_rows=len(taps),
        taps_columns=len(taps[0].weights),
        weights=address(packed),
        padded=padded,
        bias=shift,
        y=address(y),
        y_height=y.shape[1],
        y_width=y.shape[2],
        y_stride_h=stride[0],
        y_stride_w=stride[1],
        y_first_h=first[0],
        y_first_w=first[1],
        images=len(y),
        channels=channels,
        lines=lines,
        patch=address(patch),
        patch_size=patch.shape[1],
        counter=counter(),
    )
    _blocks(workers, problem, ending, windows)
