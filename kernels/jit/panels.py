"""Whole matrices packed into the panels of :mod:`.gemm`, on all threads."""

from __future__ import annotations

from typing import NamedTuple

from .compile import kernel
from .gemm import WIDTH, pack_columns, pack_rows
from .parallel import parallel_for

COLUMNS, ROWS = 8 * WIDTH, 256
"""Of a matrix, packed as one task: several panels, so that neighbours in memory are read together."""


class Operand(NamedTuple):
    """How a stack of matrices lies in memory; strides in floats."""

    stack: int  # from one matrix to the next, 0 for the same one
    line: int  # from one row, or column, to the next
    by_columns: int


@kernel
def pack_part(to, to_panel, address, b, matrix, k, n, rows, columns):
    """Pack rows of some panels, from row k and column n on, of the stack ``b`` at an address."""
    if b.by_columns:
        pack_columns(to, to_panel, address + 4 * (matrix * b.stack + n * b.line + k), b.line, columns, rows)
    else:
        pack_rows(to, to_panel, address + 4 * (matrix * b.stack + k * b.line + n), b.line, columns, rows)


@parallel_for
def _pack(item, address, b, to, to_stack, k, n):
    """A part of the rows of some panels of one matrix."""
    b = Operand(*b)
    across, down = (n + COLUMNS - 1) // COLUMNS, (k + ROWS - 1) // ROWS
    matrix, rest = divmod(item, across * down)
    column, row = rest % across * COLUMNS, rest // across * ROWS
    place = to + 4 * (matrix * to_stack + column * k + row * WIDTH)
    pack_part(place, k * WIDTH, address, b, matrix, row, column, min(ROWS, k - row), min(COLUMNS, n - column))


def pack_panels(address: int, b: Operand, to: int, matrices: int, k: int, n: int) -> None:
    """Pack ``b (matrices, k, n)`` from one address to another, as ``(matrices, panels, k, WIDTH)``."""
    _pack(matrices * -(-n // COLUMNS) * -(-k // ROWS), address, tuple(b), to, -(-n // WIDTH) * WIDTH * k, k, n)
