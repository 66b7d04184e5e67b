"""The last steps of an image, done to a part of it that a convolution has just written, while it is in cache.

Batch normalisation by given statistics, a residual sum and the limits of ReLU or ReLU6 would each read the whole image
from memory and write it back. Here they cost one more look at values in L1 or L2::

    y = min(max((y - centre) * scale + shift + residual, low), high)

The steps and their roundings are those of :func:`.batchnorm.normalise_add`, so that it cannot be seen from the values
which of the two was used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .compile import kernel
from .vector import LANES, Emitter, Int, Pointer, Vec, vector_kernel
from .workspace import address

Array = Any


class Epilogue(NamedTuple):
    """What to do with an image ``(N, P, Q, K)``; all arrays are float32 and C-contiguous."""

    factors: Array
    """``(3, K)``: centre, scale, shift."""

    residual: Array | None
    """An image of the same shape to add."""

    limits: Array
    """``(2,)``: low and high, infinite where there is none."""


class Finish(NamedTuple):
    """An epilogue as kernels take it. Addresses in bytes."""

    wanted: int
    y: int
    residual: int  # 0 if there is none
    factors: int
    factors_row: int  # floats
    limits: int


NOTHING = Finish(0, 0, 0, 0, 0, 0)


def finish_of(y: Array, epilogue: Epilogue | None) -> Finish:
    """The epilogue of one image; the caller keeps both alive."""
    if epilogue is None:
        return NOTHING
    factors, residual, limits = epilogue
    other = 0 if residual is None else address(residual)
    return Finish(1, address(y), other, address(factors), factors.shape[1], address(limits))


ROWS = 4
"""Rows that are finished together, so that factors are loaded once for all of them."""


@vector_kernel
def _finish_rows(
    emit: Emitter,
    y: Pointer,
    y_row: Int,
    residual: Pointer,
    residual_row: Int,
    adds: Int,
    factors: Pointer,
    factors_row: Int,
    limits: Pointer,
    length: Int,
    rows: Int,
) -> None:
    """``rows`` rows of ``length`` floats; those of `residual` are added if `adds` is 1."""
    low, high = limits.broadcast(), (limits + 1).broadcast()
    whole = length.quotient(LANES)
    rest = length - whole * LANES
    mask = emit.mask(rest)

    def some_rows(number: int, add: bool, first: Int) -> None:
        def vector(c: Int, mask: Any) -> None:
            centre, scale, shift = [(factors + factors_row * i + c).load(mask) for i in range(3)]
            for r in range(number):
                place = y + y_row * (first + r) + c
                value: Vec = (place.load(mask) - centre) * scale + shift
                if add:
                    value = value + (residual + residual_row * (first + r) + c).load(mask)
                place.store(value.at_least(low).at_most(high), mask)

        def turn(i: Int, _: list) -> list:
            vector(i * LANES, None)
            return []

        emit.loop(whole, [], turn)
        emit.choose(emit.minimum(rest, 1), {1: lambda: vector(whole * LANES, mask)})

    def all_rows(add: bool) -> None:
        def group(i: Int, _: list) -> list:
            some_rows(ROWS, add, i * ROWS)
            return []

        groups = rows.quotient(ROWS)
        emit.loop(groups, [], group)
        last = groups * ROWS
        emit.choose(rows - last, {n: lambda n=n: some_rows(n, add, last) for n in range(1, ROWS)})

    emit.choose(adds, {0: lambda: all_rows(False), 1: lambda: all_rows(True)})


@kernel
def finish(f, values, values_row, place, row, channel, channels, rows):
    """Finish ``channels`` channels from ``channel`` on of ``rows`` pixels.

    Their place is in `y`, ``row`` floats apart; the values are there too, or still elsewhere.
    """
    if f.wanted:
        adds = 1 if f.residual else 0
        residual = f.residual + (place - f.y) if f.residual else place
        factors = f.factors + 4 * channel
        _finish_rows(values, values_row, residual, row, adds, factors, f.factors_row, f.limits, channels, rows)
