"""A patch: the part of an image that a line of windows sees, copied with zeros where they leave the image.

In it the ``S C`` floats under each row of a window are neighbours, its rows lie ``patch_row`` apart, and windows
``stride C``. So :func:`.gemm.multiply_windows` reads a window from there, and nobody need put its ``R S C`` floats side
by side, which would copy each float up to ``R S`` times: a first layer's 3x3 window of 27 took 67 cycles to gather and
120 to multiply by 32 filters. To copy its share of a patch takes 18.
"""

from __future__ import annotations

from .compile import kernel
from .conv_matrix import Rows, Windows
from .rows import clear_rows, copy_rows
from .vector import LINE

SHORTEST = 24
"""Windows in a line from which on a product of their own serves them well: below, gathering takes less time."""


def room(rows: Rows, windows: Windows, block: int) -> tuple[int, int]:
    """What the columns of so many windows need: their floats, and from one row of a patch to the next.

    The latter is 0 if they are to be gathered: unless the pieces are the rows of the window, and lines long enough.
    """
    if rows.columns < 2 or windows.columns < SHORTEST:
        return block * rows.stride, 0
    columns, channels = (min(block, windows.columns) - 1) * windows.stride_w + rows.columns, windows.pixel
    row = columns * channels // LINE * LINE + 2 * LINE
    return ((block - 1) // windows.columns + 2) * rows.most * row, row


@kernel
def line_of(windows, first, count):
    """How many of ``count`` windows from ``first`` on are of one line."""
    return min(count, windows.columns - first % windows.columns)


@kernel
def copy_line(to, columns, windows, n, h, left):
    """Copy ``columns`` pixels of line ``h`` of image ``n`` from column ``left`` on; outside the image is zero.

    Writes whole vectors: up to ``LANES - 1`` zeros behind the line.
    """
    pixel = windows.pixel
    before, end = min(max(0, -left), columns), min(columns, windows.width - left)
    if h < 0 or h >= windows.height or end <= before:
        clear_rows(to, 0, columns * pixel, 1)
        return
    if before > 0:
        clear_rows(to, 0, before * pixel, 1)
    source = windows.image + 4 * ((n * windows.height + h) * windows.width + left + before) * pixel
    copy_rows(to + 4 * before * pixel, 0, source, 0, (end - before) * pixel, 1)
    if end < columns:
        clear_rows(to + 4 * end * pixel, 0, (columns - end) * pixel, 1)


@kernel
def copy_patches(to, row, windows, first, count, pieces):
    """Copy the patches of ``count`` windows from ``first`` on: some rows of each line of them."""
    done = 0
    while done < count:
        line = line_of(windows, first + done, count - done)
        n, rest = divmod(first + done, windows.rows * windows.columns)
        i, q = divmod(rest, windows.columns)
        columns = (line - 1) * windows.stride_w + pieces[0, 2]
        for piece in range(pieces.shape[0]):
            h, left = i * windows.stride_h + pieces[piece, 0], q * windows.stride_w + pieces[piece, 1]
            copy_line(to, columns, windows, n, h, left)
            to += 4 * row
        done += line
