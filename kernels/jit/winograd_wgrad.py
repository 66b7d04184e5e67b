"""The weight gradient of 3x3 convolutions with stride 1 or 2, by Winograd's algorithm: see :mod:`.winograd_schemes`.

``gw = G^T [sum over tiles of (A gy A^T) * (B^T x B)] G``: for each point a product of all channels of the
transformed ``x`` by all of the transformed ``gy``, summed over the tiles (and over the points that share a value of the
filter), and one transform of the sums at the end.

A thread takes a block of filters, whose sums stay in its caches. With many tiles, it transforms them block by block,
and if there are few filters, only a part of them. With few tiles and many channels all tiles are transformed first, so
that the threads do not transform them again for every 64 x 64 filters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .compile import kernel
from .conv import Geometry
from .gemm import WIDTH, multiply_transposed
from .machine_code import call
from .parallel import parallel_for, threads
from .vector import LANES, LINE, take
from .winograd_schemes import scheme_of
from .winograd_tiles import Tiles, apart, ask_tiles, filter_of, read_gy, read_x, tables, tiles_of
from .workspace import address, counter, reserve, workspace

Array = Any

SHARE = 64
"""Channels of either kind in a block where all tiles are transformed first."""

SHARE_ROW = SHARE + 16
"""From one tile to the next: not a power of two, so that tiles do not fight for the same sets of the cache."""

SMALL, SMALL_MANY_POINTS, LARGE = (SHARE, 48), (SHARE, 24), (2 * SHARE, 32)
"""Channels of either kind in a block, and tiles, where tiles are transformed for each block of filters again.

The large one has 2.3 MiB of sums, which pass through L3, but each tile is transformed for twice as many filters.
"""


class Problem(NamedTuple):
    """What the kernels must know. Addresses in bytes, sizes in floats."""

    v: int  # transformed tiles of x (C / 64, points, tiles, 64), where all of them are kept
    m: int  # of gy
    gw: int  # gradients (splits, K in whole vectors, C, 3, 3)
    splits: int  # parts of the tiles
    share: int  # channels of either kind in a block of filters
    block: int  # tiles that are transformed together
    scratch: int  # of all workers
    scratch_size: int  # of one
    counter: int  # an int64: blocks taken


@parallel_for
def all_x_tiles(item, tiles, to):
    """Transform all tiles of x into ``(channels / 64, points, tiles, 64)``: an eighth of the tiles of 64 channels."""
    tiles = Tiles(*tiles)
    table = tables()
    channel, part, points_apart = item // 8 * SHARE, item % 8, apart(tiles.number * SHARE_ROW)
    channels = min(SHARE, tiles.x_channels - channel)
    for t in range(tiles.number * part // 8, tiles.number * (part + 1) // 8):
        at = to + 4 * (channel // SHARE * tiles.points * points_apart + t * SHARE_ROW)
        read_x(tiles, t, channel, channels, at, points_apart, table)


@parallel_for
def _all_gy_tiles(item, tiles, to):
    """The same for gy."""
    tiles = Tiles(*tiles)
    table = tables()
    channel, part, points_apart = item // 8 * SHARE, item % 8, apart(tiles.number * SHARE_ROW)
    channels = min(SHARE, tiles.y_channels - channel)
    for t in range(tiles.number * part // 8, tiles.number * (part + 1) // 8):
        at = to + 4 * (channel // SHARE * tiles.points * points_apart + t * SHARE_ROW)
        read_gy(tiles, t, channel, channels, at, points_apart, table)


@parallel_for
def _few_tiles(worker, tiles, p):
    """Take 64 x 64 filters: one product over all tiles for each point."""
    tiles, p = Tiles(*tiles), Problem(*p)
    number, columns = tiles.number, (tiles.y_channels + SHARE - 1) // SHARE
    sums_apart, v_apart = apart(SHARE * SHARE), apart(number * SHARE_ROW)
    sums = p.scratch + 4 * worker * p.scratch_size
    while True:
        i, j = divmod(take(p.counter), columns)
        if i * SHARE >= tiles.x_channels:
            break
        channels, y_channels = min(SHARE, tiles.x_channels - i * SHARE), min(SHARE, tiles.y_channels - j * SHARE)
        for point in range(tiles.points):
            a, b = p.v + 4 * (i * tiles.points + point) * v_apart, p.m + 4 * (j * tiles.points + point) * v_apart
            value, fresh = filter_of(tiles, point)
            for n in range(0, y_channels, WIDTH):
                c = sums + 4 * (value * sums_apart + n)
                start, start_row = (tiles.zeros, 0) if fresh else (c, SHARE)
                multiply_transposed(a, SHARE_ROW, b + 4 * n, SHARE_ROW, c, SHARE, start, start_row, channels, number)
        _write_gradients(tiles, p, 0, i * SHARE, channels, j * SHARE, y_channels, sums, sums_apart)


@parallel_for
def _many_tiles(worker, tiles, p):
    """Take a block of filters and a part of the tiles; the sums stay in cache while the tiles pass by."""
    tiles, p = Tiles(*tiles), Problem(*p)
    table = tables()
    share, v_row = p.share, p.share + LINE
    columns = (tiles.y_channels + share - 1) // share
    sums_apart, v_apart = apart(share * share), apart(p.block * v_row)
    sums = p.scratch + 4 * worker * p.scratch_size
    v = sums + 4 * tiles.filters * tiles.filters * sums_apart
    m = v + 4 * tiles.points * v_apart
    while True:
        item, split = divmod(take(p.counter), p.splits)
        i, j = divmod(item, columns)
        if i * share >= tiles.x_channels:
            break
        channels, y_channels = min(share, tiles.x_channels - i * share), min(share, tiles.y_channels - j * share)
        begin, end = tiles.number * split // p.splits, tiles.number * (split + 1) // p.splits
        for first in range(begin, end, p.block):
            count = min(p.block, end - first)
            for t in range(count):
                ask_tiles(tiles, first + t + 1, i * share, channels, j * share, y_channels)
                read_x(tiles, first + t, i * share, channels, v + 4 * t * v_row, v_apart, table)
                read_gy(tiles, first + t, j * share, y_channels, m + 4 * t * v_row, v_apart, table)
            for point in range(tiles.points):
                a = v + 4 * point * v_apart
                value, fresh = filter_of(tiles, point)
                for n in range(0, y_channels, WIDTH):
                    b, c = m + 4 * (point * v_apart + n), sums + 4 * (value * sums_apart + n)
                    start, start_row = (tiles.zeros, 0) if fresh and first == begin else (c, share)
                    multiply_transposed(a, v_row, b, v_row, c, share, start, start_row, channels, count)
        _write_gradients(tiles, p, split, i * share, channels, j * share, y_channels, sums, sums_apart)


@kernel
def _write_gradients(tiles, p, split, channel, channels, y_channel, y_channels, sums, values_apart):
    """Transform sums ``(values, channels, share)`` to the gradients of whole vectors of filters."""
    y_padded = (tiles.y_channels + LANES - 1) // LANES * LANES
    for c in range(channels):
        for n in range(0, y_channels, LANES):
            to = p.gw + 4 * 9 * ((split * y_padded + y_channel + n) * tiles.x_channels + channel + c)
            call(tiles.filter_gradients, (sums + 4 * (c * p.share + n), values_apart, to, 9 * tiles.x_channels))


@parallel_for
def _add_parts(item, parts, total):
    """A sixteenth of the sum over the first axis."""
    for i in range(total.size * item // 16, total.size * (item + 1) // 16):
        value = parts[0, i]
        for part in range(1, parts.shape[0]):
            value += parts[part, i]
        total[i] = value


def wgrad(gy: Array, x: Array, gw: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the weight into ``gw``."""
    scheme = scheme_of(conv.stride, conv.padding, gy.shape[1:3])
    workers, tiles = threads(), tiles_of(scheme, x, gy, conv.padding)
    c, k, points, values = x.shape[3], gy.shape[3], tiles.points, tiles.filters * tiles.filters
    padded = -(-k // LANES) * LANES
    few = tiles.number <= 256 and -(-c // SHARE) * -(-k // SHARE) >= 4
    small = SMALL if points <= 36 else SMALL_MANY_POINTS
    share, block = LARGE if not few and min(c, k) >= LARGE[0] else small
    filters = -(-c // share) * -(-k // share)
    splits = 1 if few or filters >= 2 * workers else min(2 * workers, tiles.number)
    parts = gw if splits == 1 and padded == k else workspace("parts", splits, padded * c * 9)
    size = values * apart(share * share) + (0 if few else points * 2 * apart(block * (share + LINE))) + LINE
    row = points * apart(tiles.number * SHARE_ROW) if few else 0
    p = Problem(
        v=reserve("values", -(-c // SHARE) * row),
        m=reserve("products", -(-k // SHARE) * row),
        gw=address(parts),
        splits=splits,
        share=share,
        block=block,
        scratch=reserve("scratch", workers * size),
        scratch_size=size,
        counter=counter(),
    )
    if few:
        all_x_tiles(-(-c // SHARE) * 8, tuple(tiles), p.v)
        _all_gy_tiles(-(-k // SHARE) * 8, tuple(tiles), p.m)
        _few_tiles(workers, tuple(tiles), tuple(p))
    else:
        _many_tiles(workers, tuple(tiles), tuple(p))
    if parts is not gw:
        _add_parts(16, parts[:, : gw.size], gw.reshape(-1))
