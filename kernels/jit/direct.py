"""Any float32 convolution as one matrix product, without ever storing the matrix: *implicit GEMM*.

im2col (see :mod:`.im2col`) writes all columns to memory and reads them back. Here a thread takes a block of some 100
output pixels, gathers their columns into its own L2 cache, and multiplies them by the packed weights at once. A 1x1
convolution needs no gathering: the image is the matrix. So does a matrix product, which is a 1x1 convolution of an
image of one row (:mod:`deepgpu.backends.cpu.gemm`).

A row of the matrix is cut into *pieces*, runs of floats that are neighbours in memory: the ``S C`` floats of one row of
the window where filter columns are neighbours (dilation 1), else the channels of one tap. Long rows are cut into
*chunks* of pieces, such that a block of columns stays in L2 and a panel of weights in L1.

The gradient with respect to the input is a convolution too: of ``gy``, with the filter turned round. With stride ``s``
only every ``s``-th tap meets a given input pixel, and which ones depends on the pixel's position modulo ``s``: there
are ``s s`` *phases*, each a convolution of its own with stride 1 that fills every ``s``-th row and column of ``gx``.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads

from .compile import kernel
from .conv import Geometry
from .gemm import LINE, TILE_ROWS, WIDTH, clear_rows, copy_rows, copy_rows_exactly, multiply, pack
from .parallel import parallel_for
from .vector import take
from .workspace import address, workspace

Array = Any

BLOCK = 96
"""Output pixels in a block, a multiple of every TILE_ROWS."""

CHUNK = 384
"""Floats of a row in a chunk, about: with a block of rows 144 KiB, with a panel of weights 24 or 48 KiB."""


SHARE = 128
"""Output channels in a block of a weight gradient: with a chunk 192 KiB of sums."""


class Matrix(NamedTuple):
    """Which floats of an image make a row of the implicit matrix, and which weights each of them meets."""

    pieces: Array
    """int64 ``(pieces, 5)``: row and column relative to the window's corner, pixels, first channel, channels."""

    chunks: Array
    """int64 ``(chunks + 1,)``: where each chunk begins among the pieces."""

    starts: Array
    """int64 ``(chunks + 1,)``: where each chunk begins among the floats of a row."""

    order: Array
    """int64 ``(length,)``: for each float of a row, where its weight is, relative to the filter."""


@functools.lru_cache(maxsize=1024)
def _matrix(taps: tuple, channels: int, channel_step: int, joined: bool) -> Matrix:
    """Cut the rows of an implicit matrix.

    ``taps`` holds for each row of the window: its row and column in the image, the distance of its columns, and the
    offsets of its weights, one for each column. ``joined``: neighbouring pixels are neighbours in memory.
    """
    pieces, order = [], []
    parts = -(-channels // CHUNK)
    for row, column, step, offsets in taps:
        together = joined and step == 1 and len(offsets) * channels <= CHUNK
        runs = [(column, offsets)] if together else [(column + step * i, (o,)) for i, o in enumerate(offsets)]
        for at, weights in runs:
            for part in range(parts):
                first, last = (min(channels, -(-channels * p // parts // LINE) * LINE) for p in (part, part + 1))
                pieces.append((row, at, len(weights), first, last - first))
                order += [w + c * channel_step for w in weights for c in range(first, last)]
    chunks, starts, size = [0], [0], 0
    for i, (_, _, pixels, _, count) in enumerate(pieces):
        if size + pixels * count - starts[-1] > CHUNK and size > starts[-1]:
            chunks.append(i)
            starts.append(size)
        size += pixels * count
    chunks.append(len(pieces))
    starts.append(size)
    return Matrix(*(np.array(table, np.int64) for table in (pieces, chunks, starts, order)))


class Product(NamedTuple):
    """``y = columns(x) @ weights``: all that the kernel must know. Addresses in bytes, strides in floats."""

    x: int  # image (N, height, width), the group's first channel
    x_pixel: int  # from one pixel to the next
    x_step: int  # from one channel to the next: 1, except for a transposed matrix
    height: int
    width: int
    stride_h: int
    stride_w: int
    pointwise: int  # whether the rows of x are the rows of the matrix
    pixels: int  # N P Q
    rows: int  # P
    columns: int  # Q
    weights: int  # (chunk, panel, floats of the chunk, WIDTH)
    bias: int  # whole panels
    low: int  # two floats: -inf, and the least value of the result
    y: int  # image (N, y_height, y_width), the group's first channel
    y_pixel: int
    y_height: int
    y_width: int
    y_stride_h: int  # which rows and columns of y are filled: those of a phase
    y_stride_w: int
    y_first_h: int
    y_first_w: int
    channels: int  # of y, in this group
    block: int  # pixels in a block
    panels: int  # panels in a block
    scratch: int  # of all workers
    scratch_size: int  # of one
    columns_row: int  # from one row of gathered columns to the next
    counter: int  # an int64: blocks taken


@kernel
def gather_columns(to, to_row, p, first, count, pieces):
    """Write the columns of ``count`` output pixels, from ``first`` on, for the given pieces of a row.

    Piece by piece, and each for a whole line of output pixels at once, so that the test whether the window leaves the
    image is not made for each pixel. Each copy may write some zeros behind its piece; the next piece overwrites them.
    """
    done = 0
    while done < count:
        n, rest = divmod(first + done, p.rows * p.columns)
        i, q = divmod(rest, p.columns)
        line = min(p.columns - q, count - done)
        place = to + 4 * done * to_row
        for piece in range(pieces.shape[0]):
            h, right = i * p.stride_h + pieces[piece, 0], pieces[piece, 1]
            pixels, channels = pieces[piece, 2], pieces[piece, 4]
            length = pixels * channels
            base = p.x + 4 * ((n * p.height + h) * p.width * p.x_pixel + pieces[piece, 3])
            if h < 0 or h >= p.height:
                clear_rows(place, to_row, length, line)
            else:  # the windows from column left to column end lie inside the image
                left = min(max(-(right // p.stride_w), q), q + line)
                end = max(left, min((p.width - pixels - right) // p.stride_w + 1, q + line))
                for border in range(q, q + line):
                    if left <= border < end:
                        continue
                    at, w = place + 4 * (border - q) * to_row, border * p.stride_w + right
                    from_w, to_w = max(w, 0), min(w + pixels, p.width)
                    clear_rows(at, 0, length, 1)
                    if to_w > from_w:
                        at += 4 * (from_w - w) * channels
                        copy_rows_exactly(at, 0, base + 4 * from_w * p.x_pixel, 0, (to_w - from_w) * channels, 1)
                inside = base + 4 * (left * p.stride_w + right) * p.x_pixel
                copy_rows(place + 4 * (left - q) * to_row, to_row, inside, p.stride_w * p.x_pixel, length, end - left)
            place += 4 * length
        done += line


@parallel_for
def _product(worker, p, pieces, chunks, starts):
    """One worker: take blocks of pixels and panels, gather their columns chunk by chunk, and multiply."""
    columns = p.scratch + 4 * worker * p.scratch_size
    aside, aside_row = columns + 4 * p.block * p.columns_row, (p.channels + WIDTH - 1) // WIDTH * WIDTH
    all_panels = aside_row // WIDTH
    shares = (all_panels + p.panels - 1) // p.panels
    blocks = (p.pixels + p.block - 1) // p.block
    straight = p.y_stride_h == 1 and p.y_stride_w == 1 and p.rows == p.y_height and p.columns == p.y_width
    while True:
        item = take(p.counter)
        if item >= blocks * shares:
            break
        first, panel_0 = item // shares * p.block, item % shares * p.panels
        count, panel_1 = min(p.block, p.pixels - first), min(panel_0 + p.panels, all_panels)
        weights = p.weights
        for chunk in range(chunks.size - 1):
            some = pieces[chunks[chunk] : chunks[chunk + 1]]
            length = starts[chunk + 1] - starts[chunk]
            if p.pointwise:
                a, a_row, a_step = p.x + 4 * (first * p.x_pixel + some[0, 3] * p.x_step), p.x_pixel, p.x_step
            else:
                a, a_row, a_step = columns, p.columns_row, 1
                gather_columns(columns, p.columns_row, p, first, count, some)
            low = p.low + (4 if chunk == chunks.size - 2 else 0)
            for panel in range(panel_0, panel_1):
                b = weights + 4 * panel * length * WIDTH
                if straight and (panel + 1) * WIDTH <= p.channels:
                    c, c_row = p.y + 4 * (first * p.y_pixel + panel * WIDTH), p.y_pixel
                else:
                    c, c_row = aside + 4 * panel * WIDTH, aside_row
                start, start_row = (p.bias + 4 * panel * WIDTH, 0) if chunk == 0 else (c, c_row)
                ahead = b + 4 * length * WIDTH
                multiply(a, a_row, a_step, b, WIDTH, c, c_row, start, start_row, low, count, length, ahead)
            weights += 4 * all_panels * length * WIDTH
        begin = (p.channels // WIDTH if straight else panel_0) * WIDTH
        end = min(panel_1 * WIDTH, p.channels)
        if begin < end:
            _put(aside + 4 * begin, aside_row, p, first, count, begin, end - begin)


@kernel
def _put(source, row, p, first, count, channel, channels):
    """Copy a block of results to where its pixels are in ``y``, line by line."""
    done = 0
    while done < count:
        n, rest = divmod(first + done, p.rows * p.columns)
        i, j = divmod(rest, p.columns)
        line = min(p.columns - j, count - done)
        h, w = i * p.y_stride_h + p.y_first_h, j * p.y_stride_w + p.y_first_w
        place = p.y + 4 * (((n * p.y_height + h) * p.y_width + w) * p.y_pixel + channel)
        copy_rows_exactly(place, p.y_stride_w * p.y_pixel, source + 4 * done * row, row, channels, line)
        done += line


@parallel_for
def _pack_weights(item, to, source, lane, columns, order, starts):
    """Pack one panel of one chunk of the weights into ``(chunk, panel, floats of the chunk, WIDTH)``."""
    panels = (columns + WIDTH - 1) // WIDTH
    chunk, panel = item // panels, item % panels
    some = order[starts[chunk] : starts[chunk + 1]]
    place = to + 4 * (starts[chunk] * panels + panel * some.size) * WIDTH
    pack(place, source + 4 * panel * WIDTH * lane, lane, some, columns - panel * WIDTH)


class Sum(NamedTuple):
    """``gw = columns(x)^T @ gy``, the product of a weight gradient, summed over all pixels."""

    x: int
    x_pixel: int
    x_step: int
    height: int
    width: int
    stride_h: int
    stride_w: int
    pointwise: int
    pixels: int
    rows: int
    columns: int
    gy: int  # matrix (pixels, channels), the group's first channel
    gy_pixel: int
    channels: int
    share: int  # channels of gy in a block, whole panels
    splits: int  # the pixels are cut into so many parts
    parts: int  # sums (splits, channels / share, floats of a row, share)
    zeros: int  # a panel's row of zeros, for the first block
    low: int  # -inf
    block: int
    scratch: int
    scratch_size: int
    columns_row: int
    counter: int


@parallel_for
def _sum(worker, p, pieces, chunks, starts):
    """One worker: take a chunk of the row, a share of the channels and a part of the pixels, and sum up."""
    columns = p.scratch + 4 * worker * p.scratch_size
    packed = columns + 4 * p.block * p.columns_row
    shares = (p.channels + p.share - 1) // p.share
    while True:
        item = take(p.counter)
        if item >= p.splits * shares * (chunks.size - 1):
            break
        split, rest = item // (shares * (chunks.size - 1)), item % (shares * (chunks.size - 1))
        chunk, share = rest // shares, rest % shares
        some = pieces[chunks[chunk] : chunks[chunk + 1]]
        length = starts[chunk + 1] - starts[chunk]
        channel_0 = share * p.share
        channels = min(p.share, p.channels - channel_0)
        sums = p.parts + 4 * ((split * shares + share) * starts[-1] + starts[chunk]) * p.share
        first, last = p.pixels * split // p.splits, p.pixels * (split + 1) // p.splits
        for block in range(first, last, p.block):
            count = min(p.block, last - block)
            if p.pointwise:
                a, a_row, a_step = p.x + 4 * (block * p.x_pixel + some[0, 3] * p.x_step), p.x_step, p.x_pixel
            else:
                a, a_row, a_step = columns, 1, p.columns_row
                gather_columns(columns, p.columns_row, p, block, count, some)
            for panel in range(0, channels, WIDTH):
                b = packed + 4 * panel * p.block
                copy_rows(
                    b,
                    WIDTH,
                    p.gy + 4 * (block * p.gy_pixel + channel_0 + panel),
                    p.gy_pixel,
                    min(WIDTH, channels - panel),
                    count,
                )
                c = sums + 4 * panel
                start, start_row = (p.zeros, 0) if block == first else (c, p.share)
                multiply(a, a_row, a_step, b, WIDTH, c, p.share, start, start_row, p.low, length, count, b)


@parallel_for
def _unpack_sums(panel, parts, to, lane, columns, share, order, splits):
    """Add up the parts and write the gradient: float ``k`` of a row and channel ``n`` go to ``order[k] + n * lane``."""
    shares = (columns + share - 1) // share
    length = order.size
    first = panel * WIDTH
    last = min(first + WIDTH, columns)
    at = first // share * length * share + first % share
    for k in range(length):
        for n in range(first, last):
            total = parts[at + k * share + n - first]
            for split in range(1, splits):
                total += parts[split * shares * length * share + at + k * share + n - first]
            to[order[k] + n * lane] = total


def fprop(x: Array, w: Array, bias: Array | None, y: Array, conv: Geometry, relu: bool = False) -> None:
    """Write ``x * w + bias`` into ``y``, or the ReLU of it."""
    k, c, r, s = w.shape
    (pad_h, pad_w), (dilation_h, dilation_w), groups = conv.padding, conv.dilation, conv.groups
    taps = tuple((i * dilation_h - pad_h, -pad_w, dilation_w, tuple(range(i * s, i * s + s))) for i in range(r))
    matrix = _matrix(taps, c, r * s, groups == 1)
    grid = Grid(conv.stride, y.shape[1:3], (1, 1), (0, 0), conv.is_pointwise((r, s)))
    for g in range(groups):
        part = slice(g * k // groups, (g + 1) * k // groups)
        shift = None if bias is None else bias[part]
        _multiply(x, g * c, matrix, w[part], c * r * s, k // groups, shift, relu, y, part.start, grid)


def dgrad(gy: Array, w: Array, gx: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the input into ``gx``."""
    k, c, r, s = w.shape
    k //= conv.groups
    _, height, width, _ = gx.shape
    stride_h, stride_w = conv.stride
    for i in range(min(stride_h, height)):
        rows = _phase(i + conv.padding[0], r, stride_h, conv.dilation[0])
        for j in range(min(stride_w, width)):
            columns = _phase(j + conv.padding[1], s, stride_w, conv.dilation[1])
            if not rows or not columns:
                gx[:, i::stride_h, j::stride_w] = 0  # no window reaches these pixels
                continue
            step = columns[1][0] - columns[0][0] if len(columns) > 1 else 1
            taps = tuple((p, columns[0][0], step, tuple(a * s + b for _, b in columns)) for p, a in rows)
            matrix = _matrix(taps, k, c * r * s, conv.groups == 1)
            size = -(-(height - i) // stride_h), -(-(width - j) // stride_w)
            grid = Grid((1, 1), size, conv.stride, (i, j), conv.is_pointwise((r, s)))
            for g in range(conv.groups):
                _multiply(gy, g * k, matrix, w[g * k : g * k + k], r * s, c, None, False, gx, g * c, grid)


def _phase(position: int, taps: int, stride: int, dilation: int) -> list[tuple[int, int]]:
    """The taps that meet the input at a padded position: ``(output position, tap)``, outputs ascending."""
    met = [((position - t * dilation) // stride, t) for t in range(taps) if (position - t * dilation) % stride == 0]
    return met[::-1]


class Grid(NamedTuple):
    """Which windows are taken, and where their results go."""

    stride: tuple[int, int]  # of the windows in x
    size: tuple[int, int]  # their number
    y_stride: tuple[int, int]  # of the results in y
    y_first: tuple[int, int]
    pointwise: bool


def _multiply(
    x: Array,
    x_channel: int,
    matrix: Matrix,
    w: Array,
    lane: int,
    channels: int,
    bias: Array | None,
    relu: bool,
    y: Array,
    y_channel: int,
    grid: Grid,
) -> None:
    """One product: pack the weights, choose the blocks, and run the kernel on all threads."""
    workers = get_num_threads()
    panels = -(-channels // WIDTH)
    length = len(matrix.order)
    weights = workspace("weights", panels * WIDTH * length)
    _pack_weights(
        panels * (len(matrix.starts) - 1), address(weights), address(w), lane, channels, matrix.order, matrix.starts
    )
    shift = workspace("bias", panels * WIDTH)
    shift[:channels] = 0 if bias is None else bias
    low = np.array([-np.inf, 0 if relu else -np.inf], np.float32)
    counter = np.zeros(1, np.int64)

    pixels = x.shape[0] * grid.size[0] * grid.size[1]
    block, share = _blocks(pixels, panels, workers)
    columns_row = int(np.diff(matrix.starts).max()) // LINE * LINE + 3 * LINE
    scratch = workspace("scratch", workers, block * (columns_row + panels * WIDTH) + LINE)
    problem = Product(
        x=address(x) + 4 * x_channel,
        x_pixel=x.shape[3],
        x_step=1,
        height=x.shape[1],
        width=x.shape[2],
        stride_h=grid.stride[0],
        stride_w=grid.stride[1],
        pointwise=grid.pointwise,
        pixels=pixels,
        rows=grid.size[0],
        columns=grid.size[1],
        weights=address(weights),
        bias=address(shift),
        low=address(low),
        y=address(y) + 4 * y_channel,
        y_pixel=y.shape[3],
        y_height=y.shape[1],
        y_width=y.shape[2],
        y_stride_h=grid.y_stride[0],
        y_stride_w=grid.y_stride[1],
        y_first_h=grid.y_first[0],
        y_first_w=grid.y_first[1],
        channels=channels,
        block=block,
        panels=share,
        scratch=address(scratch),
        scratch_size=scratch.shape[1],
        columns_row=columns_row,
        counter=address(counter),
    )
    _product(workers, problem, matrix.pieces, matrix.chunks, matrix.starts)


def _blocks(pixels: int, panels: int, workers: int) -> tuple[int, int]:
    """Pixels and panels in a block: few enough that all workers have some, and end at about the same time."""
    if workers == 1:
        return BLOCK, panels
    block = min(BLOCK, max(TILE_ROWS, -(-pixels // (4 * workers) // TILE_ROWS) * TILE_ROWS))
    blocks = -(-pixels // block)
    shares = min(panels, max(1, -(-4 * workers // blocks)))
    return block, -(-panels // shares)


def wgrad(gy: Array, x: Array, gw: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the weight into ``gw``."""
    k, c, r, s = gw.shape
    (pad_h, pad_w), (dilation_h, dilation_w), groups = conv.padding, conv.dilation, conv.groups
    taps = tuple((i * dilation_h - pad_h, -pad_w, dilation_w, tuple(range(i * s, i * s + s))) for i in range(r))
    matrix = _matrix(taps, c, r * s, groups == 1)
    k //= groups
    for g in range(groups):
        _add_up(gy, g * k, k, x, g * c, matrix, conv, gw[g * k : g * k + k])


def _add_up(
    gy: Array, gy_channel: int, channels: int, x: Array, x_channel: int, matrix: Matrix, conv: Geometry, gw: Array
) -> None:
    """One weight gradient: choose the blocks, run the kernel on all threads, and add up the parts."""
    workers = get_num_threads()
    length, chunks = len(matrix.order), len(matrix.chunks) - 1
    share = min(-(-channels // WIDTH) * WIDTH, SHARE)
    shares = -(-channels // share)
    pixels = gy.shape[0] * gy.shape[1] * gy.shape[2]
    splits = max(1, min(-(-4 * workers // (chunks * shares)), pixels // 512))
    parts = workspace("parts", splits * shares * length * share)
    columns_row = int(np.diff(matrix.starts).max()) // LINE * LINE + 3 * LINE
    scratch = workspace("scratch", workers, BLOCK * (columns_row + share) + LINE)
    zeros, low, counter = np.zeros(WIDTH, np.float32), np.array([-np.inf], np.float32), np.zeros(1, np.int64)
    problem = Sum(
        x=address(x) + 4 * x_channel,
        x_pixel=x.shape[3],
        x_step=1,
        height=x.shape[1],
        width=x.shape[2],
        stride_h=conv.stride[0],
        stride_w=conv.stride[1],
        pointwise=conv.is_pointwise(gw.shape[2:]),
        pixels=pixels,
        rows=gy.shape[1],
        columns=gy.shape[2],
        gy=address(gy) + 4 * gy_channel,
        gy_pixel=gy.shape[3],
        channels=channels,
        share=share,
        splits=splits,
        parts=address(parts),
        zeros=address(zeros),
        low=address(low),
        block=BLOCK,
        scratch=address(scratch),
        scratch_size=scratch.shape[1],
        columns_row=columns_row,
        counter=address(counter),
    )
    _sum(workers, problem, matrix.pieces, matrix.chunks, matrix.starts)
    _unpack_sums(-(-channels // WIDTH), parts, gw.reshape(-1), gw[0].size, channels, share, matrix.order, splits)
