"""Winograd's transforms of one tile, on vectors of channels: the formulas of :mod:`.winograd_schemes` in machine code.

All pixels or points of ``LANES`` channels pass through registers. Each word takes the number of a scheme.

No word here takes a mask of channels: older CPUs spend ten cycles on a masked load and more on a masked store. Channels
that do not fill a vector come from, and go to, a place where there is room for one, see :mod:`.winograd_tiles`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .vector import LANES, Emitter, Int, Pointer, Vec, transposed, vector_kernel
from .winograd_schemes import FILTER, SCHEMES, TURNED, Scheme, Transform

ALL = range(len(SCHEMES))
WITH_GRADIENTS = tuple(scheme for scheme, s in enumerate(SCHEMES) if s.gradient_values is not None)


Load = Callable[[int, int], Vec]


def _both_ways(transform: Transform, size: int, load: Load) -> Iterator[tuple[int, Vec]]:
    """The formula on each column of a tile of ``size x size``, then on each row; a group of rows after the other.

    What a group does not need is loaded and computed only on paper: LLVM drops what nobody uses.
    """
    for group in transform.groups:
        columns = [transform.formula([load(i, j) for i in range(size)]) for j in range(size)]
        for row in group:
            values = transform.formula([column[row] for column in columns])
            for k, value in enumerate(values):
                yield len(values) * row + k, value


def _choose(emit: Emitter, scheme: Int, body: Callable[[Scheme], None], schemes: Any = ALL) -> None:
    emit.choose(scheme, {n: lambda n=n: body(SCHEMES[n]) for n in schemes})


def _value(scheme: Scheme) -> tuple[int, Transform | None]:
    return scheme.pixels, scheme.values


def _gradient_value(scheme: Scheme) -> tuple[int, Transform | None]:
    return scheme.outputs, scheme.gradient_values


def _tile_inside(of: Callable[[Scheme], tuple[int, Any]], schemes: Any) -> Any:
    @vector_kernel
    def values_inside(
        emit: Emitter, scheme: Int, pixels: Pointer, row: Int, column: Int, to: Pointer, apart: Int
    ) -> None:
        """Transform a tile that lies wholly in the image; store the points ``apart`` floats from each other."""

        def one(scheme: Scheme) -> None:
            size, transform = of(scheme)
            for k, value in _both_ways(transform, size, lambda i, j: (pixels + row * i + column * j).load()):
                (to + apart * k).store(value)

        _choose(emit, scheme, one, schemes)

    return values_inside


def _tile_at_border(of: Callable[[Scheme], tuple[int, Any]], schemes: Any) -> Any:
    @vector_kernel
    def values_at_border(emit: Emitter, scheme: Int, table: Int, channel: Int, to: Pointer, apart: Int) -> None:
        """The same for a tile given by a table of addresses, one for each pixel."""

        def one(scheme: Scheme) -> None:
            size, transform = of(scheme)

            def load(i: int, j: int) -> Vec:
                return (emit.address_in(table, size * i + j) + channel).load()

            for k, value in _both_ways(transform, size, load):
                (to + apart * k).store(value)

        _choose(emit, scheme, one, schemes)

    return values_at_border


input_tile_inside, input_tile_at_border = _tile_inside(_value, ALL), _tile_at_border(_value, ALL)
gradient_tile_inside = _tile_inside(_gradient_value, WITH_GRADIENTS)
gradient_tile_at_border = _tile_at_border(_gradient_value, WITH_GRADIENTS)


def _results(scheme: Scheme, products: Pointer, apart: Int, bias: Pointer) -> Iterator[tuple[int, Vec]]:
    n = scheme.points
    for k, pixel in _both_ways(scheme.results, n, lambda i, j: (products + apart * (n * i + j)).load()):
        yield k, pixel + bias.load()


@vector_kernel
def output_tile_inside(
    emit: Emitter, scheme: Int, products: Pointer, apart: Int, bias: Pointer, pixels: Pointer, row: Int, column: Int
) -> None:
    """The pixels ``y + bias`` from the products, for a tile that lies wholly in the image."""

    def one(scheme: Scheme) -> None:
        for k, pixel in _results(scheme, products, apart, bias):
            (pixels + row * (k // scheme.outputs) + column * (k % scheme.outputs)).store(pixel)

    _choose(emit, scheme, one)


@vector_kernel
def output_tile_at_border(
    emit: Emitter,
    scheme: Int,
    products: Pointer,
    apart: Int,
    bias: Pointer,
    table: Int,
    channel: Int,
) -> None:
    """The same to the addresses in a table."""

    def one(scheme: Scheme) -> None:
        for k, pixel in _results(scheme, products, apart, bias):
            (emit.address_in(table, k) + channel).store(pixel)

    _choose(emit, scheme, one)


def _runs_of_taps(emit: Emitter) -> Iterator[tuple[int, int, Any]]:
    """The first, the number and the mask of the weights of a filter that are one vector of it: transposed, or alone."""
    for first in range(0, FILTER * FILTER, LANES):
        count = min(LANES, FILTER * FILTER - first)
        yield first, count, None if count in (1, LANES) else emit.mask(emit.int(count))


@vector_kernel
def filter_tile(emit: Emitter, scheme: Int, weights: Pointer, lane: Int, turned: Int, to: Pointer, apart: Int) -> None:
    """The values of ``LANES`` filters that lie ``lane`` floats apart, or of the filters turned round by 180 degrees."""
    taps: list[Vec] = []
    for first, count, mask in _runs_of_taps(emit):
        if count == 1:
            taps.append((weights + first).gather(lane))
        else:
            taps += transposed([(weights + lane * i + first).load(mask) for i in range(LANES)])[:count]

    def transform(taps: list[Vec], scheme: Scheme) -> None:
        for k, value in _both_ways(scheme.filter_values, FILTER, lambda i, j: taps[FILTER * i + j]):
            (to + apart * k).store(value)

    cases = {0: lambda: _choose(emit, scheme, lambda s: transform(taps, s), WITH_GRADIENTS)}
    cases[1] = lambda: _choose(emit, scheme, lambda s: transform(taps[::-1], s), TURNED)
    emit.choose(turned, cases)


@vector_kernel
def filter_gradient_tile(emit: Emitter, scheme: Int, products: Pointer, apart: Int, to: Pointer, lane: Int) -> None:
    """The gradients of ``LANES`` filters, ``lane`` floats apart, from the products."""

    def one(scheme: Scheme) -> None:
        n, transform = scheme.points, scheme.filter_gradients
        assert transform is not None
        taps = dict(_both_ways(transform, n, lambda i, j: (products + apart * (n * i + j)).load()))
        for first, count, mask in _runs_of_taps(emit):
            some = [taps[k] for k in range(first, first + count)]
            if count == 1:
                (to + first).scatter(some[0], lane)
                continue
            for i, row in enumerate(transposed(some + [emit.zero()] * (LANES - count))):
                (to + lane * i + first).store(row, mask)

    _choose(emit, scheme, one, WITH_GRADIENTS)
