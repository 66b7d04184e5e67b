"""Words that move rows of floats: ask for them, copy, write past the caches, clear, turn."""

from __future__ import annotations

from .vector import LANES, LINE, Emitter, Int, Pointer, transposed, vector_kernel


@vector_kernel
def ask_rows(emit: Emitter, source: Pointer, source_row: Int, length: Int, rows: Int) -> None:
    """Ask for ``rows`` rows of ``length`` floats in the L1 cache; the last line only if the row fills it."""

    def row(_: Int, values: list) -> list:
        def line(_: Int, values: list) -> list:
            values[0].prefetch(1)
            return [values[0] + LINE]

        emit.loop(length.quotient(LINE), values, line)
        return [values[0] + source_row]

    emit.loop(rows, [source], row)


@vector_kernel
def copy_rows(
    emit: Emitter, to: Pointer, to_row: Int, source: Pointer, source_row: Int, length: Int, rows: Int
) -> None:
    """Copy ``rows`` rows of ``length`` floats; the last vector of each row is filled up with zeros.

    Reads nothing past a row, but writes whole vectors: up to ``LANES - 1`` zeros behind each.
    """
    _copy_rows(emit, to, to_row, source, source_row, length, rows, exactly=False)


@vector_kernel
def copy_rows_exactly(
    emit: Emitter, to: Pointer, to_row: Int, source: Pointer, source_row: Int, length: Int, rows: Int
) -> None:
    """Copy ``rows`` rows of ``length`` floats, and touch nothing past a row."""
    _copy_rows(emit, to, to_row, source, source_row, length, rows, exactly=True)


def _copy_rows(
    emit: Emitter,
    to: Pointer,
    to_row: Int,
    source: Pointer,
    source_row: Int,
    length: Int,
    rows: Int,
    exactly: bool,
) -> None:
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
        emit.choose(has_rest, {1: lambda: t.store(s.load(mask), mask if exactly else None)})
        return [to + to_row, source + source_row]

    emit.loop(rows, [to, source], row)


@vector_kernel
def stream_rows(
    emit: Emitter, to: Pointer, to_row: Int, source: Pointer, source_row: Int, length: Int, rows: Int
) -> None:
    """Copy ``rows`` rows of ``length`` floats past the caches: whole vectors, at multiples of a vector's size.

    A task that streams ends with :func:`fence`.
    """

    def row(_: Int, values: list) -> list:
        to, source = values

        def vector(_: Int, values: list) -> list:
            t, s = values
            t.stream(s.load())
            return [t + LANES, s + LANES]

        emit.loop(length.quotient(LANES), [to, source], vector)
        return [to + to_row, source + source_row]

    emit.loop(rows, [to, source], row)


@vector_kernel
def fence(emit: Emitter) -> None:
    """Let other threads see what was streamed before what follows."""
    emit.fence()


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
def turn(emit: Emitter, to: Pointer, to_row: Int, source: Pointer, source_row: Int, rows: Int, columns: Int) -> None:
    """``to[j, i] = source[i, j]`` for a source of so many rows and columns.

    Squares of ``LANES x LANES`` pass through registers; nothing past either matrix is touched.
    """
    one, none = emit.int(1), emit.int(0)

    def square(i: Int, j: Int, whole: bool) -> None:
        down, across = rows - i, columns - j
        mask = None if whole else emit.mask(across)
        corner = source + source_row * i + j
        lines = [corner + source_row * n for n in range(LANES)]
        if not whole:  # a row that is not there is read as the first
            lines = [emit.where(down, n, line, corner) for n, line in enumerate(lines)]
        for n, line in enumerate(transposed([line.load(mask) for line in lines])):
            mask = None if whole else emit.mask(emit.where(across, n, down, none))
            (to + to_row * (j + n) + i).store(line, mask)

    def columns_of_squares(jj: Int, _: list) -> list:
        def squares(ii: Int, _: list) -> list:
            i, j = ii * LANES, jj * LANES
            inside = emit.where(rows - i, LANES - 1, emit.where(columns - j, LANES - 1, one, none), none)
            emit.choose(inside, {1: lambda: square(i, j, True), 0: lambda: square(i, j, False)})
            return []

        emit.loop((rows + (LANES - 1)).quotient(LANES), [], squares)
        return []

    emit.loop((columns + (LANES - 1)).quotient(LANES), [], columns_of_squares)
