"""The arithmetic of Winograd's convolutions with 3x3 filters: which sums to multiply, in one dimension.

A filter of 3 weights spends 9 multiplications on each output, so 144 on a tile of 4x4. Convolving is multiplying
polynomials: a filter of 3 weights and a gradient of 4 outputs have a product of degree 5, which is determined by its
values at 6 points, and values are multiplied point by point: 6 multiplications in place of 12, and 36 in place of 144
for both dimensions. A correlation is the transpose of that, with the same 6. Getting to the values and back costs
additions and multiplications by constants, once for each pixel and channel, whereas the multiplications are done for
each *pair* of channels. (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016)::

    fprop   y  = A^T [ (G w G^T) * (B^T x B) ] A        * point by point
    wgrad   gw = G^T [ (A gy A^T) * (B^T x B) ] G       the transpose of the above

Here ``B^T``, ``A^T``, ``A``, ``G`` and ``G^T`` are formulas on lists of vectors, made from the points in
:mod:`.winograd_points`; they are applied to the columns and then to the rows of a tile. Summed over channels, each
point is a matrix product: that is where the time goes, in :mod:`.winograd`. The schemes, and what a direct sum has in
place of their points:

================= ============ ======== ======= ==============================================================
scheme            tile of x    points   tile of y
================= ============ ======== ======= ==============================================================
``F4``            6x6          36       4x4     144: the points 0, 3/4, -3/4, 3/2, -3/2 and infinity
``F5``            7x7          49       5x5     225: six points and infinity; for sides of 5, 10, 14, ...
``F2``            4x4          16       2x2     36: 0, 1, -1, infinity; where a side has one or two
``STRIDED4``      9x9          81       4x4     144: stride 2; four points and infinity for every other pixel
``STRIDED2``      5x5          25       2x2     36: stride 2; 0, 1, infinity
``STRIDED4_BACK`` 5x5 of gy    81       8x8     its gradient: 2.25 weights meet a pixel in the mean, so 144 in all
``STRIDED2_BACK`` 3x3 of gy    25       4x4     36
``PAIRS``         2x2          9        2x2     16: an image of two pixels each way, with a zero around it
================= ============ ======== ======= ==============================================================

With stride 2, every other pixel meets two weights, ``w0`` and ``w2``, and those between meet ``w1`` alone: a sum of two
correlations with stride 1, of which the second needs no transform. Its points share one value of the filter.

An image of two pixels meets the middle weight twice, ``y = (w1 x0 + w2 x1, w0 x0 + w1 x1)``, so 3 multiplications do
for 4: ``w1 (x0 + x1)`` is part of both results.

The differences of large values cost some precision: the relative error of a layer is 5e-7 to 2e-6 with ``F4`` and
``F5``, with the others hardly more than that of a direct sum, 2e-7 to 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .vector import Vec
from .winograd_points import Formula, Transform, from_points

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


def _by_groups(*groups: tuple[int, ...]) -> Callable[[Formula], Transform]:
    return lambda formula: Transform(formula, groups)


_OUTER = from_points(4, 2, zero=False, pairs=(3 / 8, 5 / 4))
"""Of the first and the last weight, with stride 2: they meet every other pixel."""


@_by_groups((0,), (1,), (2,), (3,), (4,), (5,), (6,), (7,), (8,))
def _strided4_values(d: list[Vec]) -> list[Vec]:
    return [*_OUTER.values.formula(d[::2]), *d[1::2]]


@_by_groups((0,), (1,), (2,), (3,))
def _strided4_results(m: list[Vec]) -> list[Vec]:
    return [y + one for y, one in zip(_OUTER.results.formula(m[:5]), m[5:], strict=True)]


@_by_groups((0, 1), (2, 3), (4, 8), (5, 6), (7,))
def _strided4_gradient_values(y: list[Vec]) -> list[Vec]:
    return [*_OUTER.gradient_values.formula(y), *y]


@_by_groups((0, 1), (2, 3), (4, 5))
def _strided4_filter_values(w: list[Vec]) -> list[Vec]:
    return [*_OUTER.filter_values.formula(w[::2]), w[1]]


@_by_groups((0,), (1,), (2,))
def _strided4_filter_gradients(u: list[Vec]) -> list[Vec]:
    before, after = _OUTER.filter_gradients.formula(u[:5])
    return [before, u[5], after]


@_by_groups((0, 1), (2, 3), (4,), (5, 6), (7, 8))
def _strided4_back_values(g: list[Vec]) -> list[Vec]:
    return [*_OUTER.values.formula(g), *g[:4]]


@_by_groups((0,), (1,), (2,), (3,), (4,), (5,), (6,), (7,))
def _strided4_back_results(m: list[Vec]) -> list[Vec]:
    return [pixel for both in zip(m[5:], _OUTER.results.formula(m[:5]), strict=True) for pixel in both]


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
    Scheme("F4", 6, 4, 6, 4, *from_points(4, FILTER, zero=True, pairs=(3 / 4, 3 / 2))),
    Scheme("F5", 7, 5, 7, 5, *from_points(5, FILTER, zero=False, pairs=(3 / 8, 7 / 8, 7 / 4))),
    Scheme("F2", 4, 2, 4, 2, *from_points(2, FILTER, zero=True, pairs=(1.0,))),
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


LARGE_WORTH = 0.9
"""Share of the multiplications that tiles of 5x5 may need: their transforms cost more, and their errors are greater."""


def scheme_of(stride: tuple[int, int], padding: tuple[int, int], size: tuple[int, int]) -> int:
    """The scheme with the fewest multiplications for images ``y`` of this height and width."""
    if padding == (1, 1) and stride == (1, 1) and size == (2, 2):
        return PAIRS
    if stride == (2, 2):
        return min(STRIDED4, STRIDED2, key=lambda scheme: _multiplications(scheme, size))
    usual = min(F4, F2, key=lambda scheme: _multiplications(scheme, size))
    return F5 if _multiplications(F5, size) < LARGE_WORTH * _multiplications(usual, size) else usual


def saving(stride: tuple[int, int], padding: tuple[int, int], size: tuple[int, int]) -> float:
    """How many times as many multiplications a direct sum needs for images ``y`` of this height and width."""
    return FILTER * FILTER * size[0] * size[1] / _multiplications(scheme_of(stride, padding, size), size)


def _multiplications(scheme: int, size: tuple[int, int]) -> int:
    """Of one pair of channels, for a whole image."""
    points, outputs = SCHEMES[scheme].points, SCHEMES[scheme].outputs
    return -(-size[0] // outputs) * -(-size[1] // outputs) * points * points
