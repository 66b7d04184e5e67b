"""Matrix products of float32, and stacks of them: cache blocks around the product of :mod:`.gemm`.

A thread takes a block of C. For each chunk of the sum it packs its part of B, which then stays in its L2, a panel of it
in L1, and goes down the rows of A::

    for block of C (ROWS x COLUMNS), on any thread:
        for chunk of the sum (DEPTH):
            pack B[chunk, columns]
            for panel of columns:  C[rows, panel] += A[rows, chunk] @ panel

A may be stored by rows or by columns, and B too: packing brings both into one order.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads

from .gemm import (
    LINE,
    TILE_ROWS,
    WIDTH,
    copy_rows_exactly,
    multiply,
    multiply_transposed,
    pack_columns,
    pack_rows,
)
from .parallel import parallel_for
from .vector import take
from .workspace import address, counter, workspace, zeros

Array = Any

ROWS, COLUMNS, DEPTH = 192, 128, 256
"""The largest block: 192 KiB of A, 128 KiB of B."""

DEPTH_BY_COLUMNS = 96
"""Depth where A is stored by columns: then a tile has a cache line of each of them in L1."""


class Problem(NamedTuple):
    """What the kernel must know. Addresses in bytes, strides in floats."""

    a: int
    a_stack: int  # from one matrix to the next, 0 for the same one
    a_line: int  # from one row, or column, to the next
    a_by_columns: int
    b: int
    b_stack: int
    b_line: int
    b_by_columns: int
    c: int  # (stack, m, n), by rows
    stack: int
    m: int
    n: int
    k: int
    rows: int  # of a block
    columns: int
    bias: int  # a row to add, whole panels
    scratch: int  # of all workers
    scratch_size: int  # of one
    counter: int  # an int64: blocks taken


@parallel_for
def _blocks(worker, p):
    """One worker: take blocks of C."""
    packed = p.scratch + 4 * worker * p.scratch_size
    depth = DEPTH_BY_COLUMNS if p.a_by_columns else DEPTH
    aside = packed + 4 * p.columns * depth
    down, across = (p.m + p.rows - 1) // p.rows, (p.n + p.columns - 1) // p.columns
    while True:
        item = take(p.counter)
        if item >= p.stack * down * across:
            break
        matrix, rest = divmod(item, down * across)
        m, n = rest % down * p.rows, rest // down * p.columns
        rows, columns = min(p.rows, p.m - m), min(p.columns, p.n - n)
        for k in range(0, p.k, depth):
            length = min(depth, p.k - k)
            if p.b_by_columns:
                b = p.b + 4 * (matrix * p.b_stack + n * p.b_line + k)
                pack_columns(packed, depth * WIDTH, b, p.b_line, columns, length)
            else:
                b = p.b + 4 * (matrix * p.b_stack + k * p.b_line + n)
                pack_rows(packed, depth * WIDTH, b, p.b_line, columns, length)
            for j in range(0, columns, WIDTH):
                panel = packed + 4 * j * depth
                c, c_row = p.c + 4 * ((matrix * p.m + m) * p.n + n + j), p.n
                if columns - j < WIDTH:
                    c, c_row = aside, WIDTH
                start, start_row = (p.bias + 4 * (n + j), 0) if k == 0 else (c, c_row)
                if p.a_by_columns:
                    a = p.a + 4 * (matrix * p.a_stack + k * p.a_line + m)
                    multiply_transposed(a, p.a_line, panel, WIDTH, c, c_row, start, start_row, rows, length)
                else:
                    a = p.a + 4 * (matrix * p.a_stack + m * p.a_line + k)
                    ahead = panel + 4 * depth * WIDTH
                    multiply(a, p.a_line, panel, c, c_row, start, start_row, rows, length, ahead, 0)
        if columns % WIDTH:
            last = columns // WIDTH * WIDTH
            c = p.c + 4 * ((matrix * p.m + m) * p.n + n + last)
            copy_rows_exactly(c, p.n, aside, WIDTH, columns - last, rows)


def matmul(a: Array, b: Array, out: Array, bias: Array | None = None) -> None:
    """Write ``a (S, M, K) @ b (S, K, N) + bias (N,)`` into ``out``, which is C-contiguous; no dimension is empty.

    Strides may be anything; an operand that is contiguous neither by rows nor by columns is copied.
    """
    stack, m, n = out.shape
    workers = get_num_threads()
    (a, a_line, a_by_columns), (b, b_line, b_by_columns) = _by_lines(a), _by_lines(b)
    rows, columns = _block(stack, m, n, workers)
    row = zeros(-(-n // WIDTH) * WIDTH)
    if bias is not None:
        row = workspace("bias", -(-n // WIDTH) * WIDTH)
        row[:n] = bias
    scratch = workspace("scratch", workers, columns * DEPTH + rows * WIDTH + LINE)
    problem = Problem(
        a=address(a),
        a_stack=a.strides[0] // 4,
        a_line=a_line,
        a_by_columns=a_by_columns,
        b=address(b),
        b_stack=b.strides[0] // 4,
        b_line=b_line,
        b_by_columns=b_by_columns,
        c=address(out),
        stack=stack,
        m=m,
        n=n,
        k=a.shape[2],
        rows=rows,
        columns=columns,
        bias=address(row),
        scratch=address(scratch),
        scratch_size=scratch.shape[1],
        counter=counter(),
    )
    _blocks(workers, problem)


def _by_lines(x: Array) -> tuple[Array, int, int]:
    """A stack of matrices, the distance of its lines in floats, and whether these are columns."""
    _, rows, columns = x.shape
    row, column = x.strides[1:]
    if (columns == 1 or column == 4) and row % 4 == 0:
        return x, row // 4, 0
    if (rows == 1 or row == 4) and column % 4 == 0:
        return x, column // 4, 1
    return np.ascontiguousarray(x), columns, 0


@functools.lru_cache(maxsize=4096)
def _block(stack: int, m: int, n: int, workers: int) -> tuple[int, int]:
    """Rows and columns of a block: as large as caches allow, and at least some blocks for every thread.

    Columns are cut first, because each block packs its part of B.
    """
    rows, columns = min(m, ROWS), min(-(-n // WIDTH) * WIDTH, COLUMNS)

    def blocks() -> int:
        return stack * -(-m // rows) * -(-n // columns)

    while blocks() < 4 * workers and columns > 2 * WIDTH:
        columns = -(-columns // 2 // WIDTH) * WIDTH
    while blocks() < 2 * workers and rows > 4 * TILE_ROWS:
        rows = -(-rows // 2 // TILE_ROWS) * TILE_ROWS
    return rows, columns
