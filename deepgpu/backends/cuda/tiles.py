"""Tilings of matrix products: which instances of the main loops there are, and which one a product gets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deepgpu.backends.cuda.plans import C_TYPES, MULTIPROCESSORS, accumulator, up

MMA_TYPES = ("float16", "bfloat16", "float32")
"""What tensor cores multiply; float32 as TF32."""


class Tile(NamedTuple):
    """``MmaTile`` of mma_tile.cuh or ``SimtTile`` of simt.cuh.

    Attributes
    ----------
    loop
        ``"mma"`` for tensor cores, ``"simt"`` for scalar multiply-adds.
    bm, bn
        A block's part of the output.
    m, n
        A warp's part of that (mma), or a thread's (simt).
    stages
        k-tiles in flight (mma).
    """

    loop: str
    bm: int
    bn: int
    m: int
    n: int
    stages: int = 2

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.bm // self.m * (self.bn // self.n) * (32 if self.loop == "mma" else 1)

    @property
    def shared_bytes(self) -> int:
        """Dynamic shared memory of a block."""
        return self.stages * (self.bm + self.bn) * 64 if self.loop == "mma" else 0

    def depth(self, dtype: str) -> int:
        """Elements of the reduction in a k-tile."""
        return 64 // itemsize(dtype) if self.loop == "mma" else 8

    def vector(self, dtype: str) -> int:
        """Elements of the output that are stored at once."""
        return 16 // itemsize(dtype) if self.loop == "mma" else 4

    def blocks(self, m: int, n: int) -> int:
        """How many tiles cover an m x n matrix."""
        return up(m, self.bm) * up(n, self.bn)

    def __str__(self) -> str:
        """The template's arguments."""
        sizes = self[1:] if self.loop == "mma" else self[1:5]
        return ", ".join(map(str, sizes))


MMA_LARGE = Tile("mma", 128, 128, 64, 64, 4)
MMA_LARGE_8_WARPS = Tile("mma", 128, 128, 64, 32, 4)
MMA_NARROW = Tile("mma", 128, 64, 64, 32, 4)
MMA_SMALL = Tile("mma", 64, 64, 32, 32, 4)
SIMT_LARGE = Tile("simt", 128, 64, 8, 8)  # three blocks to a multiprocessor; 128 x 128 would leave room for one
SIMT_SMALL = Tile("simt", 64, 64, 8, 4)


def itemsize(dtype: str) -> int:
    """Bytes of an element."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def mma_tile(m: int, n: int, batch: int) -> Tile:
    """The largest tile that fills the GPU and wastes little."""
    if min(m, n) > 64 and MMA_LARGE.blocks(m, n) * batch >= MULTIPROCESSORS:
        return MMA_LARGE
    return MMA_NARROW if n <= 64 and MMA_NARROW.blocks(m, n) * batch >= MULTIPROCESSORS else MMA_SMALL


def simt_tile(m: int, n: int, batch: int, dtype: str) -> Tile:
    """The large tile if it fills the GPU and wastes little. 64-bit accumulators leave no registers for it."""
    wide = accumulator(dtype) in ("float64", "uint64")
    fills = SIMT_LARGE.blocks(m, n) * batch >= MULTIPROCESSORS
    return SIMT_LARGE if fills and m > 64 and not wide else SIMT_SMALL


def splits(tile: Tile, blocks: int, depth: int, dtype: str) -> tuple[int, int]:
    """In how many parts to sum over `depth`, so that `blocks` times as many blocks fill the GPU.

    Returns
    -------
    count, k_tiles
        The number of parts, and the k-tiles of each: at least 256 elements, so that the partial sums cost less.
    """
    k_tiles = max(1, up(depth, tile.depth(dtype)))
    count = max(1, min(2 * MULTIPROCESSORS // max(blocks, 1), depth // 256))
    each = up(k_tiles, count)
    return up(k_tiles, each), each


def template(kernel: str, tile: Tile, *arguments: str | int | bool) -> str:
    """A name expression: ``gemm_mma<arguments before the tile, the tile, arguments behind it>``.

    Strings are dtypes and stand before the tile; the rest stands behind it.
    """
    types = [C_TYPES[a] for a in arguments if isinstance(a, str)]
    flags = [str(a).lower() for a in arguments if not isinstance(a, str)]
    return f"{kernel}_{tile.loop}<{', '.join([*types, str(tile), *flags])}>"
