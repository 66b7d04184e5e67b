"""Matrix products of float32, and stacks of them: cache blocks around the product of :mod:`.gemm`.

A thread takes a block of C and goes through the sum in chunks; a block of A stays in its L2 meanwhile, and a panel of B
in L1 while the tiles go down the rows::

    for block of C (rows x columns), on any thread:
        for chunk of the sum (DEPTH):
            copy A[rows, chunk], if it does not lie well
            pack B[chunk, columns], if there is but one block of rows; else all threads packed B before
            for panel of columns:  C[rows, panel] += A[rows, chunk] @ panel

A and B may be stored by rows or by columns. A is read where it lies if its rows are contiguous and not pages apart
(:data:`.gemm.FAR`). With so few rows that packing B would not pay, A by rows and B by columns make dot products
(:mod:`.dots`). In a product of still fewer rows, of a layer with a small batch, all that counts is to read B fast:
once, and where it lies. By rows it is multiplied in strips that go along some rows together.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from .compile import kernel
from .dots import COLUMNS as GROUP, row_products
from .gemm import FAR, TILE_ROWS, UNFINISHED, WIDTH, multiply_unpacked, multiply_windows
from .narrow import MOST, dots
from .panels import Operand, pack_panels, pack_part
from .parallel import parallel_for, threads
from .rows import copy_rows_exactly, fence, turn
from .vector import LANES, LINE, take
from .workspace import address, bias_row, counter, reserve, streams, workspace, zeros

Array = Any

ROWS, COLUMNS, DEPTH = 144, 512, 256
"""The largest block: A[rows, chunk] has 144 KiB."""

OWN_COLUMNS = 128
"""The same where a thread packs B itself: B[chunk, columns] has 128 KiB."""

FEW = 16
"""Rows of A up to which B is not packed, if it is contiguous by rows."""

STRIP, SPAN = 48, 1024
"""Rows of B that are gone along together, each a page of its own, and how far: columns of a task."""

SOME = 32
"""Columns of C that are a task where they are products of rows of memory, at most."""

SHORT = 16 * LANES
"""Rows of memory that are shorter are not worth dot products, whose lanes must be added up."""

SOURCE_ROW = DEPTH + LINE
"""From one row of a copied block of A to the next: no power of two."""


class Problem(NamedTuple):
    """What the kernel must know of shapes. Strides in floats."""

    a: Operand
    b: Operand
    stack: int  # products
    m: int
    n: int
    k: int
    rows: int  # of a block
    columns: int
    depth: int
    copies: int  # whether blocks of A are copied
    packed: int  # floats of B if all of it is packed before; 0: each thread packs what it needs
    packed_stack: int  # from one matrix to the next
    scratch_size: int  # of one worker
    dots: bool  # whether it is one product of at most MOST rows with a B by columns
    lying: bool  # whether it is products of more rows, but not many, with a B by columns, as both lie
    few: bool  # whether it is one product of few rows with a B that is to be read once, as it lies


class Places(NamedTuple):
    """Where everything is: addresses in bytes."""

    a: int
    b: int
    c: int  # (stack, m, n)
    packed: int
    bias: int  # a row to add, whole panels
    scratch: int  # of all workers
    counter: int  # an int64: blocks taken
    streams: int  # whether C is written past the caches


@kernel
def _named(p):
    """The problem whose parts are these."""
    return Problem(Operand(*p[0]), Operand(*p[1]), *p[2:])


@kernel
def _copy_part(to, address, a, matrix, m, k, rows, length):
    """A part of some rows of A, as rows; from row m and column k on."""
    if a.by_columns:
        turn(to, SOURCE_ROW, address + 4 * (matrix * a.stack + k * a.line + m), a.line, length, rows)
    else:
        copy_rows_exactly(to, SOURCE_ROW, address + 4 * (matrix * a.stack + m * a.line + k), a.line, length, rows)


@parallel_for
def _blocks(worker, p, at):
    """One worker: take blocks of C."""
    p, at = _named(p), Places(*at)
    a, b = p.a, p.b
    source = at.scratch + 4 * worker * p.scratch_size
    aside, aside_row = source + 4 * p.rows * SOURCE_ROW, p.columns + LINE
    own = aside + 4 * p.rows * aside_row
    down, across = (p.m + p.rows - 1) // p.rows, (p.n + p.columns - 1) // p.columns
    while True:
        item = take(at.counter)
        if item >= p.stack * down * across:
            break
        matrix, rest = divmod(item, down * across)
        m, n = rest % down * p.rows, rest // down * p.columns
        rows, columns = min(p.rows, p.m - m), min(p.columns, p.n - n)
        inside = columns // WIDTH * WIDTH  # columns that are summed up in C itself
        for k in range(0, p.k, p.depth):
            length = min(p.depth, p.k - k)
            left, left_row = at.a + 4 * (matrix * a.stack + m * a.line + k), a.line
            if p.copies:
                left, left_row = source, SOURCE_ROW
                _copy_part(source, at.a, a, matrix, m, k, rows, length)
            panels, panel_step = at.packed + 4 * (matrix * p.packed_stack + n * p.k + k * WIDTH), p.k
            if not p.packed:
                panels, panel_step = own, DEPTH
                pack_part(own, DEPTH * WIDTH, at.b, b, matrix, k, n, length, columns)
            for j in range(0, columns, WIDTH):
                panel = panels + 4 * j * panel_step
                c, c_row = aside + 4 * j, aside_row
                if j < inside:
                    c, c_row = at.c + 4 * ((matrix * p.m + m) * p.n + n + j), p.n
                start, start_row = c, c_row
                if k == 0:
                    start, start_row = at.bias + 4 * (n + j), 0
                ahead = panel + 4 * WIDTH * panel_step if j + WIDTH < columns else panels
                past, half = int(at.streams and j < inside), int(columns - j <= LANES)
                multiply_windows(
                    *(left, left_row, 0, 1, panel, c, c_row, start, start_row),
                    *(rows, length, ahead, 0, past, half),
                    *UNFINISHED,
                )
        if inside < columns:
            c = at.c + 4 * ((matrix * p.m + m) * p.n + n + inside)
            copy_rows_exactly(c, p.n, aside + 4 * inside, aside_row, columns - inside, rows)
    if at.streams:
        fence()


@parallel_for
def _few_rows(item, p, at):
    """Some columns of C, of few rows: B is read once, a strip of ``STRIP`` rows after the other."""
    p, at = _named(p), Places(*at)
    first, end = item * SPAN, min(item * SPAN + SPAN, p.n)
    for k in range(0, p.k, STRIP):
        length = min(STRIP, p.k - k)
        for n in range(first, end, WIDTH):
            b, c = at.b + 4 * (k * p.b.line + n), at.c + 4 * n
            start, start_row = (at.bias + 4 * n, 0) if k == 0 else (c, p.n)
            multiply_unpacked(at.a + 4 * k, p.a.line, b, p.b.line, c, p.n, start, start_row, p.m, length)


@parallel_for
def _lying(item, p, at, some):
    """`some` columns of C, as dot products of rows of A and columns of B, both contiguous."""
    p, at = _named(p), Places(*at)
    matrix, part = divmod(item, (p.n + some - 1) // some)
    first = part * some
    a, b = at.a + 4 * matrix * p.a.stack, at.b + 4 * (matrix * p.b.stack + first * p.b.line)
    c, columns = at.c + 4 * (matrix * p.m * p.n + first), min(some, p.n - first)
    row_products(a, p.a.line, b, p.b.line, at.bias + 4 * first, c, p.n, p.m, columns, p.k)


@parallel_for
def _dots(item, a, padded, b, line, k, m, n, nothing, sums):
    """Some columns of C, of at most :data:`.narrow.MOST` rows: ``sums (n, m)`` of the products of rows of memory."""
    first = item * SOME
    place, row = b + 4 * first * line, sums + 4 * first * m
    dots(place, line, 0, 1, k, a, padded, nothing, row, m, m, min(SOME, n - first))


def _of_few_rows(a: Array, b: int, line: int, out: Array, bias: Array | None) -> None:
    """The product of few rows ``a (m, k)`` and a matrix by columns, which is read once, as it lies."""
    (m, k), n = a.shape, out.shape[1]
    padded = _padded(k, LANES)
    if a.strides != (4 * padded, 4):
        rows = workspace("values", m, padded)
        rows[:, :k], rows[:, k:] = a, 0
        a = rows
    sums = workspace("scratch", n, m)
    _dots(-(-n // SOME), address(a), padded, b, line, k, m, n, zeros(MOST), address(sums))
    out[...] = sums.T
    if bias is not None:
        out += bias


def matmul(a: Array, b: Array, out: Array, bias: Array | None = None) -> None:
    """Write ``a (S, M, K) @ b (S, K, N) + bias (N,)`` into ``out``, which is C-contiguous; no dimension is empty.

    Strides may be anything; an operand that is contiguous neither by rows nor by columns is copied.
    """
    workers = threads()
    left, right = _operand(a.shape, a.strides), _operand(b.shape, b.strides)
    if left is None:
        a = np.ascontiguousarray(a)
        left = _operand(a.shape, a.strides)
    if right is None:
        b = np.ascontiguousarray(b)
        right = _operand(b.shape, b.strides)
    problem, shapes = _problem(left, right, *out.shape, a.shape[2], workers)
    n = problem.n
    if problem.dots:
        _of_few_rows(a[0], address(b), right.line, out[0], bias)
        return
    row = bias_row(bias, n + WIDTH)
    if problem.lying:
        some = min(SOME, _padded(-(-problem.stack * n // (4 * workers)), GROUP))
        places = Places(address(a), address(b), address(out), 0, row, 0, 0, 0)
        _lying(problem.stack * -(-n // some), shapes, tuple(places), some)
        return
    if problem.few:
        places = Places(address(a), address(b), address(out), 0, row, 0, 0, 0)
        _few_rows(-(-n // SPAN), shapes, tuple(places))
        return
    packed = 0
    if problem.packed:
        packed, matrices = reserve("values", problem.packed), problem.stack if right.stack else 1
        pack_panels(address(b), right, packed, matrices, problem.k, n)
    past = streams(out) if problem.depth == problem.k else 0
    scratch = reserve("scratch", workers * problem.scratch_size)
    places = Places(address(a), address(b), address(out), packed, row, scratch, counter(), past)
    _blocks(workers, shapes, tuple(places))


@functools.lru_cache(maxsize=4096)
def _operand(shape: tuple[int, int, int], strides: tuple[int, int, int]) -> Operand | None:
    """A stack of matrices whose rows or columns are contiguous, else None."""
    _, rows, columns = shape
    stack, row, column = strides
    if (columns == 1 or column == 4) and row % 4 == 0:
        return Operand(stack // 4, row // 4, 0)
    if (rows == 1 or row == 4) and column % 4 == 0:
        return Operand(stack // 4, column // 4, 1)
    return None


@functools.lru_cache(maxsize=4096)
def _problem(left: Operand, right: Operand, stack: int, m: int, n: int, k: int, workers: int) -> tuple[Problem, Any]:
    """The problem, and as a kernel takes it."""
    rows, columns = _block(stack, m, n, workers)
    packed_stack = _padded(n, WIDTH) * k
    packs = m > ROWS
    problem = Problem(
        a=left,
        b=right,
        stack=stack,
        m=m,
        n=n,
        k=k,
        rows=rows,
        columns=columns,
        depth=-(-k // -(-k // DEPTH)),
        copies=int(left.by_columns or (left.line >= FAR and n > 2 * WIDTH)),
        packed=(stack if right.stack else 1) * packed_stack if packs else 0,
        packed_stack=packed_stack if right.stack else 0,
        dots=m <= MOST and stack == 1 and not left.by_columns and right.by_columns,
        lying=MOST < m <= ROWS and k >= SHORT and not left.by_columns and bool(right.by_columns),
        few=m <= FEW and stack == 1 and not left.by_columns and not right.by_columns and n % WIDTH == 0,
        scratch_size=rows * (SOURCE_ROW + columns + LINE) + (0 if packs else columns * DEPTH) + LINE,
    )
    return problem, (tuple(left), tuple(right), *problem[2:])


def _block(stack: int, m: int, n: int, workers: int) -> tuple[int, int]:
    """Rows and columns of a block, such that the threads end together; a block pays for loading A and panels of B."""

    def cost(block: tuple[int, int]) -> float:
        rows, columns = block
        items = stack * -(-m // rows) * -(-n // columns)
        return -(-items // workers) * (rows + 16) * (columns + 16)

    columns = _parts(n, COLUMNS if m > ROWS else OWN_COLUMNS, WIDTH)
    return min(itertools.product(_parts(m, ROWS, TILE_ROWS), columns), key=cost)


def _parts(size: int, most: int, step: int) -> list[int]:
    """Sizes of equal parts, in whole steps: from the largest that is allowed to a quarter of it."""
    parts = -(-size // most)
    return [_padded(-(-size // number), step) for number in range(parts, 4 * parts + 4)]


def _padded(size: int, step: int) -> int:
    return -(-size // step) * step
