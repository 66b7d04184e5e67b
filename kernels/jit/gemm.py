"""Products of matrix blocks that stay in cache: the inner loop of every convolution here.

``multiply`` computes ``C = A @ B`` for a narrow panel of B, ``WIDTH`` = two vectors wide. It cuts C into tiles of
``TILE_ROWS`` rows and keeps the whole tile in registers while it walks along the rows of A::

                     B  | b0 b1 |   one row of the panel: two vectors, loaded once a step
                        +-------+
    A   a[0, k] --->    | c c   |
        a[1, k] --->    | c c   |   TILE_ROWS x 2 registers of sums
        ...             | ...   |
        a[5, k] --->    | c c   |

A step k loads two vectors of B and one float of each row of A (broadcast to all lanes), and does ``2 TILE_ROWS`` fused
multiply-adds: 12 for 8 loads with AVX2, 24 for 14 with AVX-512. The CPU can start two of each in a cycle, so the sums
never wait for the loads, and there are enough independent sums (at least 8) to cover the latency of an addition. The
tile is as tall as the registers allow: 6 x 2 sums + 2 of B + 1 of A = 15 of the 16 of AVX2.

A may have any strides. B is *packed*: the panels lie one behind the other, ``(panel, k, WIDTH)``, so that a panel is
read in one sweep and stays in the L1 cache while the tiles go down C. The last panel is filled up with zeros.
"""

from __future__ import annotations

from .compile import kernel
from .vector import LANES, Emitter, Int, Pointer, Vec, vector_kernel

TILE_ROWS = {4: 8, 8: 6, 16: 12}[LANES]
WIDTH = 2 * LANES
"""Columns of a panel."""

LINE = 16
"""Floats in a cache line."""


def _tile(
    emit: Emitter,
    rows: int,
    a: Pointer,
    a_row: Int,
    a_step: Int,
    b: Pointer,
    b_row: Int,
    c: Pointer,
    c_row: Int,
    start: Pointer,
    start_row: Int,
    low: Pointer,
    length: Int,
    ahead: Pointer,
) -> None:
    """``rows`` rows of C, in registers from the first step to the last."""

    def step(_: Int, values: list) -> list:
        a, b, ahead, sums = values[0], values[1], values[2], values[3:]
        ahead.prefetch()
        left, right = b.load(), (b + LANES).load()
        new: list[Vec] = []
        for r in range(rows):
            x = (a + a_row * r).broadcast()
            new += [x * left + sums[2 * r], x * right + sums[2 * r + 1]]
        return [a + a_step, b + b_row, ahead + LINE, *new]

    places = [(r, j) for r in range(rows) for j in (0, LANES)]
    first = [(start + start_row * r + j).load() for r, j in places]
    sums = emit.loop(length, [a, b, ahead, *first], step)[3:]
    floor = low.broadcast()
    for (r, j), total in zip(places, sums, strict=True):
        (c + c_row * r + j).store(total.at_least(floor))


@vector_kernel
def multiply(
    emit: Emitter,
    a: Pointer,
    a_row: Int,
    a_step: Int,
    b: Pointer,
    b_row: Int,
    c: Pointer,
    c_row: Int,
    start: Pointer,
    start_row: Int,
    low: Pointer,
    rows: Int,
    length: Int,
    ahead: Pointer,
) -> None:
    """``C = max(start + A @ B, low)`` for ``rows`` rows and the ``WIDTH`` columns of one panel.

    ``A[m, k]`` is at ``a + m * a_row + k * a_step``, ``B[k, :]`` at ``b + k * b_row`` (``WIDTH`` if packed), ``C[m, :]``
    at ``c + m * c_row``, and ``start[m, :]`` at ``start + m * start_row``: C itself to add to it, or with ``start_row``
    0 one bias for all rows. While a tile is computed, one cache line a step is prefetched from ``ahead`` on: what the
    caller needs next.
    """

    def full_tile(_: Int, values: list) -> list:
        a, c, start, ahead = values
        _tile(emit, TILE_ROWS, a, a_row, a_step, b, b_row, c, c_row, start, start_row, low, length, ahead)
        down = (a_row * TILE_ROWS, c_row * TILE_ROWS, start_row * TILE_ROWS, length * LINE)
        return [p + n for p, n in zip(values, down, strict=True)]

    tiles = rows.quotient(TILE_ROWS)
    a, c, start, ahead = emit.loop(tiles, [a, c, start, ahead], full_tile)

    def last_tile(height: int) -> None:
        _tile(emit, height, a, a_row, a_step, b, b_row, c, c_row, start, start_row, low, length, ahead)

    emit.choose(rows - tiles * TILE_ROWS, {n: lambda n=n: last_tile(n) for n in range(1, TILE_ROWS)})


@vector_kernel
def copy_rows(
    emit: Emitter, to: Pointer, to_row: Int, source: Pointer, source_row: Int, length: Int, rows: Int
) -> None:
    """Copy ``rows`` rows of ``length >= 1`` floats; the last vector of each row is filled up with zeros.

    Reads nothing past a row, but writes whole vectors: up to ``LANES - 1`` zeros behind each.
    """
    whole = (length - 1).quotient(LANES)
    mask = emit.mask(length - whole * LANES)

    def row(_: Int, values: list) -> list:
        to, source = values

        def vector(_: Int, values: list) -> list:
            t, s = values
            t.store(s.load())
            return [t + LANES, s + LANES]

        t, s = emit.loop(whole, [to, source], vector)
        t.store(s.load(mask))
        return [to + to_row, source + source_row]

    emit.loop(rows, [to, source], row)


@vector_kernel
def copy_rows_exactly(
    emit: Emitter, to: Pointer, to_row: Int, source: Pointer, source_row: Int, length: Int, rows: Int
) -> None:
    """Copy ``rows`` rows of ``length`` floats, and touch nothing past a row."""
    whole = length.quotient(LANES)
    mask = emit.mask(length - whole * LANES)
    has_rest = emit.minimum(length - whole * LANES, 1)

    def row(_: Int, values: list) -> list:
        to, source = values

        def vector(_: Int, values: list) -> list:
            t, s = values
            t.store(s.load())
            return [t + LANES, s + LANES]

        t, s = emit.loop(whole, [to, source], vector)
        emit.choose(has_rest, {1: lambda: t.store(s.load(mask), mask)})
        return [to + to_row, source + source_row]

    emit.loop(rows, [to, source], row)


@vector_kernel
def clear_rows(emit: Emitter, to: Pointer, to_row: Int, length: Int, rows: Int) -> None:
    """Write zeros into ``rows`` rows of ``length`` floats, rounded up to whole vectors."""

    def row(_: Int, values: list) -> list:
        def vector(_: Int, values: list) -> list:
            values[0].store(emit.zero())
            return [values[0] + LANES]

        emit.loop((length + (LANES - 1)).quotient(LANES), values, vector)
        return [values[0] + to_row]

    emit.loop(rows, [to], row)


@vector_kernel
def _gather(emit: Emitter, to: Pointer, source: Pointer, lane: Int) -> None:
    """One vector whose lanes lie ``lane`` floats apart in memory."""
    to.store(source.gather(lane))


@kernel
def pack(to, source, lane, order, columns):
    """Write one panel ``(order.size, WIDTH)``; ``B[k, n]`` is at ``source + order[k] + n * lane``.

    Only the first ``columns`` exist, the others become zero.
    """
    for k in range(order.size):
        for n in range(0, WIDTH, LANES):
            at, b = to + 4 * (k * WIDTH + n), source + 4 * (order[k] + n * lane)
            rest = min(columns - n, LANES)
            if rest <= 0:
                clear_rows(at, 0, LANES, 1)
            elif lane == 1:
                copy_rows(at, 0, b, 0, rest, 1)
            elif rest == LANES:
                _gather(at, b, lane)
            else:
                clear_rows(at, 0, LANES, 1)
                for i in range(rest):
                    copy_rows_exactly(at + 4 * i, 0, b + 4 * i * lane, 0, 1, 1)
