"""Tiles of an image on their way into and out of Winograd's transforms, for some channels at a time.

Most tiles lie wholly inside the image and are read and written by strides. For a tile that sticks out, a table holds
the address of every pixel: a row of zeros, or a place that nobody reads, for those that do not exist. For channels that
do not fill a vector another table holds places with room for one, and the channels are copied from or to there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .compile import kernel
from .finish import finish
from .machine_code import call
from .rows import ask_rows, copy_rows, copy_rows_exactly
from .vector import LANES
from .winograd_schemes import LARGEST, PAIRS, SCHEMES
from .winograd_transforms import transforms_of
from .workspace import address, zeros

Array = Any


class Tiles(NamedTuple):
    """Two images, one of which is convolved to the other, cut into tiles. Addresses in bytes, sizes in floats."""

    points: int  # in a tile
    side: int  # points in a row of them
    filters: int  # values of a filter, each way
    pixels: int  # of x in a tile, each way
    step: int  # pixels of x from one tile to the next
    outputs: int  # pixels of y in a tile, each way
    x: int  # (N, x_height, x_width, x_channels)
    x_height: int
    x_width: int
    x_channels: int
    y: int  # (N, y_height, y_width, y_channels)
    y_height: int
    y_width: int
    y_channels: int
    first_h: int  # row and column of x where the first tile begins: minus the padding, mostly
    first_w: int
    across: int  # tiles in a row of tiles
    down: int  # rows of tiles in an image
    number: int  # of tiles in all images
    zeros: int  # a pixel of zeros, of either image
    x_inside: int  # machine code, see `winograd_transforms`
    x_at_border: int
    y_inside: int
    y_at_border: int
    gy_inside: int
    gy_at_border: int
    filter_gradients: int


def tiles_of(scheme: int, x: Array, y: Array, padding: tuple[int, int]) -> Tiles:
    """The tiles of ``x (N, H, W, C)`` and of ``y (N, P, Q, K)``, to which it is convolved with this padding."""
    s, code = SCHEMES[scheme], transforms_of(scheme)
    down, across = -(-y.shape[1] // s.outputs), -(-y.shape[2] // s.outputs)
    if scheme == PAIRS:
        padding = 0, 0  # the zeros around the image are in the formulas
    return Tiles(
        *(s.points * s.points, s.points, s.filters or s.points, s.pixels, s.step, s.outputs),
        *(address(x), *x.shape[1:]),
        *(address(y), *y.shape[1:]),
        *(-padding[0], -padding[1]),
        *(across, down, x.shape[0] * down * across),
        zeros(max(x.shape[3], y.shape[3]) + LANES),
        *(code.x_inside, code.x_at_border, code.y_inside, code.y_at_border),
        *(code.gy_inside, code.gy_at_border, code.filter_gradients),
    )


@kernel
def apart(size):
    """Floats between the matrices of two points: 192 bytes past a multiple of 4 KiB, lest they fight for cache sets."""
    return (size + 1023) // 1024 * 1024 + 48


@kernel
def filter_of(tiles, point):
    """Which value of a filter belongs to a point, and whether it is the first point that has this one."""
    i, j = divmod(point, tiles.side)
    last = tiles.filters - 1
    return min(i, last) * tiles.filters + min(j, last), max(i, j) <= last


@kernel
def tables():
    """Two tables of addresses of a tile's pixels, and room for a vector of each: the second one leads to it."""
    found = np.empty(2 * LARGEST + LARGEST * LANES // 2, np.int64)
    for k in range(LARGEST):
        found[LARGEST + k] = found.ctypes.data + 8 * 2 * LARGEST + 4 * LANES * k
    return found


@kernel
def _position(tiles, tile):
    """Image, and row and column among its tiles."""
    n, rest = divmod(tile, tiles.down * tiles.across)
    i, j = divmod(rest, tiles.across)
    return n, i, j


@kernel
def read_x(tiles, tile, channel, channels, to, points_apart, table):
    """Transform some channels of one tile of x; what is outside the image is zero."""
    n, i, j = _position(tiles, tile)
    h, w, size = i * tiles.step + tiles.first_h, j * tiles.step + tiles.first_w, tiles.pixels
    height, width, pixel = tiles.x_height, tiles.x_width, tiles.x_channels
    corner = tiles.x + 4 * (((n * height + h) * width + w) * pixel + channel)
    done, whole = 0, channels // LANES * LANES
    if h >= 0 and w >= 0 and h + size <= height and w + size <= width:
        call(tiles.x_inside, (corner, width * pixel, pixel, to, points_apart, whole // LANES))
        done = whole
        if done == channels:
            return
    for r in range(size):
        for s in range(size):
            inside = 0 <= h + r < height and 0 <= w + s < width
            table[size * r + s] = corner + 4 * (r * width + s) * pixel if inside else tiles.zeros
    if done < whole:
        call(tiles.x_at_border, (table.ctypes.data, to, points_apart, whole // LANES))
    if whole < channels:
        rest = _with_room(table, size, whole, channels)
        call(tiles.x_at_border, (rest, to + 4 * whole, points_apart, 1))


@kernel
def read_gy(tiles, tile, channel, channels, to, points_apart, table):
    """Transform some channels of one tile of a gradient ``y``."""
    n, i, j = _position(tiles, tile)
    size = tiles.outputs
    i, j = i * size, j * size
    height, width, pixel = tiles.y_height, tiles.y_width, tiles.y_channels
    corner = tiles.y + 4 * (((n * height + i) * width + j) * pixel + channel)
    done, whole = 0, channels // LANES * LANES
    if i + size <= height and j + size <= width:
        call(tiles.gy_inside, (corner, width * pixel, pixel, to, points_apart, whole // LANES))
        done = whole
        if done == channels:
            return
    for r in range(size):
        for s in range(size):
            inside = i + r < height and j + s < width
            table[size * r + s] = corner + 4 * (r * width + s) * pixel if inside else tiles.zeros
    if done < whole:
        call(tiles.gy_at_border, (table.ctypes.data, to, points_apart, whole // LANES))
    if whole < channels:
        rest = _with_room(table, size, whole, channels)
        call(tiles.gy_at_border, (rest, to + 4 * whole, points_apart, 1))


@kernel
def _with_room(table, size, channel, channels):
    """Copy the channels from ``channel`` on of all pixels where there is room; the address of the second table."""
    rooms = table[LARGEST:]
    for k in range(size * size):
        copy_rows(rooms[k], 0, table[k] + 4 * channel, 0, channels - channel, 1)
    return rooms.ctypes.data


@kernel
def ask_tiles(tiles, tile, x_channel, x_channels, y_channel, y_channels):
    """Ask for some channels of one tile of x, as far as the tiles before it have not, and of a gradient y."""
    if tile >= tiles.number:
        return
    n, i, j = _position(tiles, tile)
    step, size = tiles.step, tiles.outputs
    new = tiles.pixels - step
    h, w = i * step + tiles.first_h + new, j * step + tiles.first_w + new
    _ask(tiles.x, n, tiles.x_height, tiles.x_width, tiles.x_channels, h, w, step, x_channel, x_channels)
    _ask(tiles.y, n, tiles.y_height, tiles.y_width, tiles.y_channels, i * size, j * size, size, y_channel, y_channels)


@kernel
def _ask(image, n, height, width, pixel, h, w, size, channel, channels):
    """The channels of ``size x size`` pixels, those that exist."""
    rows, columns = min(size, height - h), min(size, width - w)
    place = image + 4 * (((n * height + h) * width + w) * pixel + channel)
    for r in range(rows):
        ask_rows(place + 4 * r * width * pixel, pixel, channels, columns)


@kernel
def write_y(tiles, tile, channel, channels, products, points_apart, bias, ending, slot, more, table, nowhere):
    """Transform the products of one tile to pixels of ``y``, and finish them; those outside go ``nowhere``."""
    size = tiles.outputs
    height, width, pixel = tiles.y_height, tiles.y_width, tiles.y_channels
    if ending.residual and tile + 1 < tiles.number:  # what the next tile adds comes from memory meanwhile
        n, i, j = _position(tiles, tile + 1)
        _ask(ending.residual, n, height, width, pixel, i * size, j * size, size, channel, channels)
    n, i, j = _position(tiles, tile)
    i, j = i * size, j * size
    corner = tiles.y + 4 * (((n * height + i) * width + j) * pixel + channel)
    rows, columns = min(size, height - i), min(size, width - j)
    bias, done, whole = bias + 4 * channel, 0, channels // LANES * LANES
    if rows == columns == size:
        call(tiles.y_inside, (products, points_apart, bias, corner, width * pixel, pixel, whole // LANES))
        done = whole
    if done < channels:
        for r in range(size):
            for s in range(size):
                inside = r < rows and s < columns
                table[size * r + s] = corner + 4 * (r * width + s) * pixel if inside else nowhere
    if done < whole:
        call(tiles.y_at_border, (products, points_apart, bias, table.ctypes.data, whole // LANES))
    if whole < channels:
        at, rooms = 4 * whole, table[LARGEST:]
        call(tiles.y_at_border, (products + at, points_apart, bias + at, rooms.ctypes.data, 1))
        for k in range(size * size):
            copy_rows_exactly(table[k] + at, 0, rooms[k], 0, channels - whole, 1)
    if ending.wanted or ending.slots:
        for r in range(rows):
            place = corner + 4 * r * width * pixel
            finish(ending, place, pixel, place, pixel, channel, channels, columns, slot, more or r)
