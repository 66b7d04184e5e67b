"""3x3 convolutions with stride 1 or 2 by Winograd's algorithm, with fewer multiplications than a direct sum needs.

The schemes and why they work are in :mod:`.winograd_schemes`. F(4x4, 3x3), for one, needs 36 multiplications in place
of 144. Here the transforms are put around the products such that the values, 2.25 times as many as pixels, never leave
the cache:

- *Many tiles* (``_many_tiles``): a thread takes a block of tiles, transforms it (``V``), multiplies the matrix of each
  point by the transformed weights (``M = V U``) and transforms the products back, all in its L2. ``U`` is read from L3
  for every block, so a block has as many tiles as fit.
- *Few tiles, many channels* (``_few_tiles``): here ``U`` is the largest array, and writing it to memory would cost more
  than the products. All tiles are transformed first; then a thread transforms 64 x 64 filters in its L2, uses them for
  all tiles, and drops them.

The gradient with respect to the input is a convolution of ``gy`` with the filters turned round; with stride 2 each
pixel of ``gy`` makes four of it. That with respect to the weight is in :mod:`.winograd_wgrad`.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from .compile import kernel
from .conv import Geometry
from .finish import Epilogue, Finish, Moments, finish_of
from .gemm import TILE_ROWS, WIDTH, multiply
from .machine_code import call
from .parallel import parallel_for, threads
from .vector import LANES, LINE, take
from .winograd_schemes import BACK, saving, scheme_of
from .winograd_tiles import Tiles, apart, filter_of, read_x, tables, tiles_of, write_y
from .winograd_transforms import transforms_of
from .winograd_wgrad import SHARE, SHARE_ROW, all_x_tiles, wgrad
from .workspace import Kept, address, bias_row, counter, prepared, reserve

__all__ = ["dgrad", "fprop", "saving", "wgrad"]

Array = Any

MANY_TILES = 64
"""Above, the weights are transformed once and kept."""

BLOCK = {4: 24, 8: 24, 16: 40}[LANES]
"""Tiles of 36 points in a block, about: V and M of 64 channels have 0.5 MiB with AVX2, as has the L2 there."""


class Weights(NamedTuple):
    """3x3 filters to transform. Address in bytes, strides in floats."""

    transform: int  # machine code
    address: int
    lane: int  # from one output channel to the next; whole vectors of them
    step: int  # from one input channel to the next


class Problem(NamedTuple):
    """What else the kernels must know. Addresses in bytes, sizes in floats."""

    bias: int  # whole panels
    u: int  # transformed weights (values of a filter, panel, C, WIDTH)
    v: int  # transformed tiles (C / 64, points, tiles, 64), where all of them are kept
    block: int  # tiles in a block
    share: int  # output channels whose products are in cache together, whole panels
    scratch: int  # of all workers
    scratch_size: int  # of one
    counter: int  # an int64: blocks taken


@kernel
def _transform_weights(weights, n, c, to, values_apart):
    """Transform ``LANES`` filters, from output channel ``n`` on, of input channel ``c``."""
    source = weights.address + 4 * (n * weights.lane + c * weights.step)
    call(weights.transform, (source, weights.lane, to, values_apart))


@parallel_for
def _pack_weights(item, weights, u, channels, y_channels):
    """``U``: an eighth of the input channels of one panel."""
    weights = Weights(*weights)
    panels = (y_channels + WIDTH - 1) // WIDTH
    panel, part = item // 8, item % 8
    values_apart = apart(panels * channels * WIDTH)
    for c in range(channels * part // 8, channels * (part + 1) // 8):
        for n in range(panel * WIDTH, min(y_channels, panel * WIDTH + WIDTH), LANES):
            _transform_weights(weights, n, c, u + 4 * ((panel * channels + c) * WIDTH + n % WIDTH), values_apart)


@parallel_for
def _many_tiles(worker, tiles, p, ending):
    """Take blocks of tiles: transform, multiply, transform back."""
    tiles, p, ending = Tiles(*tiles), Problem(*p), Finish(*ending)
    table = tables()
    channels, y_channels = tiles.x_channels, tiles.y_channels
    panels = (y_channels + WIDTH - 1) // WIDTH
    v_row, m_row = (channels + LANES - 1) // LANES * LANES + 16, p.share + 16
    v_apart, m_apart, u_apart = apart(p.block * v_row), apart(p.block * m_row), apart(panels * channels * WIDTH)
    v = p.scratch + 4 * worker * p.scratch_size
    m = v + 4 * tiles.points * v_apart
    nowhere = m + 4 * tiles.points * m_apart
    while True:
        first = take(p.counter) * p.block
        if first >= tiles.number:
            break
        count = min(p.block, tiles.number - first)
        for t in range(count):
            read_x(tiles, first + t, 0, channels, v + 4 * t * v_row, v_apart, table)
        for channel in range(0, y_channels, p.share):
            share = min(p.share, y_channels - channel)
            for point in range(tiles.points):
                a = v + 4 * point * v_apart
                now, after = filter_of(tiles, point)[0], filter_of(tiles, (point + 1) % tiles.points)[0]
                for n in range(0, share, WIDTH):
                    u = p.u + 4 * (now * u_apart + (channel + n) * channels)
                    c = m + 4 * (point * m_apart + n)
                    ahead = u + 4 * channels * WIDTH
                    if n + WIDTH >= share:
                        ahead = p.u + 4 * (after * u_apart + channel * channels)
                    multiply(a, v_row, u, c, m_row, tiles.zeros, 0, count, channels, ahead, 0)
            for t in range(count):
                products, slot = m + 4 * t * m_row, first // p.block
                write_y(tiles, first + t, channel, share, products, m_apart, p.bias, ending, slot, t, table, nowhere)


@parallel_for
def _few_tiles(worker, tiles, weights, p, ending):
    """Take 64 output channels, and go through their filters 64 x 64 at a time."""
    tiles, weights, p, ending = Tiles(*tiles), Weights(*weights), Problem(*p), Finish(*ending)
    table = tables()
    number = tiles.number
    v_apart, u_apart = apart(number * SHARE_ROW), apart(SHARE * SHARE)
    m = p.scratch + 4 * worker * p.scratch_size
    u = m + 4 * tiles.points * v_apart
    nowhere = u + 4 * tiles.filters * tiles.filters * u_apart
    while True:
        y_channel = take(p.counter) * SHARE
        if y_channel >= tiles.y_channels:
            break
        y_channels = min(SHARE, tiles.y_channels - y_channel)
        for channel in range(0, tiles.x_channels, SHARE):
            channels = min(SHARE, tiles.x_channels - channel)
            for c in range(channels):
                for n in range(0, y_channels, LANES):
                    to = u + 4 * ((n // WIDTH * SHARE + c) * WIDTH + n % WIDTH)
                    _transform_weights(weights, y_channel + n, channel + c, to, u_apart)
            for point in range(tiles.points):
                a = p.v + 4 * (channel // SHARE * tiles.points + point) * v_apart
                for n in range(0, y_channels, WIDTH):
                    b = u + 4 * (filter_of(tiles, point)[0] * u_apart + n * SHARE)
                    c = m + 4 * (point * v_apart + n)
                    start, start_row = (tiles.zeros, 0) if channel == 0 else (c, SHARE_ROW)
                    ahead, ahead_tile = a + 4 * v_apart, TILE_ROWS * SHARE_ROW  # the next point
                    if point + 1 == tiles.points:
                        ahead = a
                    multiply(a, SHARE_ROW, b, c, SHARE_ROW, start, start_row, number, channels, ahead, ahead_tile)
        for t in range(number):
            products = m + 4 * t * SHARE_ROW
            write_y(tiles, t, y_channel, y_channels, products, v_apart, p.bias, ending, 0, t, table, nowhere)


def fprop(
    x: Array,
    w: Array,
    bias: Array | None,
    y: Array,
    conv: Geometry,
    epilogue: Epilogue | Moments | None = None,
    kept: Kept | None = None,
) -> None:
    """Write ``x * w + bias`` into ``y``, and finish it."""
    w = _whole_vectors(w, 0)
    scheme = scheme_of(conv.stride, conv.padding, y.shape[1:3])
    weights = Weights(transforms_of(scheme).filter, address(w), 9 * w.shape[1], 9)
    _convolve(scheme, x, w, weights, bias, epilogue, y, conv.padding, kept)


def dgrad(gy: Array, w: Array, gx: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the input into ``gx``."""
    w = _whole_vectors(w, 1)
    scheme, padding = scheme_of(conv.stride, conv.padding, gx.shape[1:3]), (2 - conv.padding[0], 2 - conv.padding[1])
    if conv.stride == (2, 2):
        scheme, padding = BACK[scheme_of(conv.stride, conv.padding, gy.shape[1:3])], (0, 0)
    weights = Weights(transforms_of(scheme).turned_filter, address(w), 9, 9 * w.shape[1])
    _convolve(scheme, gy, w, weights, None, None, gx, padding, None)


def measures(w: Array, y_shape: tuple[int, ...], conv: Geometry) -> bool:
    """Whether :func:`fprop` can take moments."""
    return True


def _whole_vectors(w: Array, axis: int) -> Array:
    """Zero filters added to fill the last vector."""
    if w.shape[axis] % LANES == 0:
        return w
    padded = np.zeros([n if i != axis else -(-n // LANES) * LANES for i, n in enumerate(w.shape)], np.float32)
    padded[tuple(slice(n) for n in w.shape)] = w
    return padded


def _convolve(
    scheme: int,
    x: Array,
    w: Array,
    weights: Weights,
    bias: Array | None,
    epilogue: Epilogue | Moments | None,
    y: Array,
    padding: tuple[int, int],
    kept: Kept | None,
) -> None:
    """One convolution; ``w`` holds the memory of ``weights``."""
    workers, tiles = threads(), tiles_of(scheme, x, y, padding)
    c, k, points, values = x.shape[3], y.shape[3], tiles.points, tiles.filters * tiles.filters
    panels = -(-k // WIDTH)
    shift = bias_row(bias, panels * WIDTH)
    if tiles.number <= MANY_TILES and c * k >= 128 * 128 and k > SHARE * (workers - 1):  # something for each to do
        row = apart(tiles.number * SHARE_ROW)
        v = reserve("values", -(-c // SHARE) * points * row)
        size = points * row + values * apart(SHARE * SHARE) + k + LINE
        p = Problem(shift, 0, v, 0, 0, reserve("scratch", workers * size), size, counter())
        all_x_tiles(-(-c // SHARE) * 8, tuple(tiles), v)
        _few_tiles(workers, tuple(tiles), tuple(weights), tuple(p), tuple(finish_of(y, epilogue, 1)))
        return
    share, block = min(panels * WIDTH, 256), _block(points, tiles.number, workers)

    def fill(u: Array) -> None:
        _pack_weights(panels * 8, tuple(weights), address(u), c, k)

    u = prepared("values", (values * apart(panels * c * WIDTH),), fill, kept, scheme)
    size = points * (apart(block * (c + LANES + 16)) + apart(block * (share + 16))) + k + LINE
    p = Problem(shift, address(u), 0, block, share, reserve("scratch", workers * size), size, counter())
    ending = finish_of(y, epilogue, -(-tiles.number // block))
    _many_tiles(workers, tuple(tiles), tuple(p), tuple(ending))


@functools.lru_cache(maxsize=1024)
def _block(points: int, tiles: int, workers: int) -> int:
    """Tiles in a block: about ``BLOCK`` of 36 points, and such that the threads end together."""
    usual = BLOCK * 36 // points

    def cost(block: int) -> float:
        blocks = -(-tiles // block)
        rounds = -(-blocks // workers)
        return rounds * (block // TILE_ROWS * TILE_ROWS + block % TILE_ROWS * 1.3 + 3)

    return min(range(usual * 2 // 3 // 4 * 4, usual * 4 // 3 + 1, 2), key=cost)
