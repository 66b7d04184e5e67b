"""The arithmetic of Winograd's convolution F(4x4, 3x3), on vectors of channels.

A 3x3 convolution spends 9 multiplications on each output, so 144 on a tile of 4x4. Convolving is multiplying
polynomials: a filter of 3 weights and a gradient of 4 outputs have a product of degree 5, which is determined by its
values at 6 points, and values are multiplied point by point: 6 multiplications in place of 12, and 36 in place of 144
for both dimensions. A correlation is the transpose of that, with the same 6. Getting to the values and back costs
additions and multiplications by constants, once for each pixel and channel, whereas the multiplications are done for
each *pair* of channels. With the points 0, 1, -1, 2, -2 and infinity (Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", 2016)::

    fprop   y  = A^T [ (G w G^T) * (B^T x B) ] A        x: 6x6 pixels, y: 4x4, w: 3x3, * point by point
    wgrad   gw = G^T [ (A gy A^T) * (B^T x B) ] G       the transpose of the above

Summed over channels, each of the 36 points is a matrix product: that is where the time goes, in :mod:`.winograd`.

Below ``B^T``, ``A^T``, ``A``, ``G`` and ``G^T`` are written as formulas on lists of vectors, with common subexpressions
shared, and applied to the columns and then to the rows of a tile. All 36 points of ``LANES`` channels pass through
registers. The differences of large values cost some precision: the relative error of a layer is 1e-6 .. 5e-6, where a
direct sum has 2e-7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .vector import LANES, Emitter, Int, Pointer, Vec, transposed, vector_kernel

OUTPUT, INPUT, FILTER = 4, 6, 3
POINTS = INPUT * INPUT

Formula = Callable[[list[Vec]], list[Vec]]


def input_values(d: list[Vec]) -> list[Vec]:
    """``B^T``: the values of 6 pixels at the 6 points."""
    a, b, c, e = d[4] - 4 * d[2], d[3] - 4 * d[1], d[4] - d[2], d[3] - d[1]
    return [4 * d[0] + (d[4] - 5 * d[2]), a + b, a - b, c + 2 * e, c - 2 * e, 4 * d[1] + (d[5] - 5 * d[3])]


def output_pixels(m: list[Vec]) -> list[Vec]:
    """``A^T``: 4 outputs from the 6 products."""
    s, t, u, v = m[1] + m[2], m[3] + m[4], m[1] - m[2], m[3] - m[4]
    return [m[0] + s + t, u + 2 * v, s + 4 * t, u + 8 * v + m[5]]


def gradient_values(y: list[Vec]) -> list[Vec]:
    """``A``: the values of 4 output gradients."""
    s, t, u, v = y[0] + y[2], y[1] + y[3], y[0] + 4 * y[2], 2 * y[1] + 8 * y[3]
    return [y[0], s + t, s - t, u + v, u - v, y[3]]


def filter_values(w: list[Vec]) -> list[Vec]:
    """``G``: the values of 3 weights."""
    s, u = w[0] + w[2], w[0] + 4 * w[2]
    return [
        0.25 * w[0],
        (-1 / 6) * (s + w[1]),
        (-1 / 6) * (s - w[1]),
        (1 / 24) * (u + 2 * w[1]),
        (1 / 24) * (u - 2 * w[1]),
        w[2],
    ]


def filter_gradients(u: list[Vec]) -> list[Vec]:
    """``G^T``: the gradients of 3 weights from the 6 products."""
    s, t, p, q = u[1] + u[2], u[1] - u[2], u[3] + u[4], u[3] - u[4]
    return [0.25 * u[0] + (1 / 24) * p - (1 / 6) * s, (1 / 12) * q - (1 / 6) * t, (1 / 6) * (p - s) + u[5]]


def _both_ways(formula: Formula, tile: list[list[Vec]]) -> list[Vec]:
    """The formula on each column, then on each row."""
    half = zip(*[formula(list(column)) for column in zip(*tile, strict=True)], strict=True)
    return [value for row in half for value in formula(list(row))]


def _tile_inside(formula: Formula, size: int) -> Any:
    @vector_kernel
    def values_inside(emit: Emitter, pixels: Pointer, row: Int, column: Int, to: Pointer, apart: Int) -> None:
        """Transform a tile that lies wholly in the image; store the points ``apart`` floats from each other."""
        tile = [[(pixels + row * i + column * j).load() for j in range(size)] for i in range(size)]
        for k, value in enumerate(_both_ways(formula, tile)):
            (to + apart * k).store(value)

    return values_inside


def _tile_at_border(formula: Formula, size: int) -> Any:
    @vector_kernel
    def values_at_border(emit: Emitter, table: Int, channel: Int, channels: Int, to: Pointer, apart: Int) -> None:
        """The same for a tile given by a table of addresses, one for each pixel, and for fewer channels than lanes."""
        mask = emit.mask(channels)
        tile = [[(emit.address_in(table, size * i + j) + channel).load(mask) for j in range(size)] for i in range(size)]
        for k, value in enumerate(_both_ways(formula, tile)):
            (to + apart * k).store(value)

    return values_at_border


input_tile_inside, input_tile_at_border = _tile_inside(input_values, INPUT), _tile_at_border(input_values, INPUT)
gradient_tile_inside = _tile_inside(gradient_values, OUTPUT)
gradient_tile_at_border = _tile_at_border(gradient_values, OUTPUT)


def _output_tile(products: Pointer, apart: Int, bias: Pointer) -> list[Vec]:
    shift = bias.load()
    points = [[(products + apart * (INPUT * i + j)).load() for j in range(INPUT)] for i in range(INPUT)]
    return [pixel + shift for pixel in _both_ways(output_pixels, points)]


@vector_kernel
def output_tile_inside(
    emit: Emitter, products: Pointer, apart: Int, bias: Pointer, pixels: Pointer, row: Int, column: Int
) -> None:
    """4x4 pixels ``y + bias`` from the 36 products, for a tile that lies wholly in the image."""
    for k, pixel in enumerate(_output_tile(products, apart, bias)):
        (pixels + row * (k // OUTPUT) + column * (k % OUTPUT)).store(pixel)


@vector_kernel
def output_tile_at_border(
    emit: Emitter,
    products: Pointer,
    apart: Int,
    bias: Pointer,
    table: Int,
    channel: Int,
    channels: Int,
) -> None:
    """The same to the addresses in a table, and for fewer channels than lanes."""
    mask = emit.mask(channels)
    for k, pixel in enumerate(_output_tile(products, apart, bias)):
        (emit.address_in(table, k) + channel).store(pixel, mask)


@vector_kernel
def filter_tile(emit: Emitter, weights: Pointer, lane: Int, turned: Int, to: Pointer, apart: Int) -> None:
    """The values of ``LANES`` filters that lie ``lane`` floats apart, or of the filters turned round by 180 degrees."""
    taps: list[Vec] = []
    for first in range(0, FILTER * FILTER, LANES):  # a vector of each filter at a time, transposed
        count = min(LANES, FILTER * FILTER - first)
        mask = None if count == LANES else emit.mask(emit.int(count))
        taps += transposed([(weights + lane * i + first).load(mask) for i in range(LANES)])[:count]

    def transform(taps: list[Vec]) -> None:
        tile = [taps[FILTER * i : FILTER * i + FILTER] for i in range(FILTER)]
        for k, value in enumerate(_both_ways(filter_values, tile)):
            (to + apart * k).store(value)

    emit.choose(turned, {0: lambda: transform(taps), 1: lambda: transform(taps[::-1])})


@vector_kernel
def filter_gradient_tile(emit: Emitter, products: Pointer, apart: Int, to: Pointer, lane: Int) -> None:
    """The gradients of ``LANES`` filters, ``lane`` floats apart, from the 36 products."""
    points = [[(products + apart * (INPUT * i + j)).load() for j in range(INPUT)] for i in range(INPUT)]
    for k, gradient in enumerate(_both_ways(filter_gradients, points)):
        (to + k).scatter(gradient, lane)
