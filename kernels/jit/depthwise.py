"""Depthwise convolution: every channel has a filter of its own (``groups == C == K``). Any size, stride and dilation.

Nothing is reused between channels, so this is no matrix product: each output is a sum over the ``R S`` taps, the vector
lanes are channels, and the work is to read and to write memory once. It is organised in *runs*, stretches of a row of
outputs whose pixels have the same taps::

    y[q] = bias + sum over taps t of x[base + q * step + offset[t]] * w[t]

Inside the image a whole row is one run. Near the left and right border a pixel is a run of its own, with fewer taps,
and taps above or below the image are left out for the whole row; so nothing is padded or copied. Which taps an output
has is the same for all images and channels: tables, made once for a geometry.

The gradient with respect to the input is such a sum as well, over the outputs that a pixel took part in. With stride
``s``, every ``s``-th pixel of a row has the same taps, and these form a run. The gradient with respect to the weight
goes along the same runs and keeps the sums of 3x3 taps in registers.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from . import depthwise_rows
from .conv import Geometry
from .finish import NOTHING, Epilogue, Finish, Moments, finish, finish_of
from .parallel import parallel_for, threads
from .vector import LANES, Emitter, Int, Pointer, vector_kernel
from .workspace import Kept, address, prepared, workspace, zeros

Array = Any

PIXELS = 6
"""Outputs that are computed together, so that a weight is loaded once for all of them."""

SIDE = 3
"""A weight gradient sums SIDE x SIDE taps at a time: 9 registers."""

LONG = 16
"""Outputs in a line whose moments are worth a slot: it has 4 floats for each channel."""

GROUP = 16
"""Pixels that a weight gradient goes along before it turns to the next channels."""


def _over_channels(emit: Emitter, channels: Int, body: Any) -> None:
    """Emit ``body(c, mask)`` for whole vectors of channels (``mask`` is None), and once more for the rest."""
    whole = channels.quotient(LANES)

    def vector(i: Int, _: list) -> list:
        body(i * LANES, None)
        return []

    emit.loop(whole, [], vector)
    rest = channels - whole * LANES
    emit.choose(emit.minimum(rest, 1), {1: lambda: body(whole * LANES, emit.mask(rest))})


@vector_kernel
def _weighted_sums(
    emit: Emitter,
    x: Pointer,
    x_step: Int,
    weights: Pointer,
    taps: Int,
    count: Int,
    y: Pointer,
    y_step: Int,
    bias: Pointer,
    pixels: Int,
    channels: Int,
) -> None:
    """One run: ``y = bias + sum of taps``; ``taps`` tabulates the offsets of ``count`` pixels and weights."""

    def together(number: int, x: Pointer, y: Pointer) -> None:
        def some_channels(c: Int, mask: Any) -> None:
            def tap(t: Int, sums: list) -> list:
                source = x + (emit.int_in(taps, t * 2) + c)
                weight = (weights + (emit.int_in(taps, t * 2 + 1) + c)).load(mask)
                return [(source + x_step * i).load(mask) * weight + total for i, total in enumerate(sums)]

            start = (bias + c).load(mask)
            for i, total in enumerate(emit.loop(count, [start] * number, tap)):
                (y + (y_step * i + c)).store(total, mask)

        _over_channels(emit, channels, some_channels)

    def full(_: Int, values: list) -> list:
        x, y = values
        together(PIXELS, x, y)
        return [x + x_step * PIXELS, y + y_step * PIXELS]

    groups = pixels.quotient(PIXELS)
    x, y = emit.loop(groups, [x, y], full)
    cases = {n: lambda n=n: together(n, x, y) for n in range(1, PIXELS)}
    emit.choose(pixels - groups * PIXELS, cases)


@vector_kernel
def _sums_of_products(
    emit: Emitter,
    x: Pointer,
    x_step: Int,
    gy: Pointer,
    gy_step: Int,
    block: Int,
    sums: Pointer,
    pixels: Int,
    channels: Int,
) -> None:
    """One run of a weight gradient, for SIDE x SIDE taps.

    ``block`` is a table: the offsets of SIDE rows and of SIDE columns of x, then those of SIDE x SIDE rows of ``sums``.
    """
    rows = [x + emit.int_in(block, i) for i in range(SIDE)]
    columns = [emit.int_in(block, SIDE + i) for i in range(SIDE)]

    def some_channels(c: Int, mask: Any) -> None:
        places = [sums + (emit.int_in(block, 2 * SIDE + i) + c) for i in range(SIDE * SIDE)]

        def pixel(_: Int, values: list) -> list:
            corners, gradient, totals = values[:SIDE], values[SIDE], values[SIDE + 1 :]
            factor = gradient.load(mask)
            taps = [(corner + column).load(mask) for corner in corners for column in columns]
            new = [tap * factor + total for tap, total in zip(taps, totals, strict=True)]
            return [*(corner + x_step for corner in corners), gradient + gy_step, *new]

        start = [row + c for row in rows] + [gy + c] + [place.load(mask) for place in places]
        for place, total in zip(places, emit.loop(pixels, start, pixel)[SIDE + 1 :], strict=True):
            place.store(total, mask)

    _over_channels(emit, channels, some_channels)


class Runs(NamedTuple):
    """How the rows and columns of the output draw on those of the input; all tables are int64."""

    row_base: Array  # (rows,) first input row of each output row
    row_class: Array  # (rows,) its pattern of taps, or -1 if it has none
    runs: Array  # (runs, 5): first output column, step, number, first input column, step
    lists: Array  # (row classes, runs, 2): where the taps of a run begin in `taps`, and how many there are
    taps: Array  # (.., 2): offset in x relative to the first row and column, offset in the weights
    block_lists: Array  # (row classes, runs, 2): the same for `blocks`
    blocks: Array  # (.., 2 SIDE + SIDE SIDE): see _sums_of_products


def _axis(outputs: int, inputs: int, taps: int, stride: int, padding: int, dilation: int, transposed: bool) -> list:
    """For each output position its taps ``(input position, tap)``, input positions ascending."""
    if transposed:
        met = [
            [(*divmod(i + padding - t * dilation, stride), t) for t in reversed(range(taps))] for i in range(outputs)
        ]
        return [[(p, t) for p, rest, t in some if rest == 0 and 0 <= p < inputs] for some in met]
    reached = [[(i * stride + t * dilation - padding, t) for t in range(taps)] for i in range(outputs)]
    return [[(p, t) for p, t in some if 0 <= p < inputs] for some in reached]


def _pattern(met: list) -> tuple:
    return tuple((p - met[0][0], t) for p, t in met)


@functools.lru_cache(maxsize=256)
def _runs(output: tuple, image: tuple, window: tuple, conv: Geometry, channels: int, transposed: bool) -> Runs:
    """Find the runs of a geometry."""
    rows, columns = (
        _axis(*sizes, transposed)
        for sizes in zip(output, image, window, conv.stride, conv.padding, conv.dilation, strict=True)
    )
    patterns = sorted({_pattern(met) for met in rows if met})
    row_class = [patterns.index(_pattern(met)) if met else -1 for met in rows]
    row_base = [met[0][0] if met else 0 for met in rows]

    step = conv.stride[1] if transposed else 1
    runs: list[list[int]] = []
    run_patterns: list[tuple] = []
    for first in range(step):
        for i in range(first, output[1], step):
            met = columns[i]
            pattern = _pattern(met) if met else ()
            if i != first and run_patterns[-1] == pattern:
                runs[-1][2] += 1
            else:
                base = met[0][0] if met else 0
                runs.append([i, step, 1, base, 1 if transposed else conv.stride[1]])
                run_patterns.append(pattern)

    taps, lists, blocks, block_lists = [], [], [], []
    for down in patterns:
        for across in run_patterns:
            at = len(taps)
            taps += [
                ((h * image[1] + w) * channels, (r * window[1] + s) * channels) for h, r in down for w, s in across
            ]
            lists.append((at, len(taps) - at))
            at = len(blocks)
            if across:
                blocks += _blocks(dict(_flip(down)), dict(_flip(across)), image[1], window, channels)
            block_lists.append((at, len(blocks) - at))
    shape = (len(patterns), len(runs), 2)
    return Runs(
        _table(row_base),
        _table(row_class),
        _table(runs).reshape(-1, 5),
        _table(lists).reshape(shape),
        _table(taps).reshape(-1, 2),
        _table(block_lists).reshape(shape),
        _table(blocks).reshape(-1, 2 * SIDE + SIDE * SIDE),
    )


def _table(rows: Any) -> Array:
    return np.array(rows, np.int64)


def _flip(pattern: tuple) -> list:
    return [(t, p) for p, t in pattern]


def _blocks(down: dict, across: dict, width: int, window: tuple, channels: int) -> list:
    """Cover the taps with SIDE x SIDE blocks; where there is no tap, another's pixels are summed into a void."""
    found = []
    for r in range(0, window[0], SIDE):
        for s in range(0, window[1], SIDE):
            rows, columns = ([taps.get(first + i) for i in range(SIDE)] for taps, first in ((down, r), (across, s)))
            if any(p is not None for p in rows) and any(p is not None for p in columns):
                some_row, some_column = (next(p for p in side if p is not None) for side in (rows, columns))
                void = window[0] * window[1]
                sums = [
                    void if h is None or w is None else (r + i) * window[1] + s + j
                    for i, h in enumerate(rows)
                    for j, w in enumerate(columns)
                ]
                row_offsets = [(some_row if h is None else h) * width * channels for h in rows]
                column_offsets = [(some_column if w is None else w) * channels for w in columns]
                found.append((*row_offsets, *column_offsets, *(i * channels for i in sums)))
    return found


class Images(NamedTuple):
    """The two images ``(N, height, width, channels)``. Addresses in bytes."""

    x: int
    x_height: int
    x_width: int
    y: int
    y_height: int
    y_width: int
    channels: int


def _images(x: Array, y: Array) -> Images:
    return Images(address(x), *x.shape[1:3], address(y), *y.shape[1:])


@parallel_for
def _sum_row(task, images, weights, bias, ending, row_base, row_class, runs, lists, taps):
    """One row of outputs of one image."""
    x, height, width, y, y_height, y_width, channels = images
    n, p = divmod(task, y_height)
    for i in range(runs.shape[0]):
        first, step, count, base, x_step = runs[i, 0], runs[i, 1], runs[i, 2], runs[i, 3], runs[i, 4]
        start, number, source_row = 0, 0, 0
        if row_class[p] >= 0:
            start, number, source_row = lists[row_class[p], i, 0], lists[row_class[p], i, 1], row_base[p]
        _weighted_sums(
            x + 4 * ((n * height + source_row) * width + base) * channels,
            x_step * channels,
            weights,
            taps.ctypes.data + 16 * start,
            number,
            y + 4 * (task * y_width + first) * channels,
            step * channels,
            bias,
            count,
            channels,
        )
    place = y + 4 * task * y_width * channels
    finish(ending, place, channels, place, channels, 0, channels, y_width, task, 0)


@parallel_for
def _sum_rows_of_products(task, images, rows, parts, row_base, row_class, runs, lists, blocks):
    """One part of a weight gradient: some of all rows of outputs."""
    x, height, width, gy, gy_height, gy_width, channels = images
    sums = parts[task]
    sums[:] = 0
    for row in range(rows * task // parts.shape[0], rows * (task + 1) // parts.shape[0]):
        n, p = divmod(row, gy_height)
        if row_class[p] < 0:
            continue
        for i in range(runs.shape[0]):
            first, count, base, x_step = runs[i, 0], runs[i, 2], runs[i, 3], runs[i, 4]
            start, number = lists[row_class[p], i, 0], lists[row_class[p], i, 1]
            source = x + 4 * ((n * height + row_base[p]) * width + base) * channels
            gradient = gy + 4 * (row * gy_width + first) * channels
            for done in range(0, count, GROUP):
                for block in range(start, start + number):
                    _sums_of_products(
                        source + 4 * done * x_step * channels,
                        x_step * channels,
                        gradient + 4 * done * channels,
                        channels,
                        blocks.ctypes.data + 8 * block * blocks.shape[1],
                        sums.ctypes.data,
                        min(GROUP, count - done),
                        channels,
                    )


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
    shift = zeros(y.shape[3]) if bias is None else address(bias)
    ending = finish_of(y, epilogue, len(y) * y.shape[1])
    weights, window = _by_tap(w, kept), w.shape[2:]
    if depthwise_rows.serves(window, conv):
        depthwise_rows.sums(x, weights, shift, ending, y, window, conv)
    else:
        _sum(x, weights, shift, ending, y, window, conv, False)


def measures(w: Array, y_shape: tuple[int, ...], conv: Geometry) -> bool:
    """Whether :func:`fprop` can take moments: a line is a slot, and should be long enough."""
    return y_shape[3] >= LONG


def dgrad(gy: Array, w: Array, gx: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the input into ``gx``."""
    shift, window = zeros(gx.shape[3]), w.shape[2:]
    turned = Geometry((1, 1), tuple(size - 1 - p for size, p in zip(window, conv.padding, strict=True)))
    if conv.stride == (1, 1) == conv.dilation and depthwise_rows.serves(window, turned):
        depthwise_rows.sums(gy, _by_tap(w[:, :, ::-1, ::-1]), shift, NOTHING, gx, window, turned)
    else:
        _sum(gy, _by_tap(w), shift, NOTHING, gx, window, conv, True)


def _by_tap(w: Array, kept: Kept | None = None) -> Array:
    """Weights ``(C, 1, R, S)`` as ``(R S, C)``."""

    def fill(weights: Array) -> None:
        weights[...] = w.reshape(len(w), -1).T

    return prepared("weights", (w[0].size, len(w)), fill, kept, "by tap")


def _sum(
    x: Array, weights: Array, bias: int, ending: Finish, y: Array, window: tuple, conv: Geometry, transposed: bool
) -> None:
    tables = _runs(y.shape[1:3], x.shape[1:3], window, conv, x.shape[3], transposed)
    _sum_row(y.shape[0] * y.shape[1], _images(x, y), address(weights), bias, ending, *tables[:5])


def wgrad(gy: Array, x: Array, gw: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the weight into ``gw``."""
    c, _, r, s = gw.shape
    rows = gy.shape[0] * gy.shape[1]
    parts = workspace("parts", min(4 * threads(), rows), r * s + 1, c)
    if depthwise_rows.serves((r, s), conv):
        depthwise_rows.products(gy, x, parts, (r, s), conv)
    else:
        tables = _runs(gy.shape[1:3], x.shape[1:3], (r, s), conv, c, False)
        _sum_rows_of_products(len(parts), _images(x, gy), rows, parts, *tables[:3], *tables[5:])
    gw[...] = parts[:, : r * s].sum(0).T.reshape(gw.shape)
