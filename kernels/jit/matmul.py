"""Matrix products of float32, and stacks of them: cache blocks around the product of :mod:`.gemm`.

A thread takes a block of C and goes through the sum in chunks; a block of A stays in its L2 meanwhile, and a panel of B
in L1 while the tiles go down the rows::

    for block of C (rows x columns), on any thread:
        for chunk of the sum (DEPTH):
            copy A[rows, chunk], if it does not lie well
            pack B[chunk, columns], if there is but one block of rows; else all threads packed B before
            for panel of columns:  C[rows, panel] += A[rows, chunk] @ panel

A and B may be stored by rows or by columns. A is read where it lies if its rows are contiguous and not pages apart
(:data:`.gemm.FAR`).
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads

from .compile import kernel
from .gemm import (
    FAR,
    LINE,
    TILE_ROWS,
    WIDTH,
    copy_rows_exactly,
    multiply,
    turn,
)
from .panels import Operand, pack_panels, pack_part
from .parallel import parallel_for
from .vector import take
from .workspace import address, counter, workspace, zeros

Array = Any

ROWS, COLUMNS, DEPTH = 144, 512, 256
"""The largest block: A[rows, chunk] has 144 KiB."""

OWN_COLUMNS = 128
"""The same where a thread packs B itself: B[chunk, columns] has 128 KiB."""

SOURCE_ROW = DEPTH + LINE
"""From one row of a copied block of A to the next: no power of two."""


class Problem(NamedTuple):
    """What else the kernels must know. Addresses in bytes, sizes in floats."""

    packed: int  # B: (stack, panel, k, WIDTH); 0 if every thread packs what it needs
    packed_stack: int  # from one matrix to the next
    c: int  # (stack, m, n)
    stack: int
    m: int
    n: int
    k: int
    rows: int  # of a block
    columns: int
    depth: int
    copies: int  # whether blocks of A are copied
    bias: int  # a row to add, whole panels
    scratch: int  # of all workers
    scratch_size: int  # of one
    counter: int  # an int64: blocks taken


@kernel
def _copy_part(to, a, matrix, m, k, rows, length):
    """A part of some rows of A, as rows; from row m and column k on."""
    if a.by_columns:
        turn(to, SOURCE_ROW, a.address + 4 * (matrix * a.stack + k * a.line + m), a.line, length, rows)
    else:
        copy_rows_exactly(to, SOURCE_ROW, a.address + 4 * (matrix * a.stack + m * a.line + k), a.line, length, rows)


@parallel_for
def _blocks(worker, a, b, p):
    """One worker: take blocks of C."""
    source = p.scratch + 4 * worker * p.scratch_size
    aside, aside_row = source + 4 * p.rows * SOURCE_ROW, p.columns + LINE
    own = aside + 4 * p.rows * aside_row
    down, across = (p.m + p.rows - 1) // p.rows, (p.n + p.columns - 1) // p.columns
    while True:
        item = take(p.counter)
        if item >= p.stack * down * across:
            break
        matrix, rest = divmod(item, down * across)
        m, n = rest % down * p.rows, rest // down * p.columns
        rows, columns = min(p.rows, p.m - m), min(p.columns, p.n - n)
        inside = columns // WIDTH * WIDTH  # columns that are summed up in C itself
        for k in range(0, p.k, p.depth):
            length = min(p.depth, p.k - k)
            left, left_row = a.address + 4 * (matrix * a.stack + m * a.line + k), a.line
            if p.copies:
                left, left_row = source, SOURCE_ROW
                _copy_part(source, a, matrix, m, k, rows, length)
            panels, panel_step = p.packed + 4 * (matrix * p.packed_stack + n * p.k + k * WIDTH), p.k
            if not p.packed:
                panels, panel_step = own, DEPTH
                pack_part(own, DEPTH * WIDTH, b, matrix, k, n, length, columns)
            for j in range(0, columns, WIDTH):
                panel = panels + 4 * j * panel_step
                c, c_row = aside + 4 * j, aside_row
                if j < inside:
                    c, c_row = p.c + 4 * ((matrix * p.m + m) * p.n + n + j), p.n
                start, start_row = c, c_row
                if k == 0:
                    start, start_row = p.bias + 4 * (n + j), 0
                ahead = panel + 4 * WIDTH * panel_step if j + WIDTH < columns else panels
                multiply(left, left_row, panel, c, c_row, start, start_row, rows, length, ahead, 0)
        if inside < columns:
            c = p.c + 4 * ((matrix * p.m + m) * p.n + n + inside)
            copy_rows_exactly(c, p.n, aside + 4 * inside, aside_row, columns - inside, rows)


def matmul(a: Array, b: Array, out: Array, bias: Array | None = None) -> None:
    """Write ``a (S, M, K) @ b (S, K, N) + bias (N,)`` into ``out``, which is C-contiguous; no dimension is empty.

    Strides may be anything; an operand that is contiguous neither by rows nor by columns is copied.
    """
    stack, m, n = out.shape
    k, workers = a.shape[2], get_num_threads()
    (a, left), (b, right) = _operand(a), _operand(b)  # arrays that must live on
    rows, columns = _block(stack, m, n, workers)
    shift = zeros(_padded(n, WIDTH))
    if bias is not None:
        shift = workspace("bias", _padded(n, WIDTH))
        shift[:n] = bias
    matrices = stack if right.stack else 1
    packed_stack = _padded(n, WIDTH) * k
    packed = workspace("values", matrices, packed_stack) if m > ROWS else None
    size = rows * (SOURCE_ROW + columns + LINE) + (columns * DEPTH if packed is None else 0) + LINE
    scratch = workspace("scratch", workers, size)
    problem = Problem(
        packed=0 if packed is None else address(packed),
        packed_stack=packed_stack if right.stack else 0,
        c=address(out),
        stack=stack,
        m=m,
        n=n,
        k=k,
        rows=rows,
        columns=columns,
        depth=-(-k // -(-k // DEPTH)),
        copies=int(left.by_columns or (left.line >= FAR and n > 2 * WIDTH)),
        bias=address(shift),
        scratch=address(scratch),
        scratch_size=scratch.shape[1],
        counter=counter(),
    )
    if packed is not None:
        pack_panels(right, problem.packed, matrices, k, n)
    _blocks(workers, left, right, problem)


def _operand(x: Array) -> tuple[Array, Operand]:
    """A stack of matrices whose rows or columns are contiguous, and the array that holds its memory."""
    _, rows, columns = x.shape
    stack, row, column = x.strides
    if (columns == 1 or column == 4) and row % 4 == 0:
        return x, Operand(address(x), stack // 4, row // 4, 0)
    if (rows == 1 or row == 4) and column % 4 == 0:
        return x, Operand(address(x), stack // 4, column // 4, 1)
    x = np.ascontiguousarray(x)
    return x, Operand(address(x), rows * columns, columns, 0)


@functools.lru_cache(maxsize=4096)
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
