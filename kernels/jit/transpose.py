"""A float32 array in the order of its dimensions, from one whose memory has them in another: matrices are transposed.

Dimensions that are neighbours in both orders count as one. Then the last, whose elements lie apart, are the rows of a
matrix, the dimension whose elements are neighbours in memory its columns, and all others make a stack of matrices::

    (N, C, H, W) to (N, H, W, C):  N matrices of C rows of H W

Tiles of ``TILE x TILE`` go through registers, squares of ``LANES x LANES`` at a time, so that of each cache line that
is read or written all is used while it is in L1. What is narrower than a square goes one by one, the long way along.
Bytes an element: 8.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from .parallel import parallel_for
from .rows import turn
from .vector import LANES, Emitter, Int, Pointer, vector_kernel
from .workspace import address

Array = Any

TILE = 64

PIECE = 1024
"""Elements of a narrow matrix that are gone along before the next line of them: they stay in L1."""

SMALLEST = 32
"""Elements of a matrix that is worth its place in the list of matrices."""


class Matrices(NamedTuple):
    """What is to be transposed. All but numbers of elements in floats."""

    rows: int
    columns: int
    row: int  # from one row of the source to the next
    to_row: int  # from one row of the result to the next, a column of the source
    sources: Array  # where each matrix begins
    results: Array


@vector_kernel
def _run(emit: Emitter, to: Pointer, to_step: Int, source: Pointer, step: Int, count: Int) -> None:
    """``to[i to_step] = source[i step]``."""

    def one(i: Int, _: list) -> list:
        (to + to_step * i).store_first((source + step * i).broadcast())
        return []

    emit.loop(count, [], one)


@parallel_for
def _narrow(part, source, to, rows, columns, row, to_row, sources, results, parts):
    """One of `parts` runs of rows, or of columns if these are longer, of matrices that are narrower than a square."""
    lines = min(rows, columns)
    pieces = (max(rows, columns) + PIECE - 1) // PIECE
    count = len(sources) * pieces
    for piece in range(count * part // parts, count * (part + 1) // parts):
        matrix, first = piece // pieces, piece % pieces * PIECE
        for line in range(lines):
            if rows < columns:
                a, b = line * row + first, first * to_row + line
                some, step, to_step = min(PIECE, columns - first), 1, to_row
            else:
                a, b = first * row + line, line * to_row + first
                some, step, to_step = min(PIECE, rows - first), row, 1
            _run(to + 4 * (results[matrix] + b), to_step, source + 4 * (sources[matrix] + a), step, some)


@parallel_for
def _tiles(part, source, to, rows, columns, row, to_row, sources, results, parts):
    """One of `parts` runs of tiles."""
    down, across = (rows + TILE - 1) // TILE, (columns + TILE - 1) // TILE
    tiles = len(sources) * down * across
    for tile in range(tiles * part // parts, tiles * (part + 1) // parts):
        matrix, rest = divmod(tile, down * across)
        i, j = rest % down * TILE, rest // down * TILE
        first, end = source + 4 * (sources[matrix] + i * row + j), to + 4 * (results[matrix] + j * to_row + i)
        turn(end, to_row, first, row, min(TILE, rows - i), min(TILE, columns - j))


@functools.lru_cache(maxsize=1024)
def matrices(shape: tuple[int, ...], strides: tuple[int, ...]) -> Matrices | None:
    """The matrices to transpose for an array in C order, or None if there are none, or they are small."""
    merged: list[list[int]] = []  # sizes and strides
    for size, stride in zip(shape, strides, strict=True):
        if stride <= 0 or stride % 4:
            return None
        if size == 1:
            continue
        if merged and merged[-1][1] == size * stride // 4:
            merged[-1] = [merged[-1][0] * size, stride // 4]
        else:
            merged.append([size, stride // 4])
    neighbours = [i for i, (_, stride) in enumerate(merged) if stride == 1]
    if len(neighbours) != 1 or neighbours[0] == len(merged) - 1:
        return None
    (unit,), (rows, row), columns = neighbours, merged[-1], merged[neighbours[0]][0]
    if rows * columns < SMALLEST:
        return None
    steps = [math.prod(size for size, _ in merged[i + 1 :]) for i in range(len(merged))]
    sources = results = np.zeros(1, np.int64)
    for i, (size, stride) in enumerate(merged[:-1]):
        if i != unit:
            places = np.arange(size)
            sources = np.add.outer(sources, places * stride).reshape(-1)
            results = np.add.outer(results, places * steps[i]).reshape(-1)
    return Matrices(rows, columns, row, steps[unit], sources, results)


def transpose(x: Array, out: Array, parts: int) -> bool:
    """Write float32 `x` into the C-contiguous `out`; False, and nothing done, if there are no matrices."""
    found = matrices(x.shape, x.strides)
    if found is None:
        return False
    kernel = _narrow if min(found.rows, found.columns) < LANES else _tiles
    kernel(parts, address(x), address(out), *found, parts)
    return True
