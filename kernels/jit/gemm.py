"""Products of matrix blocks that stay in cache: the inner loop of every convolution here.

:func:`multiply` computes ``C = A @ B`` for a narrow panel of B, ``WIDTH`` = two vectors wide. It cuts C into tiles of
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

B is *packed*: the panels lie one behind the other, ``(panel, k, WIDTH)``, so that a panel is read in one sweep and
stays in the L1 cache while the tiles go down C. The last panel is filled up with zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .compile import kernel
from .finish import finishing
from .rows import clear_rows, copy_rows, copy_rows_exactly
from .vector import LANES, LINE, Emitter, Int, Pointer, Vec, transposed, vector_kernel

TILE_ROWS = {4: 8, 8: 6, 16: 12}[LANES]
WIDTH = 2 * LANES
"""Columns of a panel."""

FAR = 1024
"""Floats from one row of A to the next, a page, from which on a block of A is copied before it is used.

Caches find places for few lines whose addresses differ by multiples of 4 KiB, and nothing fetches ahead across pages.
"""

FURTHER = 8 * LINE
"""Floats from what is multiplied to what is asked for."""


class _Operands(NamedTuple):
    """The arguments of a product, as values of the machine code."""

    a: Pointer
    a_row: Int
    a_step: Int
    b: Pointer
    b_row: Int
    c: Pointer
    c_row: Int
    start: Pointer
    start_row: Int
    length: Int
    pieces: Int | None = None  # a row of A is so many runs of `length` floats
    a_piece: Int | None = None
    streams: Int | None = None  # whether C is written past the caches
    half: Int | None = None  # whether C has only the panel's first vector
    ends: Int | None = None  # whether C is finished: normalised by `factors`, and within `limits`; 2: plus `residual`
    factors: Pointer | None = None  # three rows of the panel's columns
    factors_row: Int | None = None
    limits: Pointer | None = None
    residual: Pointer | None = None
    residual_row: Int | None = None
    far: bool = False  # C is not expected in L2: its lines are asked for before the sums are made
    steps: int = 1  # in a turn of the loop


def _tile(emit: Emitter, rows: int, width: int, o: _Operands, fetch: Callable[[Pointer, Int], None]) -> None:
    """``rows`` rows of C, in registers from the first step to the last; ``fetch(a, i)`` prefetches something."""
    vectors = range(0, width, LANES)

    def step(i: Int, values: list) -> list:
        a, b, sums = values[0], values[1], values[2:]
        fetch(a, i)
        of_b = [(b + j).load() for j in vectors]
        new: list[Vec] = []
        for r in range(rows):
            x = (a + o.a_row * r).broadcast()
            new += [x * y + sums[len(new) + i] for i, y in enumerate(of_b)]
        return [a + o.a_step, b + o.b_row, *new]

    if o.far:
        lines, row = o.c, o.c_row
        if o.streams is not None:  # what passes the caches is not to be brought there
            lines, row = emit.where(o.streams, 0, o.start, o.c), emit.where(o.streams, 0, o.start_row, o.c_row)
        if o.ends is not None:
            lines, row = emit.where(o.ends, 1, o.residual, lines), emit.where(o.ends, 1, o.residual_row, row)
        for r in range(rows):
            for j in range(0, width, LINE):
                (lines + row * r + j).prefetch(1, write=True)
    places = [(r, j) for r in range(rows) for j in vectors]
    begin = [o.a, o.b, *[emit.zero()] * len(places)]
    if o.pieces is None:
        sums = emit.loop(o.length, begin, step, o.steps)[2:]
    else:
        gap = o.a_piece - o.length

        def piece(_: Int, values: list) -> list:
            a, *others = emit.loop(o.length, values, step)
            return [a + gap, *others]

        sums = emit.loop(o.pieces, begin, piece)[2:]
    # long sums are made of short ones: that rounds less
    totals = [(o.start + o.start_row * r + j).load() + total for (r, j), total in zip(places, sums, strict=True)]
    targets = [o.c + o.c_row * r + j for r, j in places]

    def write(last: Callable[[int], Callable[[int, Vec], Vec]], store: Callable[[Pointer, Vec], None]) -> None:
        for j in vectors:
            finished = last(j)
            for (r, column), target, total in zip(places, targets, totals, strict=True):
                if column == j:
                    store(target, finished(r, total))

    def put(last: Callable[[int], Callable[[int, Vec], Vec]]) -> None:
        if o.streams is None:
            write(last, Pointer.store)
        else:
            cases = {0: lambda: write(last, Pointer.store), 1: lambda: write(last, Pointer.stream)}
            emit.choose(o.streams, cases)

    def untouched(_: int) -> Callable[[int, Vec], Vec]:
        return lambda _, total: total

    def finished(adds: bool) -> Callable[[int], Callable[[int, Vec], Vec]]:
        def of_column(j: int) -> Callable[[int, Vec], Vec]:
            finish = finishing(o.factors + j, o.factors_row, o.limits)
            return lambda r, total: finish(total, (o.residual + o.residual_row * r + j).load() if adds else None)

        return of_column

    if o.ends is None:
        put(untouched)
    else:
        cases = {0: untouched, 1: finished(False), 2: finished(True)}
        emit.choose(o.ends, {n: lambda last=last: put(last) for n, last in cases.items()})


def _panel(emit: Emitter, rows: Int, o: _Operands, fetch: Callable[[Int], Callable[[Pointer, Int], None]]) -> None:
    """Go down C tile by tile; the last one has the rows that are left. ``fetch`` is given the number of the tile."""

    def at(tile: Int) -> _Operands:
        down = tile * TILE_ROWS
        moved = o._replace(a=o.a + o.a_row * down, c=o.c + o.c_row * down, start=o.start + o.start_row * down)
        return moved if o.residual is None else moved._replace(residual=o.residual + o.residual_row * down)

    def down(width: int) -> None:
        def whole(tile: Int, _: list) -> list:
            _tile(emit, TILE_ROWS, width, at(tile), fetch(tile))
            return []

        tiles = rows.quotient(TILE_ROWS)
        emit.loop(tiles, [], whole)
        cases = {n: lambda n=n: _tile(emit, n, width, at(tiles), fetch(tiles)) for n in range(1, TILE_ROWS)}
        emit.choose(rows - tiles * TILE_ROWS, cases)

    if o.half is None:
        down(WIDTH)
    else:
        emit.choose(o.half, {0: lambda: down(WIDTH), 1: lambda: down(LANES)})


@vector_kernel
def multiply(
    emit: Emitter,
    a: Pointer,
    a_row: Int,
    b: Pointer,
    c: Pointer,
    c_row: Int,
    start: Pointer,
    start_row: Int,
    rows: Int,
    length: Int,
    ahead: Pointer,
    ahead_tile: Int,
) -> None:
    """``C = start + A @ B`` for ``rows`` rows and the ``WIDTH`` columns of one packed panel.

    The rows of A are contiguous and ``a_row`` apart, those of C ``c_row``. ``start`` is C itself to add to it, or with
    ``start_row`` 0 one bias for all rows. On the way what the caller needs next is brought into L2: each tile asks for
    ``length`` cache lines, the first from ``ahead`` on, each further one ``ahead_tile`` floats behind; 0 for a panel.
    There must be memory: to ask for an address that has none walks through the page tables every time.
    """
    one, width = emit.int(1), emit.int(WIDTH)
    operands = _Operands(a, a_row, one, b, width, c, c_row, start, start_row, length, far=True)

    def fetch(tile: Int) -> Callable[[Pointer, Int], None]:
        return lambda a, i: (ahead + tile * ahead_tile + i * LINE).prefetch(2)

    _panel(emit, rows, operands, fetch)


@vector_kernel
def multiply_unpacked(
    emit: Emitter,
    a: Pointer,
    a_row: Int,
    b: Pointer,
    b_row: Int,
    c: Pointer,
    c_row: Int,
    start: Pointer,
    start_row: Int,
    rows: Int,
    length: Int,
) -> None:
    """As :func:`multiply`, but B lies as it is, its rows ``b_row`` apart: to be used once, it is not worth packing.

    The hardware does not follow so many rows at once, so what lies ``FURTHER`` in each is asked for.
    """
    operands = _Operands(a, a_row, emit.int(1), b, b_row, c, c_row, start, start_row, length)
    _panel(emit, rows, operands, lambda _: lambda _, i: (b + i * b_row + FURTHER).prefetch(1))


UNFINISHED = (0, 0, 0, 0, 0, 0)
"""The last arguments of :func:`multiply_windows`, from ``ends`` on, where nothing follows the sums."""


@vector_kernel
def multiply_windows(
    emit: Emitter,
    a: Pointer,
    a_row: Int,
    a_piece: Int,
    pieces: Int,
    b: Pointer,
    c: Pointer,
    c_row: Int,
    start: Pointer,
    start_row: Int,
    rows: Int,
    length: Int,
    ahead: Pointer,
    ahead_tile: Int,
    streams: Int,
    half: Int,
    ends: Int,
    factors: Pointer,
    factors_row: Int,
    limits: Pointer,
    residual: Pointer,
    residual_row: Int,
) -> None:
    """As :func:`multiply`, but a row of A is ``pieces`` runs of ``length`` floats, ``a_piece`` apart.

    With ``streams`` 1, C is written past the caches as by :func:`.rows.stream_rows`; with ``half`` 1, it has only
    the first ``LANES`` columns of the panel. With ``ends`` 1, each sum is finished as by :func:`.finish.finish` while
    it is in a register, with 2 after its row of ``residual`` was added, which is asked for in time.
    """
    one, width = emit.int(1), emit.int(WIDTH)
    operands = _Operands(
        *(a, a_row, one, b, width, c, c_row, start, start_row, length, pieces, a_piece, streams, half),
        *(ends, factors, factors_row, limits, residual, residual_row),
        far=True,
    )

    def fetch(tile: Int) -> Callable[[Pointer, Int], None]:
        return lambda a, i: (ahead + tile * ahead_tile + i * LINE).prefetch(2)

    _panel(emit, rows, operands, fetch)


@vector_kernel
def multiply_transposed(
    emit: Emitter,
    a: Pointer,
    a_step: Int,
    b: Pointer,
    b_row: Int,
    c: Pointer,
    c_row: Int,
    start: Pointer,
    start_row: Int,
    rows: Int,
    length: Int,
) -> None:
    """``C = start + A^T @ B``: row ``k`` of A, at ``a + k * a_step``, holds step ``k`` of all rows of C.

    B need not be packed. A tile reads a piece of every row of A, which the hardware does not foresee: so the piece of
    the next tile is brought into L1 meanwhile. Two steps are one turn of the loop, which gains three percent here.
    """
    operands = _Operands(a, emit.int(1), a_step, b, b_row, c, c_row, start, start_row, length, steps=2)
    _panel(emit, rows, operands, lambda _: lambda a, _: (a + (2 * TILE_ROWS - 1)).prefetch(1))


@vector_kernel
def multiply_blocks(
    emit: Emitter,
    a: Pointer,
    a_step: Int,
    b: Pointer,
    b_row: Int,
    c: Pointer,
    c_row: Int,
    start: Pointer,
    start_row: Int,
    rows: Int,
    length: Int,
    ahead_a: Pointer,
    ahead_b: Pointer,
    ahead_step: Int,
    half: Int,
) -> None:
    """As :func:`multiply_transposed`, of blocks that lie one behind the other in memory: asks for the next ones.

    Each step brings a cache line of the next block of A into L2, ``ahead_a`` being laid out as A is, and one of what B
    will be packed from, ``ahead_step`` floats behind the line before. There must be memory, see :func:`multiply`.
    ``half`` is that of :func:`multiply_windows`.
    """
    operands = _Operands(a, emit.int(1), a_step, b, b_row, c, c_row, start, start_row, length, half=half)

    def fetch(tile: Int) -> Callable[[Pointer, Int], None]:
        def ask(a: Pointer, i: Int) -> None:
            (a + (2 * TILE_ROWS - 1)).prefetch(1)
            (ahead_a + i * a_step + tile * LINE).prefetch(2)
            (ahead_b + i * ahead_step).prefetch(2)

        return ask

    _panel(emit, rows, operands, fetch)


@vector_kernel
def pack_rows(
    emit: Emitter, to: Pointer, to_panel: Int, source: Pointer, source_row: Int, columns: Int, rows: Int
) -> None:
    """Pack rows of a matrix into panels ``(panel, row, WIDTH)`` that are ``to_panel`` floats apart."""
    panels = columns.quotient(WIDTH)
    rest = columns - panels * WIDTH
    masks = [emit.mask(rest), emit.mask(rest - LANES)]

    def row(i: Int, values: list) -> list:
        def panel(j: Int, _: list) -> list:
            for half in (0, LANES):
                (to + to_panel * j + i * WIDTH + half).store((values[0] + j * WIDTH + half).load())
            return []

        emit.loop(panels, [], panel)

        def last() -> None:
            for half, mask in zip((0, LANES), masks, strict=True):
                (to + to_panel * panels + i * WIDTH + half).store((values[0] + panels * WIDTH + half).load(mask))

        emit.choose(emit.minimum(rest, 1), {1: last})
        return [values[0] + source_row]

    emit.loop(rows, [source], row)


@vector_kernel
def _gather(emit: Emitter, to: Pointer, source: Pointer, lane: Int) -> None:
    """One vector whose lanes lie ``lane`` floats apart in memory."""
    to.store(source.gather(lane))


@vector_kernel
def _transpose_square(emit: Emitter, to: Pointer, rows: Int, source: Pointer, lane: Int) -> None:
    """``LANES`` neighbours in memory of ``LANES`` columns, ``lane`` apart, into the rows that a table names."""
    square = transposed([(source + lane * i).load() for i in range(LANES)])
    for i, row in enumerate(square):
        (to + emit.int_in(rows, i) * WIDTH).store(row)


_ROWS = np.arange(LANES)


@kernel
def pack_columns(to, to_panel, source, lane, columns, rows):
    """Pack a matrix whose columns are contiguous, ``lane`` apart, into panels that are ``to_panel`` floats apart."""
    for n in range(0, columns, LANES):
        place = to + 4 * (n // WIDTH * to_panel + n % WIDTH)
        some = min(LANES, columns - n)
        b = source + 4 * n * lane
        squares = rows // LANES * LANES if some == LANES else 0
        for k in range(0, squares, LANES):
            _transpose_square(place + 4 * k * WIDTH, _ROWS.ctypes.data, b + 4 * k, lane)
        for k in range(squares, rows):
            if some == LANES:
                _gather(place + 4 * k * WIDTH, b + 4 * k, lane)
            else:
                clear_rows(place + 4 * k * WIDTH, 0, LANES, 1)
                for i in range(some):
                    copy_rows_exactly(place + 4 * (k * WIDTH + i), 0, b + 4 * (i * lane + k), 0, 1, 1)
    if 0 < columns % WIDTH <= LANES:  # the other half of the last panel
        clear_rows(to + 4 * (columns // WIDTH * to_panel + LANES), WIDTH, LANES, rows)


@kernel
def pack(to, source, lane, columns, offsets, order):
    """Write rows of one panel ``(k, WIDTH)``; ``B[k, n]`` is at ``source + offsets[k] + n * lane``.

    Only the first ``columns`` of them exist, the others become zero. ``order`` names the rows to write, sorted by their
    offsets: neighbours in memory are read together.
    """
    i = 0
    while i < order.size:
        k = order[i]
        square = i + LANES <= order.size and offsets[order[i + LANES - 1]] - offsets[k] == LANES - 1
        square = square and lane != 1 and columns == WIDTH
        for n in range(0, WIDTH, LANES):
            at, b = to + 4 * (k * WIDTH + n), source + 4 * (offsets[k] + n * lane)
            rest = min(columns - n, LANES)
            if square:
                _transpose_square(to + 4 * n, order[i:].ctypes.data, b, lane)
            elif rest == LANES and lane != 1:
                _gather(at, b, lane)
            elif rest > 0 and lane == 1:
                copy_rows(at, 0, b, 0, rest, 1)
            else:
                clear_rows(at, 0, LANES, 1)
                for j in range(rest):
                    copy_rows_exactly(at + 4 * j, 0, b + 4 * j * lane, 0, 1, 1)
        i += LANES if square else 1
