"""3x3 convolutions with stride 1: Winograd's F(4x4, 3x3), which needs 36 multiplications where a direct sum needs 144.

The transforms and why they work are in :mod:`.winograd_transforms`. Here they are put around the products such that
the values, 2.25 times as many as pixels, never leave the cache:

- *Many tiles* (``_blocks``): a thread takes a block of tiles, transforms it (``V``), multiplies the 36 matrices by the
  transformed weights (``M = V U``) and transforms the products back, all in its L2. ``U`` is read from L3 for every
  block, so a block has as many tiles as fit.
- *Few tiles, many channels* (``_few_tiles``): here ``U`` is the largest array, and writing it to memory would cost more
  than the products. All tiles are transformed first; then a thread transforms 64 x 64 filters in its L2, uses them for
  all tiles, and drops them.
- The gradient with respect to the input is a convolution of ``gy`` with the filters turned round.
- The gradient with respect to the weight sums products of values over all tiles, and transforms the sums once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads

from .compile import kernel
from .conv import Geometry
from .gemm import LINE, TILE_ROWS, WIDTH, multiply, multiply_transposed
from .parallel import parallel_for
from .vector import LANES, take
from .winograd_transforms import (
    INPUT,
    OUTPUT,
    POINTS,
    filter_gradient_tile,
    filter_tile,
    gradient_tile_at_border,
    gradient_tile_inside,
    input_tile_at_border,
    input_tile_inside,
    output_tile_at_border,
    output_tile_inside,
)
from .workspace import address, workspace

Array = Any

SHARE = 64
"""Channels in a block where both kinds of channels are cut up."""

SHARE_ROW = SHARE + 16
"""From one tile to the next there: not a power of two, so that tiles do not fight for the same sets of the cache."""


class Problem(NamedTuple):
    """What the kernels must know. Addresses in bytes, strides and sizes in floats."""

    x: int  # image (N, height, width, channels)
    height: int
    width: int
    channels: int
    y: int  # image (N, y_height, y_width, y_channels): the result, or gy
    y_height: int
    y_width: int
    y_channels: int
    first_h: int  # row and column of x where the first tile begins: minus the padding
    first_w: int
    across: int  # tiles in a row of tiles
    down: int  # rows of tiles in an image
    tiles: int  # in all images
    block: int  # tiles in a block
    share: int  # output channels whose products are in cache together, whole panels
    weights: int
    lane: int  # in the weights: from one output channel to the next
    step: int  # from one input channel to the next
    turned: int  # whether the filters are turned round
    u: int  # transformed weights
    v: int  # transformed tiles of x, where all of them are kept
    m: int  # of gy
    gw: int  # weight gradients (splits, output channels, input channels, 3, 3)
    splits: int
    bias: int  # whole panels
    low: int  # two floats: -inf, and the least value of the result
    zeros: int  # a pixel of zeros
    scratch: int  # of all workers
    scratch_size: int  # of one
    counter: int  # an int64: blocks taken


@kernel
def apart(size):
    """Floats between the 36 matrices: 192 bytes past a multiple of 4 KiB, so that they do not fight for cache sets."""
    return (size + 1023) // 1024 * 1024 + 48


@kernel
def _position(p, tile):
    """Image, and row and column of the first output pixel of a tile."""
    n, rest = divmod(tile, p.down * p.across)
    i, j = divmod(rest, p.across)
    return n, i * OUTPUT, j * OUTPUT


@kernel
def _read_x(p, tile, channel, channels, to, row, table):
    """Transform some channels of one 6x6 tile of x; what is outside the image is zero."""
    n, i, j = _position(p, tile)
    h, w = i + p.first_h, j + p.first_w
    corner = p.x + 4 * (((n * p.height + h) * p.width + w) * p.channels + channel)
    done = 0
    if h >= 0 and w >= 0 and h + INPUT <= p.height and w + INPUT <= p.width:
        while done + LANES <= channels:
            input_tile_inside(corner + 4 * done, p.width * p.channels, p.channels, to + 4 * done, row)
            done += LANES
        if done == channels:
            return
    for r in range(INPUT):
        for s in range(INPUT):
            inside = 0 <= h + r < p.height and 0 <= w + s < p.width
            table[INPUT * r + s] = corner + 4 * (r * p.width + s) * p.channels if inside else p.zeros
    while done < channels:
        input_tile_at_border(table.ctypes.data, done, channels - done, to + 4 * done, row)
        done += LANES


@kernel
def _read_gy(p, tile, channel, channels, to, row, table):
    """Transform some channels of one 4x4 tile of gy."""
    n, i, j = _position(p, tile)
    corner = p.y + 4 * (((n * p.y_height + i) * p.y_width + j) * p.y_channels + channel)
    done = 0
    if i + OUTPUT <= p.y_height and j + OUTPUT <= p.y_width:
        while done + LANES <= channels:
            gradient_tile_inside(corner + 4 * done, p.y_width * p.y_channels, p.y_channels, to + 4 * done, row)
            done += LANES
        if done == channels:
            return
    for r in range(OUTPUT):
        for s in range(OUTPUT):
            inside = i + r < p.y_height and j + s < p.y_width
            table[OUTPUT * r + s] = corner + 4 * (r * p.y_width + s) * p.y_channels if inside else p.zeros
    while done < channels:
        gradient_tile_at_border(table.ctypes.data, done, channels - done, to + 4 * done, row)
        done += LANES


@kernel
def _write_y(p, tile, channel, channels, products, row, table, nowhere):
    """Transform the products of one tile back to pixels; those outside the image go ``nowhere``."""
    n, i, j = _position(p, tile)
    corner = p.y + 4 * (((n * p.y_height + i) * p.y_width + j) * p.y_channels + channel)
    bias, low, done = p.bias + 4 * channel, p.low + 4, 0
    if i + OUTPUT <= p.y_height and j + OUTPUT <= p.y_width:
        line = p.y_width * p.y_channels
        while done + LANES <= channels:
            at = 4 * done
            output_tile_inside(products + at, row, bias + at, low, corner + at, line, p.y_channels)
            done += LANES
        if done == channels:
            return
    for r in range(OUTPUT):
        for s in range(OUTPUT):
            inside = i + r < p.y_height and j + s < p.y_width
            table[OUTPUT * r + s] = corner + 4 * (r * p.y_width + s) * p.y_channels if inside else nowhere
    while done < channels:
        at = 4 * done
        output_tile_at_border(products + at, row, bias + at, low, table.ctypes.data, done, channels - done)
        done += LANES


@kernel
def _transform_weights(p, n, c, to, row):
    """Transform ``LANES`` filters, from output channel ``n`` on, of input channel ``c``."""
    source = p.weights + 4 * (n * p.lane + c * p.step)
    if p.turned:
        filter_tile(source + 4 * 8, p.lane, -3, -1, to, row)
    else:
        filter_tile(source, p.lane, 3, 1, to, row)


@parallel_for
def _pack_weights(item, p):
    """``U (36, panel, C, WIDTH)``: an eighth of the input channels of one panel."""
    panels = (p.y_channels + WIDTH - 1) // WIDTH
    panel, part = item // 8, item % 8
    row = apart(panels * p.channels * WIDTH)
    for c in range(p.channels * part // 8, p.channels * (part + 1) // 8):
        for n in range(panel * WIDTH, min(p.y_channels, panel * WIDTH + WIDTH), LANES):
            _transform_weights(p, n, c, p.u + 4 * ((panel * p.channels + c) * WIDTH + n % WIDTH), row)


@parallel_for
def _blocks(worker, p):
    """Many tiles: take blocks of tiles, transform, multiply, transform back."""
    table = np.empty(POINTS, np.int64)
    panels = (p.y_channels + WIDTH - 1) // WIDTH
    v_row, m_row = (p.channels + LANES - 1) // LANES * LANES + 16, p.share + 16
    v_apart, m_apart, u_apart = apart(p.block * v_row), apart(p.block * m_row), apart(panels * p.channels * WIDTH)
    v = p.scratch + 4 * worker * p.scratch_size
    m = v + 4 * POINTS * v_apart
    nowhere = m + 4 * POINTS * m_apart
    blocks = (p.tiles + p.block - 1) // p.block
    while True:
        block = take(p.counter)
        if block >= blocks:
            break
        first = block * p.block
        tiles = min(p.block, p.tiles - first)
        for t in range(tiles):
            _read_x(p, first + t, 0, p.channels, v + 4 * t * v_row, v_apart, table)
        for channel in range(0, p.y_channels, p.share):
            channels = min(p.share, p.y_channels - channel)
            for point in range(POINTS):
                for n in range(0, channels, WIDTH):
                    u = p.u + 4 * (point * u_apart + (channel + n) * p.channels)
                    a, c = v + 4 * point * v_apart, m + 4 * (point * m_apart + n)
                    following = u + 4 * p.channels * WIDTH
                    multiply(a, v_row, u, c, m_row, p.zeros, 0, p.low, tiles, p.channels, following)
            for t in range(tiles):
                _write_y(p, first + t, channel, channels, m + 4 * t * m_row, m_apart, table, nowhere)


@parallel_for
def _all_tiles(item, p, is_gy):
    """Transform all tiles of x or gy into ``(channels / 64, 36, tiles, 64)``: an eighth of the tiles of 64 channels."""
    table = np.empty(POINTS, np.int64)
    channel, part = item // 8 * SHARE, item % 8
    all_channels = p.y_channels if is_gy else p.channels
    channels, row = min(SHARE, all_channels - channel), apart(p.tiles * SHARE_ROW)
    for t in range(p.tiles * part // 8, p.tiles * (part + 1) // 8):
        at = 4 * (channel // SHARE * POINTS * row + t * SHARE_ROW)
        if is_gy:
            _read_gy(p, t, channel, channels, p.m + at, row, table)
        else:
            _read_x(p, t, channel, channels, p.v + at, row, table)


@parallel_for
def _few_tiles(worker, p):
    """Few tiles, many channels: take 64 output channels, and go through the filters 64 x 64 at a time."""
    table = np.empty(POINTS, np.int64)
    v_apart, u_apart = apart(p.tiles * SHARE_ROW), apart(SHARE * SHARE)
    m = p.scratch + 4 * worker * p.scratch_size
    u = m + 4 * POINTS * v_apart
    nowhere = u + 4 * POINTS * u_apart
    while True:
        channel = take(p.counter) * SHARE
        if channel >= p.y_channels:
            break
        channels = min(SHARE, p.y_channels - channel)
        for first in range(0, p.channels, SHARE):
            some = min(SHARE, p.channels - first)
            for c in range(some):
                for n in range(0, channels, LANES):
                    _transform_weights(
                        p, channel + n, first + c, u + 4 * ((n // WIDTH * SHARE + c) * WIDTH + n % WIDTH), u_apart
                    )
            for point in range(POINTS):
                a = p.v + 4 * (first // SHARE * POINTS + point) * v_apart
                for n in range(0, channels, WIDTH):
                    c = m + 4 * (point * v_apart + n)
                    start, start_row = (p.zeros, 0) if first == 0 else (c, SHARE_ROW)
                    b = u + 4 * (point * u_apart + n * SHARE)
                    ahead = a + 4 * v_apart  # the next point
                    multiply(a, SHARE_ROW, b, c, SHARE_ROW, start, start_row, p.low, p.tiles, some, ahead)
        for t in range(p.tiles):
            _write_y(p, t, channel, channels, m + 4 * t * SHARE_ROW, v_apart, table, nowhere)


@parallel_for
def _sum_few_tiles(worker, p):
    """Few tiles, many channels: take 64 x 64 filters; their gradient is one product over all tiles for each point."""
    rows, columns = (p.channels + SHARE - 1) // SHARE, (p.y_channels + SHARE - 1) // SHARE
    sums_apart, v_apart = apart(SHARE * SHARE), apart(p.tiles * SHARE_ROW)
    sums = p.scratch + 4 * worker * p.scratch_size
    while True:
        item = take(p.counter)
        if item >= rows * columns:
            break
        i, j = divmod(item, columns)
        channels, y_channels = min(SHARE, p.channels - i * SHARE), min(SHARE, p.y_channels - j * SHARE)
        for point in range(POINTS):
            a, b = p.v + 4 * (i * POINTS + point) * v_apart, p.m + 4 * (j * POINTS + point) * v_apart
            for n in range(0, y_channels, WIDTH):
                c = sums + 4 * (point * sums_apart + n)
                multiply_transposed(a, SHARE_ROW, b + 4 * n, SHARE_ROW, c, SHARE, p.zeros, 0, p.low, channels, p.tiles)
        _write_gradients(p, 0, i * SHARE, channels, j * SHARE, y_channels, sums, sums_apart)


@parallel_for
def _sum_blocks(worker, p):
    """Many tiles: take 64 x 64 filters and a part of the tiles; the sums stay in L2 while the tiles pass by."""
    table = np.empty(POINTS, np.int64)
    rows, columns = (p.channels + SHARE - 1) // SHARE, (p.y_channels + SHARE - 1) // SHARE
    sums_apart, v_apart = apart(SHARE * SHARE), apart(p.block * SHARE_ROW)
    sums = p.scratch + 4 * worker * p.scratch_size
    v = sums + 4 * POINTS * sums_apart
    m = v + 4 * POINTS * v_apart
    while True:
        item = take(p.counter)
        if item >= rows * columns * p.splits:
            break
        split, i, j = item % p.splits, item // p.splits // columns, item // p.splits % columns
        channels, y_channels = min(SHARE, p.channels - i * SHARE), min(SHARE, p.y_channels - j * SHARE)
        begin, end = p.tiles * split // p.splits, p.tiles * (split + 1) // p.splits
        for first in range(begin, end, p.block):
            tiles = min(p.block, end - first)
            for t in range(tiles):
                _read_x(p, first + t, i * SHARE, channels, v + 4 * t * SHARE_ROW, v_apart, table)
                _read_gy(p, first + t, j * SHARE, y_channels, m + 4 * t * SHARE_ROW, v_apart, table)
            for point in range(POINTS):
                a = v + 4 * point * v_apart
                for n in range(0, y_channels, WIDTH):
                    b, c = m + 4 * (point * v_apart + n), sums + 4 * (point * sums_apart + n)
                    start, start_row = (p.zeros, 0) if first == begin else (c, SHARE)
                    multiply_transposed(a, SHARE_ROW, b, SHARE_ROW, c, SHARE, start, start_row, p.low, channels, tiles)
        _write_gradients(p, split, i * SHARE, channels, j * SHARE, y_channels, sums, sums_apart)


@kernel
def _write_gradients(p, split, channel, channels, y_channel, y_channels, sums, row):
    """Transform sums ``(36, channels, SHARE)`` to the gradients of whole vectors of filters."""
    y_padded = (p.y_channels + LANES - 1) // LANES * LANES
    for c in range(channels):
        for n in range(0, y_channels, LANES):
            to = p.gw + 4 * 9 * ((split * y_padded + y_channel + n) * p.channels + channel + c)
            filter_gradient_tile(sums + 4 * (c * SHARE + n), row, to, 9 * p.channels)


@parallel_for
def _add_parts(item, parts, total):
    """A sixteenth of the sum over the first axis."""
    for i in range(total.size * item // 16, total.size * (item + 1) // 16):
        sum_ = parts[0, i]
        for part in range(1, parts.shape[0]):
            sum_ += parts[part, i]
        total[i] = sum_


def fprop(x: Array, w: Array, bias: Array | None, y: Array, conv: Geometry, relu: bool = False) -> None:
    """Write ``x * w + bias`` into ``y``, or the ReLU of it."""
    w = _whole_vectors(w, 0)
    _convolve(x, w, 9 * w.shape[1], 9, False, bias, relu, y, conv.padding)


def dgrad(gy: Array, w: Array, gx: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the input into ``gx``."""
    w = _whole_vectors(w, 1)
    padding = 2 - conv.padding[0], 2 - conv.padding[1]
    _convolve(gy, w, 9, 9 * w.shape[1], True, None, False, gx, padding)


def _whole_vectors(w: Array, axis: int) -> Array:
    """Zero filters added to fill the last vector."""
    if w.shape[axis] % LANES == 0:
        return w
    padded = np.zeros([n if i != axis else -(-n // LANES) * LANES for i, n in enumerate(w.shape)], np.float32)
    padded[tuple(slice(n) for n in w.shape)] = w
    return padded


def _problem(x: Array, y: Array, padding: tuple[int, int], **fields: int) -> Problem:
    down, across = -(-y.shape[1] // OUTPUT), -(-y.shape[2] // OUTPUT)
    values = dict.fromkeys(Problem._fields, 0)
    values |= dict(zip(("height", "width", "channels"), x.shape[1:], strict=True))
    values |= dict(zip(("y_height", "y_width", "y_channels"), y.shape[1:], strict=True))
    values |= {"x": address(x), "y": address(y), "first_h": -padding[0], "first_w": -padding[1]}
    values |= {"across": across, "down": down, "tiles": x.shape[0] * across * down}
    return Problem(**(values | fields))


def _convolve(
    x: Array, w: Array, lane: int, step: int, turned: bool, bias: Array | None, relu: bool, y: Array, padding: Any
) -> None:
    workers = get_num_threads()
    c, k = x.shape[3], y.shape[3]
    panels = -(-k // WIDTH)
    shift = workspace("bias", panels * WIDTH)
    shift[:k] = 0 if bias is None else bias
    low = np.array([-np.inf, 0 if relu else -np.inf], np.float32)
    zeros, counter = np.zeros(max(c, WIDTH) + LANES, np.float32), np.zeros(1, np.int64)
    p = _problem(
        x,
        y,
        padding,
        weights=address(w),
        lane=lane,
        step=step,
        turned=int(turned),
        bias=address(shift),
        low=address(low),
        zeros=address(zeros),
        counter=address(counter),
    )
    if p.tiles <= 64 and c * k >= 128 * 128:
        row = apart(p.tiles * SHARE_ROW)
        v = workspace("values", -(-c // SHARE) * POINTS * row)
        scratch = workspace("scratch", workers, POINTS * (row + apart(SHARE * SHARE)) + k + LINE)
        p = p._replace(v=address(v), scratch=address(scratch), scratch_size=scratch.shape[1])
        _all_tiles(-(-c // SHARE) * 8, p, False)
        _few_tiles(workers, p)
        return
    share = min(panels * WIDTH, 256)
    block = _block(p.tiles, 24 if LANES == 8 else 32 if c <= 128 else 48, workers)
    u = workspace("values", POINTS * apart(panels * c * WIDTH))
    size = POINTS * (apart(block * (c + LANES + 16)) + apart(block * (share + 16))) + k + LINE
    scratch = workspace("scratch", workers, size)
    p = p._replace(block=block, share=share, u=address(u), scratch=address(scratch), scratch_size=scratch.shape[1])
    _pack_weights(panels * 8, p)
    _blocks(workers, p)


def _block(tiles: int, most: int, workers: int) -> int:
    """Tiles in a block: at most about ``most``, and such that the threads end together."""

    def cost(block: int) -> float:
        blocks = -(-tiles // block)
        rounds = -(-blocks // workers)
        return rounds * (block // TILE_ROWS * TILE_ROWS + block % TILE_ROWS * 1.3 + 3)

    return min(range(most * 2 // 3 // 4 * 4, most * 4 // 3 + 1, 2), key=cost)


def wgrad(gy: Array, x: Array, gw: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the weight into ``gw``."""
    workers = get_num_threads()
    c, k = x.shape[3], gy.shape[3]
    padded = -(-k // LANES) * LANES
    filters = -(-c // SHARE) * -(-k // SHARE)
    low = np.array([-np.inf], np.float32)
    zeros, counter = np.zeros(max(c, k) + WIDTH, np.float32), np.zeros(1, np.int64)
    p = _problem(x, gy, conv.padding, low=address(low), zeros=address(zeros), counter=address(counter))
    few = p.tiles <= 256 and filters >= 4
    splits = 1 if few or filters >= 2 * workers else min(8, p.tiles)
    parts = gw if splits == 1 and padded == k else workspace("parts", splits, padded * c * 9)
    p = p._replace(gw=address(parts), splits=splits)
    if few:
        row = apart(p.tiles * SHARE_ROW)
        v, m = (workspace(name, -(-n // SHARE) * POINTS * row) for name, n in (("values", c), ("products", k)))
        scratch = workspace("scratch", workers, POINTS * apart(SHARE * SHARE) + LINE)
        p = p._replace(v=address(v), m=address(m), scratch=address(scratch), scratch_size=scratch.shape[1])
        _all_tiles(-(-c // SHARE) * 8, p, False)
        _all_tiles(-(-k // SHARE) * 8, p, True)
        _sum_few_tiles(workers, p)
    else:
        block = 48
        scratch = workspace("scratch", workers, POINTS * (apart(SHARE * SHARE) + 2 * apart(block * SHARE_ROW)) + LINE)
        p = p._replace(block=block, scratch=address(scratch), scratch_size=scratch.shape[1])
        _sum_blocks(workers, p)
    if parts is not gw:
        _add_parts(16, parts[:, : gw.size], gw.reshape(-1))
