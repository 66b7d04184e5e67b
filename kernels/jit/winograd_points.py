"""The formulas of a convolution in one dimension from the points at which its polynomials are multiplied.

A filter of ``taps`` weights and a gradient of ``outputs`` values have a product of degree ``taps + outputs - 2``, which
its values at ``taps + outputs - 1`` points determine (Toom and Cook). One of them is infinity, where the value is the
leading coefficient; the others are 0, if there is to be one, and pairs ``+p, -p``, whose sums share all but a sign::

    A     a gradient's values       sum of p^i y_i
    G     a filter's values         sum of p^i w_i, over the product N of p's distances to the other points
    B^T   an image's values         the coefficients of the product of (t - q) over the other points q
    A^T, G^T                        the transposes

How large the errors are depends on the points alone: they should lie about 1 and well apart. With 0, 1, -1, 2, -2, the
usual ones for tiles of 4x4, errors are more than twice those with 0, 3/4, -3/4, 3/2, -3/2, because with these the terms
of a sum differ less in size. (Barabasz, Anderson, Soodhalter and Gregg, "Error Analysis and Improving the Accuracy of
Winograd Convolution for Deep Neural Networks", 2020.) Of pairs of 1/3 and of fractions with powers of 2, which are
exact, those of tiles of 4x4 have the least errors in all directions, those of 5x5 and of stride 2 the least in fprop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


class Formulas(NamedTuple):
    """The transforms of a scheme: ``B^T``, ``A^T``, ``G``, ``A`` and ``G^T``."""

    values: Transform
    results: Transform
    filter_values: Transform
    gradient_values: Transform
    filter_gradients: Transform


def total(terms: Sequence[tuple[float, Vec]]) -> Vec:
    """``sum of factor * vector`` in as few instructions as there are factors other than 1 and additions."""
    terms = sorted(terms, key=lambda term: abs(term[0]) != 1)
    factor, vector = terms[0]
    found = vector if factor == 1 else factor * vector
    for factor, vector in terms[1:]:
        if abs(factor) == 1:
            found = found + vector if factor == 1 else found - vector
        else:
            found = vector.times(factor, found)
    return found


def _product(squares: Sequence[float]) -> list[float]:
    """The coefficients of the product of ``(s - square)``, from that of ``s^0`` on."""
    found = [1.0]
    for square in squares:
        found = [low - square * high for low, high in zip([0.0, *found], [*found, 0.0], strict=True)]
    return found


def from_points(outputs: int, taps: int, zero: bool, pairs: Sequence[float]) -> Formulas:
    """The formulas for ``outputs`` pixels at a time, of a filter of ``taps`` weights.

    Parameters
    ----------
    zero
        Whether 0 is a point.
    pairs
        The positive one of each pair of points.
    """
    first = int(zero)  # point of the first pair
    count = first + 2 * len(pairs) + 1
    if count != outputs + taps - 1:
        raise ValueError(f"{outputs} outputs of {taps} weights need {outputs + taps - 1} points, not {count}")
    others = [_product([q * q for q in pairs if q != p]) for p in pairs]
    everything = _product([p * p for p in pairs])
    unit = min(pairs)  # a factor of all values of a filter, so that another one is 1
    factors = []  # of a filter's values; without the point 0, that of -p has the other sign
    for p in pairs:
        distances = 2 * p * math.prod([p * p - q * q for q in pairs if q != p])
        factors.append(unit / (distances * p if zero else distances))

    def of_both(even: Vec, odd: Vec) -> list[Vec]:
        return [even + odd, even - odd] if zero else [even + odd, odd - even]

    def values(d: list[Vec]) -> list[Vec]:
        def at(coefficients: list[float], start: int) -> Vec:
            return total([(c, d[start + 2 * k]) for k, c in enumerate(coefficients)])

        found = [at(everything, 0)] if zero else []
        for p, other in zip(pairs, others, strict=True):
            fixed, turning = at(other, 1 + first), at(other, first)
            found += [turning.times(p, fixed), turning.times(-p, fixed)]
        return [*found, at(everything, first)]

    def results(m: list[Vec]) -> list[Vec]:
        both = [m[first + 2 * k : first + 2 * k + 2] for k in range(len(pairs))]
        sums, differences = [a + b for a, b in both], [a - b for a, b in both]
        found = []
        for i in range(outputs):
            part = differences if i % 2 else sums
            powers = [p**i / unit for p in pairs]
            if len(set(powers)) == 1:  # add first, multiply once
                terms = [(powers[0], total([(1, v) for v in part]))]
            else:
                terms = list(zip(powers, part, strict=True))
            if i == 0 and zero:
                terms.append((1, m[0]))
            if i == outputs - 1:
                terms.append((1, m[-1]))
            found.append(total(terms))
        return found

    def filter_values(w: list[Vec]) -> list[Vec]:
        found = [(1 / everything[0]) * w[0]] if zero else []
        for p, factor in zip(pairs, factors, strict=True):
            even = total([(factor * p**i, w[i]) for i in range(0, taps, 2)])
            found += of_both(even, total([(factor * p**i, w[i]) for i in range(1, taps, 2)]))
        return [*found, w[-1]]

    def gradient_values(y: list[Vec]) -> list[Vec]:
        found = [y[0]] if zero else []
        for p in pairs:
            even, odd = (total([(p**i / unit, y[i]) for i in range(start, outputs, 2)]) for start in (0, 1))
            found += [even + odd, even - odd]
        return [*found, y[-1]]

    def filter_gradients(u: list[Vec]) -> list[Vec]:
        both = [u[first + 2 * k : first + 2 * k + 2] for k in range(len(pairs))]
        found = []
        for i in range(taps):
            part = [a + b if zero == (i % 2 == 0) else a - b for a, b in both]
            terms = [(factor * p**i, v) for p, factor, v in zip(pairs, factors, part, strict=True)]
            if i == 0 and zero:
                terms.append((1 / everything[0], u[0]))
            if i == taps - 1:
                terms.append((1, u[-1]))
            found.append(total(terms))
        return found

    of_pairs = tuple((first + 2 * k, first + 2 * k + 1) for k in range(len(pairs)))
    ends = ((0,),) if zero else ()
    both_ends = (0, count - 1) if zero else (count - 1,)
    pairs_of_rows = tuple((i, i + 2) if i + 2 < outputs else (i,) for i in range(outputs) if i % 4 < 2)
    return Formulas(
        Transform(values, (*ends, *of_pairs, (count - 1,))),
        Transform(results, pairs_of_rows),
        Transform(filter_values, (both_ends, *of_pairs)),
        Transform(gradient_values, (both_ends, *of_pairs)),
        Transform(filter_gradients, ((0, 2), (1,)) if taps == 3 else ((0,), (1,))),
    )
