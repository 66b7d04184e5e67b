"""The arithmetic of Winograd's convolutions with 3x3 filters: which sums to multiply, in one dimension.

A filter of 3 weights spends 9 multiplications on each output, so 144 on a tile of 4x4. Convolving is multiplying
polynomials: a filter of 3 weights and a gradient of 4 outputs have a product of degree 5, which is determined by its
values at 6 points, and values are multiplied point by point: 6 multiplications in place of 12, and 36 in place of 144
for both dimensions. A correlation is the transpose of that, with the same 6. Getting to the values and back costs
additions and multiplications by constants, once for each pixel and channel, whereas the multiplications are done for
each *pair* of channels. (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016)::

    fprop   y  = A^T [ (G w G^T) * (B^T x B) ] A        * point by point
    wgrad   gw = G^T [ (A gy A^T) * (B^T x B) ] G       the transpose of the above

Here ``B^T``, ``A^T``, ``A``, ``G`` and ``G^T`` are formulas on lists of vectors, with common subexpressions shared;
they are applied to the columns and then to the rows of a tile. Summed over channels, each point is a matrix product:
that is where the time goes, in :mod:`.winograd`. The schemes, and what a direct sum has in place of their points:

================= ============ ======== ======= ==============================================================
scheme            tile of x    points   tile of y
================= ============ ======== ======= ==============================================================
``F4``            6x6          36       4x4     144: the points 0, 1, -1, 2, -2 and infinity
``F5``            7x7          49       5x5     225: 0, 1, -1, 1/2, -1/2, 2 and infinity; for sides of 5, 10, 14, ...
``F2``            4x4          16       2x2     36: 0, 1, -1, infinity; where a side has one or two
``STRIDED4``      9x9          81       4x4     144: stride 2; 0, 1, -1, 2, infinity for every other pixel
``STRIDED2``      5x5          25       2x2     36: stride 2; 0, 1, infinity
``STRIDED4_BACK`` 5x5 of gy    81       8x8     its gradient: 2.25 weights meet a pixel in the mean, so 144 in all
``STRIDED2_BACK`` 3x3 of gy    25       4x4     36
``PAIRS``         2x2          9        2x2     16: an image of two pixels each way, with a zero around it
================= ============ ======== ======= ==============================================================

With stride 2, every other pixel meets two weights, ``w0`` and ``w2``, and those between meet ``w1`` alone: a sum of two
correlations with stride 1, of which the second needs no transform. Its points share one value of the filter.

An image of two pixels meets the middle weight twice, ``y = (w1 x0 + w2 x1, w0 x0 + w1 x1)``, so 3 multiplications do
for 4: ``w1 (x0 + x1)`` is part of both results.

The differences of large values cost some precision: the relative error of a layer is 1e-6 .. 5e-6 with ``F4``, with the
others hardly more than the 2e-7 of a direct sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from .vector import Vec

Formula = Callable[[list[Vec]], list[Vec]]


class Transform(NamedTuple):
    """A formula, and which of its results to make at the same time.

    A tile of 6x6 vectors does not fit into registers. So a row or two of it are finished at a time, from all columns:
    those rows that share sums. Values are loaded again for the next rows, which costs less than to put aside and to
    take back what a transform of the whole tile has half done.
    """

    formula: Formula
    groups: tuple[tuple[int, ...], ...]


def _by_groups(*groups: tuple[int, ...]) -> Callable[[Formula], Transform]:
    return lambda formula: Transform(formula, groups)


FILTER = 3
"""Weights each way."""


class Scheme(NamedTuple):
    """A way to convolve; numbers are those of one dimension."""

    name: str
    pixels: int  # of x in a tile
    step: int  # pixels of x from one tile to the next
    points: int
    outputs: int  # pixels of y in a tile
    values: Transform  # B^T
    results: Transform  # A^T
    filter_values: Transform  # G
    gradient_values: Transform | None = None  # A
    filter_gradients: Transform | None = None  # G^T
    filters: int = 0  # values of a filter, if less than points: the last is that of all further points


@_by_groups((0,), (1, 2), (3, 4), (5,))
def _f4_values(d: list[Vec]) -> list[Vec]:
    a, b, c, e = d[4] - 4 * d[2], d[3] - 4 * d[1], d[4] - d[2], d[3] - d[1]
    return [4 * (d[0] - d[2]) + c, a + b, a - b, e.times(2, c), e.times(-2, c), (d[5] - d[3]) - 4 * e]


@_by_groups((0, 2), (1, 3))
def _f4_results(m: list[Vec]) -> list[Vec]:
    s, t, u, v = m[1] + m[2], m[3] + m[4], m[1] - m[2], m[3] - m[4]
    return [m[0] + s + t, v.times(2, u), s + 4 * t, u + 8 * v + m[5]]


@_by_groups((0, 5), (1, 2), (3, 4))
def _f4_gradient_values(y: list[Vec]) -> list[Vec]:
    s, t, u, v = y[0] + y[2], y[1] + y[3], y[0] + 4 * y[2], y[1] + 4 * y[3]
    return [y[0], s + t, s - t, v.times(2, u), v.times(-2, u), y[3]]


@_by_groups((0, 5), (1, 2), (3, 4))
def _f4_filter_values(w: list[Vec]) -> list[Vec]:
    s, u = w[0] + w[2], w[0] + 4 * w[2]
    return [
        0.25 * w[0],
        (-1 / 6) * (s + w[1]),
        (-1 / 6) * (s - w[1]),
        (1 / 24) * (u + 2 * w[1]),
        (1 / 24) * (u - 2 * w[1]),
        w[2],
    ]


@_by_groups((0, 2), (1,))
def _f4_filter_gradients(u: list[Vec]) -> list[Vec]:
    s, t, p, q = u[1] + u[2], u[1] - u[2], u[3] + u[4], u[3] - u[4]
    return [0.25 * u[0] + (1 / 24) * p - (1 / 6) * s, (1 / 12) * q - (1 / 6) * t, (1 / 6) * (p - s) + u[5]]


@_by_groups((0,), (1, 2), (3, 4), (5,), (6,))
def _f5_values(d: list[Vec]) -> list[Vec]:
    z = [following - 2 * this for this, following in itertools.pairwise(d)]  # the factor of the point 2
    a, b, c, e = z[4] - 0.25 * z[2], z[3] - 0.25 * z[1], z[4] - z[2], z[3] - z[1]
    zero, two, infinity = [0.25 * v[0] - 1.25 * v[2] + v[4] for v in (z, d[1:], z[1:])]
    return [zero, a + b, a - b, e.times(0.5, c), e.times(-0.5, c), two, infinity]


@_by_groups((0, 2), (1, 3), (4,))
def _f5_results(m: list[Vec]) -> list[Vec]:
    s, t, u, v, q = m[1] + m[2], m[3] + m[4], m[1] - m[2], m[3] - m[4], m[5]
    return [
        m[0] + s + t + q,
        v.times(0.5, u) + 2 * q,
        s + 0.25 * t + 4 * q,
        u + 0.125 * v + 8 * q,
        s + 0.0625 * t + 16 * q + m[6],
    ]


@_by_groups((0, 6), (1, 2), (3, 4), (5,))
def _f5_gradient_values(y: list[Vec]) -> list[Vec]:
    s, t = y[0] + y[2] + y[4], y[1] + y[3]
    u, v = y[0] + 0.25 * y[2] + 0.0625 * y[4], y[1] + 0.25 * y[3]
    two = y[0] + 4 * y[2] + 16 * y[4] + 2 * (y[1] + 4 * y[3])
    return [y[0], s + t, s - t, v.times(0.5, u), v.times(-0.5, u), two, y[4]]


@_by_groups((0, 6), (1, 2), (3, 4), (5,))
def _f5_filter_values(w: list[Vec]) -> list[Vec]:
    s, u = w[0] + w[2], w[0] + 0.25 * w[2]
    return [
        -2 * w[0],
        (-2 / 3) * (s + w[1]),
        (-2 / 9) * (s - w[1]),
        (16 / 9) * (u + 0.5 * w[1]),
        (16 / 15) * (u - 0.5 * w[1]),
        (2 / 45) * (w[0] + 2 * w[1] + 4 * w[2]),
        w[2],
    ]


@_by_groups((0, 2), (1,))
def _f5_filter_gradients(u: list[Vec]) -> list[Vec]:
    a, b, c, d, e = (-2 / 3) * u[1], (2 / 9) * u[2], (16 / 9) * u[3], (16 / 15) * u[4], (2 / 45) * u[5]
    s, t = a - b, c + d
    return [s + t + e - 2 * u[0], a + b + 0.5 * (c - d) + 2 * e, s + 0.25 * t + 4 * e + u[6]]


@_by_groups((0,), (1, 2), (3,))
def _f2_values(d: list[Vec]) -> list[Vec]:
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


@_by_groups((0, 1))
def _f2_results(m: list[Vec]) -> list[Vec]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


@_by_groups((0, 3), (1, 2))
def _f2_gradient_values(y: list[Vec]) -> list[Vec]:
    return [y[0], y[0] + y[1], y[0] - y[1], -1 * y[1]]


@_by_groups((0, 3), (1, 2))
def _f2_filter_values(w: list[Vec]) -> list[Vec]:
    s, t = 0.5 * (w[0] + w[2]), 0.5 * w[1]
    return [w[0], s + t, s - t, w[2]]


@_by_groups((0, 2), (1,))
def _f2_filter_gradients(u: list[Vec]) -> list[Vec]:
    s, t = 0.5 * (u[1] + u[2]), 0.5 * (u[1] - u[2])
    return [u[0] + s, t, s + u[3]]


@_by_groups((0,), (1,), (2,), (3,), (4,), (5,), (6,), (7,), (8,))
def _strided4_values(d: list[Vec]) -> list[Vec]:
    a, b = d[6] - d[2], d[2] + d[4]
    transformed = [(d[0] - d[4]).times(2, a), a - b, a + 3 * (d[2] - d[4]), a, (d[8] - d[4]) - 2 * a]
    return [*transformed, *d[1::2]]


@_by_groups((0,), (1,), (2,), (3,))
def _strided4_results(m: list[Vec]) -> list[Vec]:
    s, t = m[1] + m[2], m[1] - m[2]
    found = [m[0] + s + m[3], t + 2 * m[3], s + 4 * m[3], t + 8 * m[3] + m[4]]
    return [y + one for y, one in zip(found, m[5:], strict=True)]


@_by_groups((0, 5), (1, 2), (3,), (4, 8), (6, 7))
def _strided4_gradient_values(y: list[Vec]) -> list[Vec]:
    s, t = y[0] + y[2], y[1] + y[3]
    return [y[0], s + t, s - t, (y[0] + 4 * y[2]) + 2 * (y[1] + 4 * y[3]), y[3], *y]


@_by_groups((0, 4), (1, 2), (3, 5))
def _strided4_filter_values(w: list[Vec]) -> list[Vec]:
    sixth = (1 / 6) * w[0]
    return [0.5 * w[0], -0.5 * (w[0] + w[2]), (1 / 6) * w[2] - sixth, sixth + (1 / 3) * w[2], w[2], w[1]]


@_by_groups((0,), (1,), (2,))
def _strided4_filter_gradients(u: list[Vec]) -> list[Vec]:
    return [0.5 * (u[0] - u[1]) + (1 / 6) * (u[3] - u[2]), u[5], (1 / 6) * (u[2] - 3 * u[1]) + (1 / 3) * u[3] + u[4]]


@_by_groups((0, 5), (1, 6), (2, 7), (3, 8), (4,))
def _strided4_back_values(g: list[Vec]) -> list[Vec]:
    a, b = g[3] - g[1], g[1] + g[2]
    return [(g[0] - g[2]).times(2, a), a - b, a + 3 * (g[1] - g[2]), a, (g[4] - g[2]) - 2 * a, *g[:4]]


@_by_groups((0,), (1,), (2,), (3,), (4,), (5,), (6,), (7,))
def _strided4_back_results(m: list[Vec]) -> list[Vec]:
    s, t = m[1] + m[2], m[1] - m[2]
    found = [m[0] + s + m[3], t + 2 * m[3], s + 4 * m[3], t + 8 * m[3] + m[4]]
    return [pixel for both in zip(m[5:], found, strict=True) for pixel in both]


@_by_groups((0,), (1,), (2,), (3,), (4,))
def _strided2_values(d: list[Vec]) -> list[Vec]:
    return [d[0] - d[2], d[2], d[4] - d[2], d[1], d[3]]


@_by_groups((0,), (1,))
def _strided2_results(m: list[Vec]) -> list[Vec]:
    return [m[0] + m[1] + m[3], m[1] + m[2] + m[4]]


@_by_groups((0, 2), (1,), (3, 4))
def _strided2_gradient_values(y: list[Vec]) -> list[Vec]:
    return [y[0], y[0] + y[1], y[1], y[0], y[1]]


@_by_groups((0, 2), (1,), (3,))
def _strided2_filter_values(w: list[Vec]) -> list[Vec]:
    return [w[0], w[0] + w[2], w[2], w[1]]


@_by_groups((0,), (1,), (2,))
def _strided2_filter_gradients(u: list[Vec]) -> list[Vec]:
    return [u[0] + u[1], u[3], u[1] + u[2]]


@_by_groups((0, 1), (2,), (3, 4))
def _strided2_back_values(g: list[Vec]) -> list[Vec]:
    return [g[0] - g[1], g[1], g[2] - g[1], g[0], g[1]]


@_by_groups((0, 2), (1,), (3,))
def _strided2_back_results(m: list[Vec]) -> list[Vec]:
    return [m[3], m[0] + m[1], m[4], m[1] + m[2]]


@_by_groups((0, 1, 2))
def _pairs_values(d: list[Vec]) -> list[Vec]:
    return [d[0] + d[1], d[0], d[1]]


@_by_groups((0, 1))
def _pairs_results(m: list[Vec]) -> list[Vec]:
    return [m[0] + m[2], m[0] + m[1]]


@_by_groups((0, 1, 2))
def _pairs_gradient_values(y: list[Vec]) -> list[Vec]:
    return [y[0] + y[1], y[1], y[0]]


@_by_groups((0, 1, 2))
def _pairs_filter_values(w: list[Vec]) -> list[Vec]:
    return [w[1], w[0] - w[1], w[2] - w[1]]


@_by_groups((0, 1, 2))
def _pairs_filter_gradients(u: list[Vec]) -> list[Vec]:
    return [u[1], u[0] - u[1] - u[2], u[2]]


SCHEMES = (
    Scheme("F4", 6, 4, 6, 4, _f4_values, _f4_results, _f4_filter_values, _f4_gradient_values, _f4_filter_gradients),
    Scheme("F5", 7, 5, 7, 5, _f5_values, _f5_results, _f5_filter_values, _f5_gradient_values, _f5_filter_gradients),
    Scheme("F2", 4, 2, 4, 2, _f2_values, _f2_results, _f2_filter_values, _f2_gradient_values, _f2_filter_gradients),
    Scheme(
        *("STRIDED4", 9, 8, 9, 4, _strided4_values, _strided4_results, _strided4_filter_values),
        *(_strided4_gradient_values, _strided4_filter_gradients, 6),
    ),
    Scheme(
        *("STRIDED2", 5, 4, 5, 2, _strided2_values, _strided2_results, _strided2_filter_values),
        *(_strided2_gradient_values, _strided2_filter_gradients, 4),
    ),
    Scheme(
        *("STRIDED4_BACK", 5, 4, 9, 8, _strided4_back_values, _strided4_back_results, _strided4_filter_values),
        filters=6,
    ),
    Scheme(
        *("STRIDED2_BACK", 3, 2, 5, 4, _strided2_back_values, _strided2_back_results, _strided2_filter_values),
        filters=4,
    ),
    Scheme(
        *("PAIRS", 2, 2, 3, 2, _pairs_values, _pairs_results),
        *(_pairs_filter_values, _pairs_gradient_values, _pairs_filter_gradients),
    ),
)
F4, F5, F2, STRIDED4, STRIDED2, STRIDED4_BACK, STRIDED2_BACK, PAIRS = range(len(SCHEMES))

BACK = {STRIDED4: STRIDED4_BACK, STRIDED2: STRIDED2_BACK}
"""The gradient's scheme, where it is another."""

LARGEST = 81
"""Pixels of the largest tile, of x or y."""


def scheme_of(stride: tuple[int, int], padding: tuple[int, int], size: tuple[int, int]) -> int:
    """The scheme with the fewest multiplications for images ``y`` of this height and width."""
    if padding == (1, 1) and stride == (1, 1) and size == (2, 2):
        return PAIRS
    schemes = (STRIDED4, STRIDED2) if stride == (2, 2) else (F4, F5, F2)
    return min(schemes, key=lambda scheme: _multiplications(scheme, size))


def saving(stride: tuple[int, int], padding: tuple[int, int], size: tuple[int, int]) -> float:
    """How many times as many multiplications a direct sum needs for images ``y`` of this height and width."""
    return FILTER * FILTER * size[0] * size[1] / _multiplications(scheme_of(stride, padding, size), size)


def _multiplications(scheme: int, size: tuple[int, int]) -> int:
    """Of one pair of channels, for a whole image."""
    points, outputs = SCHEMES[scheme].points, SCHEMES[scheme].outputs
    return -(-size[0] // outputs) * -(-size[1] // outputs) * points * points
