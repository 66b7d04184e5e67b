"""The gradient of any float32 convolution with respect to its weight: a product summed over all pixels.

``gw = matrix^T @ gy``, where the matrix is that of :mod:`.conv_matrix`: few rows and columns, and a long sum between
them. A thread takes a chunk of the matrix's columns, a share of the output channels, and if these are few also a part
of the pixels. It goes through its pixels block by block and keeps the sums, some 200 KiB, in its L2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .conv import Geometry
from .conv_matrix import Windows, gather_columns, is_matrix, matrix_rows, window_taps, windows_of
from .conv_patch import copy_patches, line_of, room
from .gemm import FAR, WIDTH, multiply_blocks, pack_rows
from .parallel import parallel_for, threads
from .vector import LANES, LINE, Emitter, Int, Pointer, take, transposed, vector_kernel
from .workspace import address, counter, reserve, workspace, zeros

Array = Any

BLOCK = 96
"""Pixels in a block."""

SHARE = 128
"""Output channels in a block: with a chunk 192 KiB of sums."""


class Sum(NamedTuple):
    """What the kernel must know. Addresses in bytes, strides in floats."""

    gathered: int  # whether the rows of the matrix must be gathered, or are the pixels as they lie
    gy: int  # (pixels, channels), the group's first channel
    gy_pixel: int
    pixels: int
    channels: int
    share: int  # channels in a block, whole panels
    splits: int  # parts of the pixels
    parts: int  # sums (splits, shares, length of a row, share)
    zeros: int  # a panel's row of them
    scratch: int  # of all workers
    scratch_size: int  # of one
    columns_row: int  # from one row of gathered columns to the next
    columns_size: int  # of a block of them, or of patches
    patch_row: int  # from one row of a patch to the next; 0 if there are none
    counter: int  # an int64: blocks taken


@parallel_for
def _sum(worker, p, windows, pieces, chunks, starts):
    """One worker: take a chunk of the row, a share of the channels and a part of the pixels, and sum up."""
    p, windows = Sum(*p), Windows(*windows)
    columns = p.scratch + 4 * worker * p.scratch_size
    packed = columns + 4 * p.columns_size
    shares = (p.channels + p.share - 1) // p.share
    ahead_step = p.gy_pixel if p.gy_pixel < FAR else 0
    while True:
        item = take(p.counter)
        if item >= p.splits * shares * (chunks.size - 1):
            break
        split, rest = divmod(item, shares * (chunks.size - 1))
        chunk, share = divmod(rest, shares)
        some = pieces[chunks[chunk] : chunks[chunk + 1]]
        length = starts[chunk + 1] - starts[chunk]
        runs = some.shape[0] if p.patch_row else 1
        run = length // runs
        channel = share * p.share
        channels = min(p.share, p.channels - channel)
        sums = p.parts + 4 * ((split * shares + share) * starts[-1] + starts[chunk]) * p.share
        begin, end = p.pixels * split // p.splits, p.pixels * (split + 1) // p.splits
        for first in range(begin, end, BLOCK):
            count = min(BLOCK, end - first)
            if not p.gathered:
                a, a_row = windows.image + 4 * (first * windows.pixel + some[0, 3]), windows.pixel
            elif p.patch_row:
                a, a_row = columns, windows.stride_w * windows.pixel
                copy_patches(columns, p.patch_row, windows, first, count, some)
            else:
                a, a_row = columns, p.columns_row
                gather_columns(columns, p.columns_row, windows, first, count, some)
            gradients = p.gy + 4 * (first * p.gy_pixel + channel)
            further = BLOCK if first + 2 * BLOCK <= end else 0  # pixels to the next block
            pack_rows(packed, BLOCK * WIDTH, gradients, p.gy_pixel, channels, count)
            for n in range(0, channels, WIDTH):
                b, c = packed + 4 * n * BLOCK, sums + 4 * n
                start, start_row = (p.zeros, 0) if first == begin else (c, p.share)
                ahead_a = a if p.gathered or n else a + 4 * further * a_row
                ahead_b = gradients + 4 * (further * p.gy_pixel + n)
                done, part = 0, a
                while done < count:
                    line = line_of(windows, first + done, count - done) if p.patch_row else count
                    line_b = b + 4 * done * WIDTH
                    for k in range(0, length, run):
                        to, begun = c + 4 * k * p.share, start + 4 * k * start_row
                        multiply_blocks(
                            part,
                            a_row,
                            line_b,
                            WIDTH,
                            to,
                            p.share,
                            begun,
                            start_row,
                            run,
                            line,
                            ahead_a,
                            ahead_b,
                            ahead_step,
                            int(channels - n <= LANES),
                        )
                        part += 4 * p.patch_row
                    start, start_row = c, p.share
                    done += line


@vector_kernel
def _add_square(
    emit: Emitter,
    parts: Pointer,
    part: Int,
    count: Int,
    rows: Int,
    row: Int,
    gw: Pointer,
    filter_: Int,
    width: Int,
    filters: Int,
) -> None:
    """Add up ``count`` parts, ``part`` apart, of ``LANES`` channels of the rows that a table names.

    Write ``width`` weights of each of the ``filters``; at most ``LANES`` of both.
    """
    one, none = emit.int(1), emit.int(0)
    lines = [emit.int_in(rows, emit.where(width, j, emit.int(j), none)) * row for j in range(LANES)]

    def add(i: Int, totals: list) -> list:
        return [t + (parts + part * i + line).load() for line, t in zip(lines, totals, strict=True)]

    columns = transposed(emit.loop(count, [emit.zero()] * LANES, add))

    def write(whole: bool) -> None:
        for i, weights in enumerate(columns):
            (gw + filter_ * i).store(weights, None if whole else emit.mask(emit.where(filters, i, width, none)))

    whole = emit.where(filters, LANES - 1, emit.where(width, LANES - 1, one, none), none)
    emit.choose(whole, {1: lambda: write(True), 0: lambda: write(False)})


@parallel_for
def _add_up(part, parts, splits, shares, length, share, gw, filters, order):
    """Add up the parts ``(splits, shares, length, share)``: a quarter of the weights of a vector of filters."""
    n, quarter = part // 4 * LANES, part % 4
    source = parts + 4 * (n // share * length * share + n % share)
    squares = (length + LANES - 1) // LANES
    for square in range(squares * quarter // 4, squares * (quarter + 1) // 4):
        k = square * LANES
        to, rows = gw + 4 * (n * length + k), order + 8 * k
        _add_square(source, shares * length * share, splits, rows, share, to, length, length - k, filters - n)


def wgrad(gy: Array, x: Array, gw: Array, conv: Geometry) -> None:
    """Write the gradient with respect to the weight into ``gw``."""
    k, c, r, s = gw.shape
    k //= conv.groups
    rows = matrix_rows(window_taps((r, s), conv), c, r * s, conv.groups == 1)
    workers, chunks = threads(), len(rows.chunks) - 1
    share = min(-(-k // WIDTH) * WIDTH, SHARE)
    shares = -(-k // share)
    pixels = gy.shape[0] * gy.shape[1] * gy.shape[2]
    splits = max(1, min(-(-4 * workers // (chunks * shares)), pixels // 512))
    parts = workspace("parts", splits, shares, rows.length, share)
    for g in range(conv.groups):
        windows = windows_of(x, g * c, conv.stride, gy.shape[1:3])
        columns, patch_row = room(rows, windows, BLOCK)
        scratch_size = columns + BLOCK * share + LINE
        problem = Sum(
            gathered=int(not is_matrix(windows, (r, s), conv)),
            gy=address(gy) + 4 * g * k,
            gy_pixel=gy.shape[3],
            pixels=pixels,
            channels=k,
            share=share,
            splits=splits,
            parts=address(parts),
            zeros=zeros(WIDTH),
            scratch=reserve("scratch", workers * scratch_size),
            scratch_size=scratch_size,
            columns_row=rows.stride,
            columns_size=columns,
            patch_row=patch_row,
            counter=counter(),
        )
        _sum(workers, tuple(problem), tuple(windows), rows.pieces, rows.chunks, rows.starts)
        to, order = address(gw) + 4 * g * k * rows.length, address(rows.sorted)
        _add_up(-(-k // LANES) * 4, address(parts), splits, shares, rows.length, share, to, k, order)
