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


# --- a model of an H100, in clocks and of one multiprocessor: from published figures, none measured by us -------------

TENSOR_CORE_RATE = 2680
"""Bytes of an operand that ``mma.sync`` takes: 1340 multiply-adds of 16 bits, 63 % of the data sheet's peak."""

SHARED_RATE, L2_RATE = 128, 24
"""Bytes read of shared memory; of L2, 5.5 TB/s shared among all."""

LAUNCH = 3500
"""Of the second launch that adds up a split sum: 2 microseconds."""


def rate(tile: Tile, dtype: str) -> float:
    """Multiply-adds a clock: what tensor cores do, or shared memory or L2 can feed them."""
    size = itemsize(dtype)
    of_shared, of_l2 = 1 / tile.m + 1 / tile.n, 1 / tile.bm + 1 / tile.bn  # elements a multiply-add
    return min(TENSOR_CORE_RATE / size, SHARED_RATE / (size * of_shared), L2_RATE / (size * of_l2))


def clocks(tile: Tile, m: int, n: int, k: int, batch: int, dtype: str, count: int = 1) -> float:
    """What a product takes: the multiprocessor with most blocks is the last, also for what is outside of the matrix.

    Parameters
    ----------
    count
        The parts in which the sums over `k` are made, and written and read once more to be added up.
    """
    blocks = up(tile.blocks(m, n) * batch * count, MULTIPROCESSORS)
    products = blocks * tile.bm * tile.bn * up(k, count) / rate(tile, dtype)
    if count == 1:
        return products
    return products + LAUNCH + 2 * 4 * count * m * n * batch / (L2_RATE * MULTIPROCESSORS)


MMA_TILES = (MMA_LARGE, MMA_NARROW, MMA_SMALL)


def mma_tile(m: int, n: int, batch: int, dtype: str) -> Tile:
    """The tile that the model finds fastest. The depth is the same for all, and the sum is not split."""
    return min(MMA_TILES, key=lambda tile: clocks(tile, m, n, 1, batch, dtype))


def mma_schedule(m: int, n: int, k: int, batch: int, dtype: str) -> tuple[Tile, int, int]:
    """The tile and the split that the model finds fastest: whole sums, or those of :func:`splits` in one or two waves.

    Returns
    -------
    tile, count, k_tiles
        See :func:`splits`.
    """
    options = []
    for tile in MMA_TILES:
        blocks = tile.blocks(m, n) * batch
        whole = (1, max(1, up(k, tile.depth(dtype))))
        for count, k_tiles in {whole, *(splits(tile, blocks, k, dtype, waves) for waves in (1, 2))}:
            options.append((clocks(tile, m, n, k, batch, dtype, count), tile, count, k_tiles))
    return min(options)[1:]


def simt_tile(m: int, n: int, batch: int, dtype: str) -> Tile:
    """The large tile if it fills the GPU and wastes little. 64-bit accumulators leave no registers for it."""
    wide = accumulator(dtype) in ("float64", "uint64")
    fills = SIMT_LARGE.blocks(m, n) * batch >= MULTIPROCESSORS
    return SIMT_LARGE if fills and m > 64 and not wide else SIMT_SMALL


def splits(tile: Tile, blocks: int, depth: int, dtype: str, waves: int = 2) -> tuple[int, int]:
    """In how many parts to sum over `depth`, so that `blocks` times as many blocks fill the GPU, `waves` of them.

    Returns
    -------
    count, k_tiles
        The number of parts, and the k-tiles of each: at least 256 elements, so that the partial sums cost less.
    """
    k_tiles = max(1, up(depth, tile.depth(dtype)))
    count = max(1, min(waves * MULTIPROCESSORS // max(blocks, 1), depth // 256))
    each = up(k_tiles, count)
    return up(k_tiles, each), each


def template(kernel: str, tile: Tile, *arguments: str | int | bool) -> str:
    """A name expression: ``gemm_mma<arguments before the tile, the tile, arguments behind it>``.

    Strings are dtypes and stand before the tile; the rest stands behind it.
    """
    types = [C_TYPES[a] for a in arguments if isinstance(a, str)]
    flags = [str(a).lower() for a in arguments if not isinstance(a, str)]
    return f"{kernel}_{tile.loop}<{', '.join([*types, str(tile), *flags])}>"
