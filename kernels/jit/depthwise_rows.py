"""Depthwise windows without gaps: 3, 5 or 7 neighbouring columns, at stride 1 or 2, half of which may leave the image.

The general sums of :mod:`.depthwise` take a tap at a time from a table, and load a pixel once for each of its taps.
Here a row of taps is unrolled: its weights and the sums of ``PIXELS`` neighbouring outputs stay in registers, and a
pixel that was loaded serves every output that it is a tap of. With 3 taps these are 13 loads for 24 multiply-adds,
where one tap at a time takes 27::

    for each row of taps:
        for j in range((PIXELS - 1) * stride + size):
            pixel = x[row, column + j]
            y[i] += pixel * w[row, j - i * stride]      for every i that has this tap

A column outside the image is read from a row of zeros, for the price of choosing an address; rows outside are left
out. The gradient with respect to the input at stride 1 is the same sum, with the filter turned round. The one with
respect to the weight keeps the gradients of the outputs in registers and sums over them, a row of taps at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from .conv import Geometry
from .finish import Finish, finish, finishing
from .parallel import parallel_for
from .rows import fence, stream_rows
from .vector import LANES, Emitter, Int, Pointer, Vec, vector_kernel
from .workspace import address, streams, zeros

Array = Any

SIZES, STRIDES = (3, 5, 7), (1, 2)

PIXELS = 8
"""Neighbouring outputs: with 3 weights and a pixel they take 12 of AVX2's 16 registers."""


class Row(NamedTuple):
    """The pixels under neighbouring windows in one row of the image; those at its ends may be outside."""

    pixels: list[Pointer]
    steps: list[Int]  # from each to the one below it, in floats

    def below(self, pixels: list[Pointer]) -> list[Pointer]:
        return [pixel + step for pixel, step in zip(pixels, self.steps, strict=True)]


def _row(
    emit: Emitter, x: Pointer, channels: Int, row: Int, size: int, columns: int, left: Int, right: Int, void: Pointer
) -> Row:
    """``columns`` pixels from ``x`` on, of which the first ``left`` and the last ``right`` are outside the image.

    At most half a window can be, so that the middle ones are ``x`` and its neighbours: no address of their own.
    """
    stay, half = emit.int(0), size // 2
    pixels, steps = [x], [row]
    for outside, places in ((left, range(half)), (right, range(columns - 1, columns - 1 - half, -1))):
        for depth, j in enumerate(places):
            pixels.append(emit.where(outside, depth, void, x + channels * j))
            steps.append(emit.where(outside, depth, stay, row))
    return Row(pixels, steps)


def _pixel(pixels: list[Pointer], channels: Int, size: int, columns: int, j: int) -> Pointer:
    half = size // 2
    if j < half:
        return pixels[1 + j]
    return pixels[1 + half + columns - 1 - j] if j >= columns - half else pixels[0] + channels * j


def _ask(ahead: Pointer, row: Int, channels: Int, skipped: Int, number: int, stride: int) -> None:
    """Ask for what ``number`` outputs see first of ``stride`` rows, beginning ``skipped`` pixels from ``ahead``.

    The sums go through memory in steps that the hardware does not foresee. Asked for a row at once, memory and
    arithmetic would take turns: 40 cycles a vector of outputs in place of 20.
    """
    for r in range(stride):
        for i in range(number * stride):
            (ahead + row * r + channels * (skipped + i)).prefetch(2)


def _over_channels(emit: Emitter, pixels: Int, channels: Int, body: Any) -> None:
    """Emit ``body(number, first pixel, c, mask)`` for vectors of channels of ``pixels`` pixels, at most ``PIXELS``.

    The channels that are left over, fewer than a vector, take one pixel at a time: code is only made for one.
    """
    whole = channels.quotient(LANES)

    def together(number: int) -> None:
        def vector(i: Int, _: list) -> list:
            body(number, emit.int(0), i * LANES, None)
            return []

        emit.loop(whole, [], vector)

    def rest() -> None:
        mask = emit.mask(channels - whole * LANES)

        def pixel(i: Int, _: list) -> list:
            body(1, i, whole * LANES, mask)
            return []

        emit.loop(pixels, [], pixel)

    emit.choose(pixels, {n: lambda n=n: together(n) for n in range(1, PIXELS + 1)})
    emit.choose(emit.minimum(channels - whole * LANES, 1), {1: rest})


def _weighted_sums(size: int, stride: int) -> Any:
    @vector_kernel
    def weighted_sums(
        emit: Emitter,
        x: Pointer,
        row: Int,
        left: Int,
        right: Int,
        void: Pointer,
        weights: Pointer,
        rows: Int,
        y: Pointer,
        bias: Pointer,
        pixels: Int,
        channels: Int,
        ahead: Pointer,
        ends: Int,
        factors: Pointer,
        factors_row: Int,
        limits: Pointer,
    ) -> None:
        """``y = bias + sums`` over ``rows`` rows of taps, for ``pixels`` neighbouring outputs.

        Meanwhile as many pixels of the next ``stride`` rows, from ``ahead`` on, are asked for. With ``ends`` 1, each
        sum is finished as by :func:`.finish.finish` while it is in a register.
        """

        def body(number: int, first: Int, c: Int, mask: Any) -> None:
            columns = (number - 1) * stride + size
            skipped = first * stride
            beyond = right - (pixels - number - first) * stride
            corner = x + (channels * skipped + c)
            under = _row(emit, corner, channels, row, size, columns, left - skipped, beyond, void)

            def taps(_: Int, values: list) -> list:
                w, source, sums = values[0], values[1 : size + 1], values[size + 1 :]
                factors = [(w + channels * s).load(mask) for s in range(size)]
                for j in range(columns):
                    pixel = _pixel(source, channels, size, columns, j).load(mask)
                    for i in range(number):
                        if 0 <= j - i * stride < size:
                            sums[i] = pixel * factors[j - i * stride] + sums[i]
                return [w + channels * size, *under.below(source), *sums]

            _ask(ahead + c, row, channels, skipped, number, stride)
            start = (bias + c).load(mask)
            sums = emit.loop(rows, [weights + c, *under.pixels, *[start] * number], taps)[size + 1 :]
            places = [y + (channels * (first + i) + c) for i in range(number)]

            def put(last: Callable[[Vec], Vec]) -> None:
                for place, total in zip(places, sums, strict=True):
                    place.store(last(total), mask)

            cases = {0: lambda: put(lambda total: total)}
            cases[1] = lambda: put(finishing(factors + c, factors_row, limits, mask))
            emit.choose(ends, cases)

        _over_channels(emit, pixels, channels, body)

    return weighted_sums


def _sums_of_products(size: int, stride: int) -> Any:
    chains = 2 if size == 3 else 1  # of multiply-adds a tap: each waits for the one before it

    @vector_kernel
    def sums_of_products(
        emit: Emitter,
        x: Pointer,
        row: Int,
        left: Int,
        right: Int,
        void: Pointer,
        gy: Pointer,
        rows: Int,
        sums: Pointer,
        pixels: Int,
        channels: Int,
        ahead: Pointer,
        ahead_gy: Pointer,
    ) -> None:
        """Add ``pixels`` neighbouring outputs' share to the gradient of ``rows`` rows of taps.

        Meanwhile what the next row of outputs needs is asked for, of ``gy`` as many pixels.
        """

        def body(number: int, first: Int, c: Int, mask: Any) -> None:
            columns = (number - 1) * stride + size
            skipped = first * stride
            beyond = right - (pixels - number - first) * stride
            corner = x + (channels * skipped + c)
            under = _row(emit, corner, channels, row, size, columns, left - skipped, beyond, void)
            _ask(ahead + c, row, channels, skipped, number, stride)
            for i in range(number):
                (ahead_gy + (channels * (first + i) + c)).prefetch(2)
            gradients = [(gy + (channels * (first + i) + c)).load(mask) for i in range(number)]

            def taps(_: Int, values: list) -> list:
                place, source = values[0], values[1:]
                totals = [[emit.zero()] * (chains - 1) + [(place + channels * s).load(mask)] for s in range(size)]
                for j in range(columns):
                    pixel = _pixel(source, channels, size, columns, j).load(mask)
                    for i in range(number):
                        s = j - i * stride
                        if 0 <= s < size:
                            totals[s][i % chains] = pixel * gradients[i] + totals[s][i % chains]
                for s, some in enumerate(totals):
                    (place + channels * s).store(sum(some[1:], some[0]), mask)
                return [place + channels * size, *under.below(source)]

            emit.loop(rows, [sums + c, *under.pixels], taps)

        _over_channels(emit, pixels, channels, body)

    return sums_of_products


class Images(NamedTuple):
    """The input ``(N, height, width, C)``, the output ``(N, rows, columns, C)`` and the windows. Addresses in bytes."""

    x: int
    height: int
    width: int
    y: int
    rows: int
    columns: int
    channels: int
    taps: tuple[int, int]  # rows and columns of a window
    stride: tuple[int, int]
    padding: tuple[int, int]
    void: int  # zeros
    streams: int  # whether y is written past the caches


def _images(x: Array, y: Array, window: tuple[int, int], conv: Geometry) -> Images:
    void = zeros(x.shape[3])
    geometry = window, conv.stride, conv.padding
    return Images(address(x), *x.shape[1:3], address(y), *y.shape[1:], *geometry, void, streams(y))


def _sum_row(task, p, weights, bias, ending):
    """One row of outputs of one image."""
    p, ending = Images(*p), Finish(*ending)
    n, line = divmod(task, p.rows)
    top, row = line * p.stride[0] - p.padding[0], p.width * p.channels
    first, end = max(0, -top), min(p.taps[0], p.height - top)
    aside = np.empty(PIXELS * p.channels if p.streams else 0, np.float32)
    ends = int(ending.wanted and not ending.residual)
    for column in range(0, p.columns, PIXELS):
        number = min(PIXELS, p.columns - column)
        left = column * p.stride[1] - p.padding[1]
        place = p.y + 4 * (task * p.columns + column) * p.channels
        values = aside.ctypes.data if p.streams else place
        weighted_sums(  # noqa: F821 - a global of each copy, see _specialised
            p.x + 4 * ((n * p.height + top + first) * row + left * p.channels),
            row,
            -left,
            left + (number - 1) * p.stride[1] + p.taps[1] - p.width,
            p.void,
            weights + 4 * first * p.taps[1] * p.channels,
            end - first,
            values,
            bias,
            number,
            p.channels,
            p.x + 4 * ((n * p.height + top + p.taps[0]) * row + max(left, 0) * p.channels),
            ends,
            ending.factors,
            ending.factors_row,
            ending.limits,
        )
        if not ends:
            finish(ending, values, p.channels, place, p.channels, 0, p.channels, number, task, column)
        if p.streams:
            stream_rows(place, p.channels, values, p.channels, p.channels, number)
    if p.streams:
        fence()


def _sum_rows_of_products(task, p, lines, parts):
    """One part of a weight gradient: some of all rows of outputs."""
    p = Images(*p)
    sums, row = parts[task], p.width * p.channels
    sums[:] = 0
    for item in range(lines * task // parts.shape[0], lines * (task + 1) // parts.shape[0]):
        n, line = divmod(item, p.rows)
        top = line * p.stride[0] - p.padding[0]
        first, end = max(0, -top), min(p.taps[0], p.height - top)
        for column in range(0, p.columns, PIXELS):
            number = min(PIXELS, p.columns - column)
            left = column * p.stride[1] - p.padding[1]
            sums_of_products(  # noqa: F821 - as above
                p.x + 4 * ((n * p.height + top + first) * row + left * p.channels),
                row,
                -left,
                left + (number - 1) * p.stride[1] + p.taps[1] - p.width,
                p.void,
                p.y + 4 * (item * p.columns + column) * p.channels,
                end - first,
                sums.ctypes.data + 4 * first * p.taps[1] * p.channels,
                number,
                p.channels,
                p.x + 4 * ((n * p.height + top + p.taps[0]) * row + max(left, 0) * p.channels),
                p.y + 4 * ((item + 1) * p.columns + column) * p.channels,
            )


def _specialised(task: Any, word: Any, size: int, stride: int) -> Any:
    """A kernel of the task for windows of ``size`` columns, with a name of its own; it compiles when it is called."""
    made = word(size, stride)
    copy = FunctionType(task.__code__, {**globals(), made.__name__: made}, f"{task.__name__}_{size}_{stride}")
    copy.__qualname__ = copy.__name__
    return parallel_for(copy)


_KINDS = [(size, stride) for size in SIZES for stride in STRIDES]
_sum = {kind: _specialised(_sum_row, _weighted_sums, *kind) for kind in _KINDS}
_sum_products = {kind: _specialised(_sum_rows_of_products, _sums_of_products, *kind) for kind in _KINDS}


def serves(window: tuple[int, int], conv: Geometry) -> bool:
    """Whether there is a kernel for windows of this size, and the middle column of each lies in the image."""
    size, padding, stride = window[1], conv.padding[1], conv.stride[1]
    return size in SIZES and stride in STRIDES and conv.dilation == (1, 1) and padding <= size // 2


def sums(x: Array, weights: Array, bias: int, ending: Any, y: Array, window: tuple[int, int], conv: Geometry) -> None:
    """Fill and finish ``y (N, P, Q, C)``; ``weights`` are ``(R S, C)``, the bias is given by its address."""
    kernel = _sum[window[1], conv.stride[1]]
    images = tuple(_images(x, y, window, conv))
    kernel(y.shape[0] * y.shape[1], images, address(weights), bias, tuple(ending))


def products(gy: Array, x: Array, parts: Array, window: tuple[int, int], conv: Geometry) -> None:
    """Fill ``parts (.., R S, C)`` with gradients of the weights, each summed over some rows of outputs."""
    kernel = _sum_products[window[1], conv.stride[1]]
    kernel(len(parts), tuple(_images(x, gy, window, conv)), gy.shape[0] * gy.shape[1], parts)
