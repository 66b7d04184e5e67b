"""Any float32 convolution as one matrix product, without ever storing the matrix: *implicit GEMM*.

:mod:`.im2col` writes all columns to memory and reads them back. Here a thread takes a block of some 100 output pixels,
gathers their columns into its own L2 cache (:mod:`.conv_matrix`), and multiplies them by the packed weights at once. A
1x1 convolution needs no gathering: the image is the matrix.

The gradient with respect to the input is a convolution too: of ``gy``, with the filter turned round. With stride ``s``
only every ``s``-th tap meets a given input pixel, and which ones depends on the pixel's position modulo ``s``: there
are ``s s`` *phases*, each a convolution of its own with stride 1 that fills every ``s``-th row and column of ``gx``.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

from . import direct_wgrad, narrow
from .compile import kernel
from .conv import Geometry
from .conv_groups import joined, separate, together
from .conv_matrix import (
    Rows,
    Tap,
    Weights,
    Windows,
    gather_columns,
    is_matrix,
    matrix_rows,
    window_taps,
    windows_of,
)
from .conv_patch import copy_patches, line_of, room
from .finish import Epilogue, Finish, Moments, finish, finish_of
from .gemm import TILE_ROWS, WIDTH, multiply_windows, pack
from .matmul import matmul
from .panels import Operand, pack_panels
from .parallel import parallel_for, threads
from .rows import copy_rows_exactly, fence, stream_rows
from .transpose import transpose
from .vector import LANES, LINE, take
from .workspace import Kept, address, bias_row, counter, prepared, reserve, streams, workspace

__all__ = ["dgrad", "fprop", "wgrad"]

Array = Any

BLOCK = 96
"""Output pixels in a block at most, a multiple of every TILE_ROWS."""

MANY = 24
"""Blocks a worker from which on it matters little who has the last one."""


class Product(NamedTuple):
    """``y = matrix @ weights``: what the kernel must know of the shapes. Strides in floats."""

    gathered: int  # whether the rows must be gathered, or are the pixels as they lie
    y_pixel: int
    y_height: int
    y_width: int
    y_stride_h: int  # which rows and columns of y are filled: those of a phase
    y_stride_w: int
    y_first_h: int
    y_first_w: int
    pixels: int  # to fill
    channel: int  # the group's first
    channels: int  # of y, in this group
    block: int  # pixels in a block
    panels: int  # panels in a block
    last: int  # blocks at the end that a worker does not take before it can begin
    scratch_size: int  # of one worker
    columns_row: int  # from one row of gathered columns to the next
    columns_size: int  # of a block of them, or of patches
    patch_row: int  # from one row of a patch to the next; 0 if there are none


class Places(NamedTuple):
    """Where the product's operands lie. Addresses in bytes."""

    weights: int  # (panel, length of a row, WIDTH)
    bias: int  # whole panels
    y: int  # image (N, y_height, y_width), the group's first channel
    scratch: int  # of all workers
    counter: int  # an int64: blocks taken
    streams: int  # whether y is written past the caches


@parallel_for
def _product(worker, p, at, ending, windows, pieces, chunks, starts):
    """One worker: take blocks of pixels and panels, gather their columns chunk by chunk, and multiply."""
    p, at, ending, windows = Product(*p), Places(*at), Finish(*ending), Windows(*windows)
    columns = at.scratch + 4 * worker * p.scratch_size
    aside, aside_row = columns + 4 * p.columns_size, (p.channels + WIDTH - 1) // WIDTH * WIDTH
    all_panels = aside_row // WIDTH
    shares = (all_panels + p.panels - 1) // p.panels
    items = (p.pixels + p.block - 1) // p.block * shares
    whole = p.y_stride_h * p.y_stride_w == 1 and windows.rows == p.y_height and windows.columns == p.y_width
    direct = whole and not at.streams  # sums are made in y itself, but for those of a panel that is not whole
    ends = 0  # whole panels are finished in registers
    if ending.wanted:
        ends = 2 if ending.residual else 1
    past = at.streams and not ending.slots  # the last sums go past the caches
    following = take(at.counter)
    while following < items:
        item, following = following, items
        early = item + p.last < items
        if early:  # to ask for its pixels; near the end another worker may be free before
            following = take(at.counter)
        first, panel_0 = item // shares * p.block, item % shares * p.panels
        count, panel_1 = min(p.block, p.pixels - first), min(panel_0 + p.panels, all_panels)
        for chunk in range(chunks.size - 1):
            some = pieces[chunks[chunk] : chunks[chunk + 1]]
            length = starts[chunk + 1] - starts[chunk]
            runs = some.shape[0] if p.patch_row else 1
            last = chunk + 2 == chunks.size
            if not p.gathered:
                a, a_row = windows.image + 4 * (first * windows.pixel + some[0, 3]), windows.pixel
            elif p.patch_row:
                a, a_row = columns, windows.stride_w * windows.pixel
                copy_patches(columns, p.patch_row, windows, first, count, some)
            else:
                a, a_row = columns, p.columns_row
                gather_columns(columns, p.columns_row, windows, first, count, some)
            for panel in range(panel_0, panel_1):
                b = at.weights + 4 * (panel * starts[-1] + starts[chunk]) * WIDTH
                c, c_row = aside + 4 * panel * WIDTH, aside_row
                whole_panel = (panel + 1) * WIDTH <= p.channels
                if direct and whole_panel:
                    c, c_row = at.y + 4 * (first * p.y_pixel + panel * WIDTH), p.y_pixel
                start, start_row = (at.bias + 4 * panel * WIDTH, 0) if chunk == 0 else (c, c_row)
                if last and past and whole_panel:
                    c, c_row = at.y + 4 * (first * p.y_pixel + panel * WIDTH), p.y_pixel
                ahead, ahead_tile = b + 4 * starts[-1] * WIDTH, 0  # the next panel
                if panel + 1 == panel_1:
                    ahead = at.weights + 4 * (panel_0 * starts[-1] + starts[(chunk + 1) % (chunks.size - 1)]) * WIDTH
                if panel == panel_0 and not p.gathered and following < items:  # or the next block of the image
                    ahead = windows.image + 4 * (following // shares * p.block * windows.pixel + some[0, 3])
                    ahead_tile = TILE_ROWS * windows.pixel
                done, part, residual = 0, a, 0
                if ends == 2:
                    residual = ending.residual + (at.y - ending.y) + 4 * (first * p.y_pixel + panel * WIDTH)
                while done < count:
                    line = line_of(windows, first + done, count - done) if p.patch_row else count
                    multiply_windows(
                        part,
                        a_row,
                        p.patch_row,
                        runs,
                        b,
                        c + 4 * done * c_row,
                        c_row,
                        start + 4 * done * start_row,
                        start_row,
                        line,
                        length // runs,
                        ahead,
                        ahead_tile,
                        int(last and past and whole_panel),
                        int(p.channels - panel * WIDTH <= LANES),
                        ends if last and whole_panel else 0,
                        ending.factors + 4 * (p.channel + panel * WIDTH),
                        ending.factors_row,
                        ending.limits,
                        residual + 4 * done * p.y_pixel,
                        p.y_pixel,
                    )
                    part += 4 * runs * p.patch_row
                    done += line
        channel, end = panel_0 * WIDTH, min(panel_1 * WIDTH, p.channels)
        rest = max(channel, p.channels // WIDTH * WIDTH)  # the channels of a panel that is not whole
        begin = rest if direct or past else channel  # what is aside
        place, row = at.y + 4 * (first * p.y_pixel + channel), p.y_pixel
        if begin < end and not at.streams:
            _put(aside + 4 * begin, aside_row, p, at, windows, first, count, begin, end - begin)
        if ending.wanted or ending.slots:  # only where the pixels of a block are neighbours: in fprop
            since = rest if ends else channel
            to = place + 4 * (since - channel)
            values, values_row = (aside + 4 * since, aside_row) if at.streams else (to, row)
            if since < end:
                finish(ending, values, values_row, to, row, p.channel + since, end - since, count, item // shares, 0)
        if at.streams:
            if begin < end:
                to = place + 4 * (begin - channel)
                stream_rows(to, row, aside + 4 * begin, aside_row, end - begin, count)
            fence()
        if not early:
            following = take(at.counter)


@kernel
def _put(source, row, p, at, windows, first, count, channel, channels):
    """Copy results to where their pixels are in ``y``, line by line."""
    done = 0
    while done < count:
        n, rest = divmod(first + done, windows.rows * windows.columns)
        i, j = divmod(rest, windows.columns)
        line = min(windows.columns - j, count - done)
        h, w = i * p.y_stride_h + p.y_first_h, j * p.y_stride_w + p.y_first_w
        place = at.y + 4 * (((n * p.y_height + h) * p.y_width + w) * p.y_pixel + channel)
        copy_rows_exactly(place, p.y_stride_w * p.y_pixel, source + 4 * done * row, row, channels, line)
        done += line


@parallel_for
def _pack_weights(item, to, weights, lane, channels, offsets, order):
    """A quarter of the rows of one panel."""
    panel, part = item // 4, item % 4
    some = order[order.size * part // 4 : order.size * (part + 1) // 4]
    n = panel * WIDTH
    pack(to + 4 * n * order.size, weights + 4 * n * lane, lane, min(WIDTH, channels - n), offsets, some)


@parallel_for
def _clear(part, parts, y):
    """One of some parts of an array set to zero."""
    y[y.size * part // parts : y.size * (part + 1) // parts] = 0


class Target(NamedTuple):
    """The part of an image that a product fills."""

    y: Array
    channel: int
    channels: int
    stride: tuple[int, int]
    first: tuple[int, int]


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
    w, conv = joined(w, conv, x)
    window, k = w.shape[2:], w.shape[0] // conv.groups
    weights, c = _filters(w.shape[1], window, conv), w.shape[1]
    for g in range(conv.groups):
        part = slice(g * k, g * k + k)
        windows = windows_of(x, g * c, conv.stride, y.shape[1:3])
        shift = None if bias is None else bias[part]
        target = Target(y, g * k, k, (1, 1), (0, 0))
        _multiply(windows, w[part], weights, not is_matrix(windows, window, conv), shift, epilogue, target, kept)


@functools.lru_cache(maxsize=1024)
def _filters(channels: int, window: tuple[int, int], conv: Geometry) -> Weights:
    """Filters as they lie in memory."""
    taps = window[0] * window[1]
    return Weights(window_taps(window, conv), channels, taps, channels * taps, conv.groups == 1)


def dgrad(gy: Array, w: Array, gx: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the input into ``gx``."""
    if _is_one_window(gy, w, gx, conv):
        planes = workspace("products", len(gx), *w.shape[1:])
        matmul(gy.reshape(1, len(gy), -1), w.reshape(1, len(w), -1), planes.reshape(1, len(gx), -1))
        images = planes.transpose(0, 2, 3, 1)
        if not transpose(images, gx, 4 * threads()):
            gx[...] = images
        return
    w, conv = joined(w, conv, gy)
    k, c, window = w.shape[0] // conv.groups, w.shape[1], w.shape[2:]
    phases = _phases(gx.shape[1:3], (k, *w.shape[1:]), conv)
    if len(phases) < conv.stride[0] * conv.stride[1]:
        _clear(4 * threads(), 4 * threads(), gx.reshape(-1))  # no window reaches some pixels
    for phase in phases:
        for g in range(conv.groups):
            windows = windows_of(gy, g * k, (1, 1), phase.size)
            target = Target(gx, g * c, c, conv.stride, phase.first)
            gathered = not is_matrix(windows, window, conv)
            _multiply(windows, w[g * k : g * k + k], phase.weights, gathered, None, None, target, None)


def _is_one_window(gy: Array, w: Array, gx: Array, conv: Geometry) -> bool:
    """Whether each image is a single window: its gradient is a product, without the taps that meet nothing."""
    return gy.shape[1:3] == (1, 1) and gx.shape[1:3] == w.shape[2:] and conv.padding == (0, 0) and conv.groups == 1


def wgrad(gy: Array, x: Array, gw: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the weight into ``gw``."""
    k, c, r, s = gw.shape
    number = together(conv.groups, k // conv.groups, c)
    if number == 1:
        direct_wgrad.wgrad(gy, x, gw, conv)
        return
    wide = workspace("products", k, number * c, r, s)
    direct_wgrad.wgrad(gy, x, wide, conv._replace(groups=conv.groups // number))
    separate(wide, gw, k // conv.groups)


def measures(w: Array, y_shape: tuple[int, ...], conv: Geometry) -> bool:
    """Whether :func:`fprop` can take moments."""
    k = w.shape[0] // conv.groups
    return k * together(conv.groups, k, w.shape[1]) > narrow.MOST


class Phase(NamedTuple):
    """The pixels of an image's gradient that the same taps meet, and the convolution that makes them."""

    first: tuple[int, int]
    size: tuple[int, int]
    weights: Weights


@functools.lru_cache(maxsize=1024)
def _phases(image: tuple[int, int], w: tuple[int, ...], conv: Geometry) -> tuple[Phase, ...]:
    """The phases of a gradient of this size; ``w`` is the shape of one group's filters."""
    k, c, r, s = w
    (height, width), (stride_h, stride_w) = image, conv.stride
    found = []
    for i, j in itertools.product(range(min(stride_h, height)), range(min(stride_w, width))):
        rows = _met(i + conv.padding[0], r, stride_h, conv.dilation[0])
        columns = _met(j + conv.padding[1], s, stride_w, conv.dilation[1])
        if rows and columns:
            step = columns[1][0] - columns[0][0] if len(columns) > 1 else 1
            taps = tuple(Tap(p, columns[0][0], step, tuple(a * s + b for _, b in columns)) for p, a in rows)
            size = -(-(height - i) // stride_h), -(-(width - j) // stride_w)
            found.append(Phase((i, j), size, Weights(taps, k, c * r * s, r * s, conv.groups == 1)))
    return tuple(found)


def _met(position: int, taps: int, stride: int, dilation: int) -> list[tuple[int, int]]:
    """The taps that meet the input at a padded position: ``(output position, tap)``, outputs ascending."""
    met = [((position - t * dilation) // stride, t) for t in range(taps) if (position - t * dilation) % stride == 0]
    return met[::-1]


def _multiply(
    windows: Windows,
    w: Array,
    weights: Weights,
    gathered: bool,
    bias: Array | None,
    epilogue: Epilogue | Moments | None,
    target: Target,
    kept: Kept | None,
) -> None:
    """One product: pack the weights, choose the blocks, and run the kernel on all threads."""
    y, channels, workers = target.y, target.channels, threads()
    plan = _plan(weights, gathered, windows[1:], y.shape, target[1:], workers)
    if plan is None:
        narrow.product(windows, w, weights, bias, finish_of(y, epilogue), y, target.stride, target.first)
        return
    rows, panels, source = plan.rows, plan.panels, address(w)

    def fill(packed: Array) -> None:
        if plan.matrix is None:
            _pack_weights(panels * 4, address(packed), source, weights.lane, channels, rows.offsets, rows.sorted)
        else:
            first = source + 4 * weights.taps[0].weights[0]
            pack_panels(first, plan.matrix, address(packed), 1, weights.channels, channels)

    packed = prepared("weights", (panels * WIDTH * rows.length,), fill, kept, (weights, target.channel))
    places = Places(
        address(packed),
        bias_row(bias, panels * WIDTH),
        address(y) + 4 * target.channel,
        reserve("scratch", workers * plan.scratch_size),
        counter(),
        streams(y) if plan.whole else 0,
    )
    ending = finish_of(y, epilogue, plan.blocks)
    _product(workers, plan.product, tuple(places), tuple(ending), tuple(windows), rows.pieces, rows.chunks, rows.starts)


class Plan(NamedTuple):
    """What of a product follows from shapes alone."""

    rows: Rows
    matrix: Operand | None  # the weights, if they are one
    panels: int
    blocks: int  # of pixels
    whole: bool  # whether all of y is filled
    scratch_size: int  # floats of one worker
    product: tuple[int, ...]  # as the kernel takes it


@functools.lru_cache(maxsize=1024)
def _plan(
    weights: Weights,
    gathered: bool,
    windows: tuple[int, ...],
    y: tuple[int, ...],
    target: tuple[int, int, tuple[int, int], tuple[int, int]],
    workers: int,
) -> Plan | None:
    """The plan of a product; None if it is left to :mod:`.narrow`.

    ``windows`` are :class:`Windows` without address, ``target`` is a :class:`Target` without ``y``, of this shape.
    """
    channel, channels, stride, first = target
    if weights.all_channels and narrow.serves(weights.taps, channels):
        return None
    rows = matrix_rows(weights.taps, weights.channels, weights.step, weights.all_channels)
    seen, panels = Windows(0, *windows), -(-channels // WIDTH)
    pixels = y[0] * seen.rows * seen.columns
    block, share = _blocks(pixels, panels, workers)
    columns_size, patch_row = room(rows, seen, block)
    scratch_size = columns_size + block * panels * WIDTH + LINE
    product = Product(
        gathered=int(gathered),
        y_pixel=y[3],
        y_height=y[1],
        y_width=y[2],
        y_stride_h=stride[0],
        y_stride_w=stride[1],
        y_first_h=first[0],
        y_first_w=first[1],
        pixels=pixels,
        channel=channel,
        channels=channels,
        block=block,
        panels=share,
        last=2 * workers,
        scratch_size=scratch_size,
        columns_row=rows.stride,
        columns_size=columns_size,
        patch_row=patch_row,
    )
    whole = stride == (1, 1) and (seen.rows, seen.columns) == y[1:3] and channels == y[3]
    return Plan(rows, _as_matrix(weights), panels, -(-pixels // block), whole, scratch_size, tuple(product))


def _as_matrix(weights: Weights) -> Operand | None:
    """The weights ``(c, k)`` of a window of one tap, whose rows or columns are neighbours in memory."""
    ((_, _, _, offsets), *others) = weights.taps
    if others or len(offsets) > 1 or 1 not in (weights.step, weights.lane):
        return None
    by_columns = int(weights.step == 1)
    return Operand(0, weights.lane if by_columns else weights.step, by_columns)


def _blocks(pixels: int, panels: int, workers: int) -> tuple[int, int]:
    """Pixels and panels in a block, such that the workers end at about the same time."""
    if workers == 1 or pixels > MANY * workers * BLOCK:
        return BLOCK, panels

    def cost(block: int, share: int) -> float:
        """When the last worker ends. The unit is a row of one panel; weights come from L3, pixels from memory."""

        def of_item(rows: int) -> float:
            return share * (rows // TILE_ROWS * TILE_ROWS + rows % TILE_ROWS * 1.6 + 3) + rows * 0.3

        shares = -(-panels // share)
        items = pixels // block * shares
        ends = [(items + i) // workers * of_item(block) for i in range(workers)]
        if pixels % block:
            for _ in range(shares):
                ends[ends.index(min(ends))] += of_item(pixels % block)
        return max(ends)

    blocks = range(min(BLOCK, -(-pixels // TILE_ROWS) * TILE_ROWS), 0, -TILE_ROWS)
    shares = sorted({-(-panels // n) for n in (1, 2, workers, 4 * workers)}, reverse=True)
    return min(((block, share) for block in blocks for share in shares), key=lambda found: cost(*found))
