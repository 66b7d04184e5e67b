"""The last steps of an image, done to a part of it that a convolution has just written, while it is in cache.

Batch normalisation by given statistics, a residual sum and the limits of ReLU or ReLU6 would each read the whole image
from memory and write it back. Here they cost one more look at values in L1 or L2::

    y = min(max((y - centre) * scale + shift + residual, low), high)

The steps and their roundings are those of :func:`.batchnorm.normalise_add`, so that it cannot be seen from the values
which of the two was used.

In training a batch norm needs the moments of the image first. They too are taken here, from each block of pixels into a
*slot* of its own, which :func:`.batchnorm.join_slots` joins: the sums do not depend on which thread made which block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .compile import kernel
from .vector import LANES, Emitter, Int, Pointer, Vec, vector_kernel
from .workspace import address, workspace

Array = Any


class Epilogue(NamedTuple):
    """What to do with an image ``(N, P, Q, K)``; all arrays are float32 and C-contiguous."""

    factors: Array
    """``(3, K)``: centre, scale, shift."""

    residual: Array | None
    """An image of the same shape to add."""

    limits: Array
    """``(2,)``: low and high, infinite where there is none."""


class Moments:
    """What to take from an image ``(N, P, Q, K)``, in place of an epilogue.

    Attributes
    ----------
    slots
        Filled by the convolution, ``(slots, 4, K)``: of each channel in a block of pixels the first value, sum and sum
        of squares of what the others differ from it, and their number. Scratch memory: to be used at once.
    """

    slots: Array


class Finish(NamedTuple):
    """An epilogue, or the moments, as kernels take them. Addresses in bytes."""

    wanted: int
    y: int
    residual: int  # 0 if there is none
    factors: int
    factors_row: int  # floats
    limits: int
    slots: int  # 0 if no moments are wanted
    slot_row: int  # floats


NOTHING = Finish(0, 0, 0, 0, 0, 0, 0, 0)


def finish_of(y: Array, epilogue: Epilogue | Moments | None, blocks: int = 0) -> Finish:
    """The epilogue of one image, or the moments of so many blocks of it; the caller keeps both alive."""
    if epilogue is None:
        return NOTHING
    if isinstance(epilogue, Moments):
        epilogue.slots = workspace("moments", blocks, 4, y.shape[3])
        return Finish(0, 0, 0, 0, 0, 0, address(epilogue.slots), y.shape[3])
    factors, residual, limits = epilogue
    other = 0 if residual is None else address(residual)
    return Finish(1, address(y), other, address(factors), factors.shape[1], address(limits), 0, 0)


def finishing(
    factors: Pointer, factors_row: Int, limits: Pointer, mask: Any = None
) -> Callable[[Vec, Vec | None], Vec]:
    """The last steps of a vector of channels: a function of a value, and of what is to be added to it."""
    centre, scale, shift = [(factors + factors_row * i).load(mask) for i in range(3)]
    low, high = limits.broadcast(), (limits + 1).broadcast()

    def finished(value: Vec, other: Vec | None = None) -> Vec:
        value = (value - centre) * scale + shift
        if other is not None:
            value = value + other
        return value.at_least(low).at_most(high)

    return finished


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
    whole = length.quotient(LANES)
    rest = length - whole * LANES
    mask = emit.mask(rest)

    def some_rows(number: int, add: bool, first: Int) -> None:
        def vector(c: Int, mask: Any) -> None:
            finished = finishing(factors + c, factors_row, limits, mask)
            for r in range(number):
                place = y + y_row * (first + r) + c
                other = (residual + residual_row * (first + r) + c).load(mask) if add else None
                place.store(finished(place.load(mask), other), mask)

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


@vector_kernel
def _add_moments(
    emit: Emitter, slot: Pointer, slot_row: Int, more: Int, y: Pointer, y_row: Int, length: Int, rows: Int
) -> None:
    """Add the moments of ``rows`` rows of ``length`` floats to those of a slot, or with ``more`` 0 begin them."""
    whole = length.quotient(LANES)
    mask = emit.mask(length - whole * LANES)
    some = emit.minimum(length - whole * LANES, 1)

    def each_vector(body: Callable[[Int, Any], None]) -> None:
        def turn(i: Int, _: list) -> list:
            body(i * LANES, None)
            return []

        emit.loop(whole, [], turn)
        emit.choose(some, {1: lambda: body(whole * LANES, mask)})

    def begin(c: Int, mask: Any) -> None:
        (slot + c).store((y + c).load(mask), mask)
        for row in range(1, 4):
            (slot + slot_row * row + c).store(emit.zero(), mask)

    emit.choose(more, {0: lambda: each_vector(begin)})

    def add_rows(number: int, first: Int) -> None:
        def add(c: Int, mask: Any) -> None:
            about = (slot + c).load(mask)
            away = [(y + y_row * (first + r) + c).load(mask) - about for r in range(number)]
            squares = away[0] * away[0]
            for d in away[1:]:
                squares = d * d + squares
            for row, value in ((1, sum(away[1:], away[0])), (2, squares), (3, emit.zero() + float(number))):
                place = slot + slot_row * row + c
                place.store(place.load(mask) + value, mask)

        each_vector(add)

    def group(i: Int, _: list) -> list:
        add_rows(ROWS, i * ROWS)
        return []

    groups = rows.quotient(ROWS)
    emit.loop(groups, [], group)
    last = groups * ROWS
    emit.choose(rows - last, {n: lambda n=n: add_rows(n, last) for n in range(1, ROWS)})


@kernel
def finish(f, values, values_row, place, row, channel, channels, rows, slot, more):
    """Finish ``channels`` channels from ``channel`` on of ``rows`` pixels, or add their moments to those of a slot.

    Their place is in `y`, ``row`` floats apart; the values are there too, or still elsewhere. ``more`` is 0 for the
    first pixels of a slot.
    """
    if f.wanted:
        adds = 1 if f.residual else 0
        residual = f.residual + (place - f.y) if f.residual else place
        factors = f.factors + 4 * channel
        _finish_rows(values, values_row, residual, row, adds, factors, f.factors_row, f.limits, channels, rows)
    if f.slots:
        address = f.slots + 4 * (slot * 4 * f.slot_row + channel)
        _add_moments(address, f.slot_row, more, values, values_row, channels, rows)
