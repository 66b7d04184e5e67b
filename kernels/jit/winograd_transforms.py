"""Winograd's transforms of one tile, on vectors of channels: the formulas of :mod:`.winograd_schemes` in machine code.

All pixels or points of ``LANES`` channels pass through registers. The transforms of a scheme are compiled when it is
first used.

None takes a mask of channels: older CPUs spend ten cycles on a masked load and more on a masked store. Channels
that do not fill a vector come from, and go to, a place where there is room for one, see :mod:`.winograd_tiles`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .machine_code import machine_code
from .vector import LANES, Emitter, Int, Pointer, Vec, transposed
from .winograd_schemes import FILTER, SCHEMES, Scheme, Transform

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


def _each(emit: Emitter, vectors: Int, body: Callable[[Int], None]) -> None:
    """Do something for the channels of each vector, given by the number of the first."""

    def turn(i: Int, _: list) -> list:
        body(i * LANES)
        return []

    emit.loop(vectors, [], turn)


def _tile_inside(size: int, transform: Transform) -> Any:
    def values_inside(
        emit: Emitter, pixels: Pointer, row: Int, column: Int, to: Pointer, apart: Int, vectors: Int
    ) -> None:
        """Transform a tile that lies wholly in the image; store the points ``apart`` floats from each other."""

        def vector(at: Int) -> None:
            for k, value in _both_ways(transform, size, lambda i, j: (pixels + row * i + column * j + at).load()):
                (to + apart * k + at).store(value)

        _each(emit, vectors, vector)

    return values_inside


def _tile_at_border(size: int, transform: Transform) -> Any:
    def values_at_border(emit: Emitter, table: Int, to: Pointer, apart: Int, vectors: Int) -> None:
        """The same for a tile given by a table of addresses, one for each pixel."""

        def vector(at: Int) -> None:
            def load(i: int, j: int) -> Vec:
                return (emit.address_in(table, size * i + j) + at).load()

            for k, value in _both_ways(transform, size, load):
                (to + apart * k + at).store(value)

        _each(emit, vectors, vector)

    return values_at_border


def _results(scheme: Scheme, products: Pointer, apart: Int, bias: Pointer, at: Int) -> Iterator[tuple[int, Vec]]:
    n = scheme.points
    for k, pixel in _both_ways(scheme.results, n, lambda i, j: (products + apart * (n * i + j) + at).load()):
        yield k, pixel + (bias + at).load()


def _results_inside(scheme: Scheme) -> Any:
    def results_inside(
        emit: Emitter,
        products: Pointer,
        apart: Int,
        bias: Pointer,
        pixels: Pointer,
        row: Int,
        column: Int,
        vectors: Int,
    ) -> None:
        """The pixels ``y + bias`` from the products, for a tile that lies wholly in the image."""

        def vector(at: Int) -> None:
            for k, pixel in _results(scheme, products, apart, bias, at):
                (pixels + row * (k // scheme.outputs) + column * (k % scheme.outputs) + at).store(pixel)

        _each(emit, vectors, vector)

    return results_inside


def _results_at_border(scheme: Scheme) -> Any:
    def results_at_border(
        emit: Emitter, products: Pointer, apart: Int, bias: Pointer, table: Int, vectors: Int
    ) -> None:
        """The same to the addresses in a table."""

        def vector(at: Int) -> None:
            for k, pixel in _results(scheme, products, apart, bias, at):
                (emit.address_in(table, k) + at).store(pixel)

        _each(emit, vectors, vector)

    return results_at_border


def _runs_of_taps(emit: Emitter) -> Iterator[tuple[int, int, Any]]:
    """The first, the number and the mask of the weights of a filter that are one vector of it: transposed, or alone."""
    for first in range(0, FILTER * FILTER, LANES):
        count = min(LANES, FILTER * FILTER - first)
        yield first, count, None if count in (1, LANES) else emit.mask(emit.int(count))


def _filter_values(scheme: Scheme, turned: bool) -> Any:
    def filter_values(emit: Emitter, weights: Pointer, lane: Int, to: Pointer, apart: Int) -> None:
        """The values of ``LANES`` filters that lie ``lane`` floats apart, or of the filters turned by 180 degrees."""
        taps: list[Vec] = []
        for first, count, mask in _runs_of_taps(emit):
            if count == 1:
                taps.append((weights + first).gather(lane))
            else:
                taps += transposed([(weights + lane * i + first).load(mask) for i in range(LANES)])[:count]
        if turned:
            taps.reverse()
        for k, value in _both_ways(scheme.filter_values, FILTER, lambda i, j: taps[FILTER * i + j]):
            (to + apart * k).store(value)

    return filter_values


def _filter_gradients(size: int, transform: Transform) -> Any:
    def filter_gradients(emit: Emitter, products: Pointer, apart: Int, to: Pointer, lane: Int) -> None:
        """The gradients of ``LANES`` filters, ``lane`` floats apart, from the products."""
        taps = dict(_both_ways(transform, size, lambda i, j: (products + apart * (size * i + j)).load()))
        for first, count, mask in _runs_of_taps(emit):
            some = [taps[k] for k in range(first, first + count)]
            if count == 1:
                (to + first).scatter(some[0], lane)
                continue
            for i, row in enumerate(transposed(some + [emit.zero()] * (LANES - count))):
                (to + lane * i + first).store(row, mask)

    return filter_gradients


class Transforms(NamedTuple):
    """Where the machine code of a scheme's transforms lies; 0 where it has none."""

    x_inside: int
    x_at_border: int
    y_inside: int
    y_at_border: int
    filter: int
    turned_filter: int
    gy_inside: int
    gy_at_border: int
    filter_gradients: int


@functools.cache
def _code(scheme: int) -> Any:
    s = SCHEMES[scheme]
    functions = [
        *(_tile_inside(s.pixels, s.values), _tile_at_border(s.pixels, s.values)),
        *(_results_inside(s), _results_at_border(s)),
        *(_filter_values(s, turned=False), _filter_values(s, turned=True)),
    ]
    if s.gradient_values is None or s.filter_gradients is None:
        functions += [None] * 3
    else:
        functions += [
            *(_tile_inside(s.outputs, s.gradient_values), _tile_at_border(s.outputs, s.gradient_values)),
            _filter_gradients(s.filters or s.points, s.filter_gradients),
        ]
    return machine_code(s.name, functions)


@functools.cache
def transforms_of(scheme: int) -> Transforms:
    """The transforms of a scheme, compiled at the first call."""
    return Transforms(*_code(scheme)())
