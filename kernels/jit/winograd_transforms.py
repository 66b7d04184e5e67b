"""Winograd's transforms of one tile, on vectors of channels: the formulas of :mod:`.winograd_schemes` in machine code.

All pixels or points of ``LANES`` channels pass through registers. Each word takes the number of a scheme.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .vector import LANES, Emitter, Int, Pointer, Vec, transposed, vector_kernel
from .winograd_schemes import FILTER, SCHEMES, TURNED, Formula, Scheme

ALL = range(len(SCHEMES))
WITH_GRADIENTS = tuple(scheme for scheme, s in enumerate(SCHEMES) if s.gradient_values is not None)


def _both_ways(formula: Formula, tile: list[list[Vec]]) -> list[Vec]:
    """The formula on each column, then on each row."""
    half = zip(*[formula(list(column)) for column in zip(*tile, strict=True)], strict=True)
    return [value for row in half for value in formula(list(row))]


def _square(size: int, load: Callable[[int, int], Vec]) -> list[list[Vec]]:
    return [[load(i, j) for j in range(size)] for i in range(size)]


def _choose(emit: Emitter, scheme: Int, body: Callable[[Scheme], None], schemes: Any = ALL) -> None:
    emit.choose(scheme, {n: lambda n=n: body(SCHEMES[n]) for n in schemes})


def _value(scheme: Scheme) -> tuple[int, Formula | None]:
    return scheme.pixels, scheme.values


def _gradient_value(scheme: Scheme) -> tuple[int, Formula | None]:
    return scheme.outputs, scheme.gradient_values


def _tile_inside(transform: Callable[[Scheme], tuple[int, Any]], schemes: Any) -> Any:
    @vector_kernel
    def values_inside(
        emit: Emitter, scheme: Int, pixels: Pointer, row: Int, column: Int, to: Pointer, apart: Int
    ) -> None:
        """Transform a tile that lies wholly in the image; store the points ``apart`` floats from each other."""

        def one(scheme: Scheme) -> None:
            size, formula = transform(scheme)
            tile = _square(size, lambda i, j: (pixels + row * i + column * j).load())
            for k, value in enumerate(_both_ways(formula, tile)):
                (to + apart * k).store(value)

        _choose(emit, scheme, one, schemes)

    return values_inside


def _tile_at_border(transform: Callable[[Scheme], tuple[int, Any]], schemes: Any) -> Any:
    @vector_kernel
    def values_at_border(
        emit: Emitter, scheme: Int, table: Int, channel: Int, channels: Int, to: Pointer, apart: Int
    ) -> None:
        """The same for a tile given by a table of addresses, one for each pixel, and for fewer channels than lanes."""
        mask = emit.mask(channels)

        def one(scheme: Scheme) -> None:
            size, formula = transform(scheme)
            tile = _square(size, lambda i, j: (emit.address_in(table, size * i + j) + channel).load(mask))
            for k, value in enumerate(_both_ways(formula, tile)):
                (to + apart * k).store(value)

        _choose(emit, scheme, one, schemes)

    return values_at_border


input_tile_inside, input_tile_at_border = _tile_inside(_value, ALL), _tile_at_border(_value, ALL)
gradient_tile_inside = _tile_inside(_gradient_value, WITH_GRADIENTS)
gradient_tile_at_border = _tile_at_border(_gradient_value, WITH_GRADIENTS)


def _results(scheme: Scheme, products: Pointer, apart: Int, bias: Pointer) -> list[Vec]:
    shift = bias.load()
    n = scheme.points
    points = _square(n, lambda i, j: (products + apart * (n * i + j)).load())
    return [pixel + shift for pixel in _both_ways(scheme.results, points)]


@vector_kernel
def output_tile_inside(
    emit: Emitter, scheme: Int, products: Pointer, apart: Int, bias: Pointer, pixels: Pointer, row: Int, column: Int
) -> None:
    """The pixels ``y + bias`` from the products, for a tile that lies wholly in the image."""

    def one(scheme: Scheme) -> None:
        for k, pixel in enumerate(_results(scheme, products, apart, bias)):
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
    channels: Int,
) -> None:
    """The same to the addresses in a table, and for fewer channels than lanes."""
    mask = emit.mask(channels)

    def one(scheme: Scheme) -> None:
        for k, pixel in enumerate(_results(scheme, products, apart, bias)):
            (emit.address_in(table, k) + channel).store(pixel, mask)

    _choose(emit, scheme, one)


@vector_kernel
def filter_tile(emit: Emitter, scheme: Int, weights: Pointer, lane: Int, turned: Int, to: Pointer, apart: Int) -> None:
    """The values of ``LANES`` filters that lie ``lane`` floats apart, or of the filters turned round by 180 degrees."""
    taps: list[Vec] = []
    for first in range(0, FILTER * FILTER, LANES):  # a vector of each filter at a time, transposed
        count = min(LANES, FILTER * FILTER - first)
        mask = None if count == LANES else emit.mask(emit.int(count))
        taps += transposed([(weights + lane * i + first).load(mask) for i in range(LANES)])[:count]

    def transform(taps: list[Vec], scheme: Scheme) -> None:
        tile = _square(FILTER, lambda i, j: taps[FILTER * i + j])
        for k, value in enumerate(_both_ways(scheme.filter_values, tile)):
            (to + apart * k).store(value)

    cases = {0: lambda: _choose(emit, scheme, lambda s: transform(taps, s), WITH_GRADIENTS)}
    cases[1] = lambda: _choose(emit, scheme, lambda s: transform(taps[::-1], s), TURNED)
    emit.choose(turned, cases)


@vector_kernel
def filter_gradient_tile(emit: Emitter, scheme: Int, products: Pointer, apart: Int, to: Pointer, lane: Int) -> None:
    """The gradients of ``LANES`` filters, ``lane`` floats apart, from the products."""

    def one(scheme: Scheme) -> None:
        n = scheme.points
        points = _square(n, lambda i, j: (products + apart * (n * i + j)).load())
        assert scheme.filter_gradients is not None
        for k, gradient in enumerate(_both_ways(scheme.filter_gradients, points)):
            (to + k).scatter(gradient, lane)

    _choose(emit, scheme, one, WITH_GRADIENTS)
