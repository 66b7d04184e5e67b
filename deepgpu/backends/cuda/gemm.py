"""Matrix products on the GPU: which kernel of gemm.cu, with which tile, split how."""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any, NamedTuple

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import gemm as composed
from deepgpu.backends.cuda.plans import (
    C_TYPES,
    MULTIPROCESSORS,
    FastDiv,
    Launch,
    Plan,
    accumulator,
    by_value,
    epilogue,
    epilogue_type,
    fast_div,
    i32,
    i64,
    is_aligned,
    run,
    strides,
    up,
)

K_MAJOR, MN_MAJOR = 0, 1


class Layout(NamedTuple):
    """How an operand lies in memory; strides in elements.

    Attributes
    ----------
    mn, k
        From one row (of B: column) to the next; from one element of the sum to the next.
    batch
        From one matrix to the next; 0 if all are the same.
    aligned
        Whether the first element lies at a multiple of 16 bytes.
    """

    mn: int
    k: int
    batch: int = 0
    aligned: bool = True

    @property
    def order(self) -> int:
        """Along which side neighbouring threads should read."""
        return K_MAJOR if abs(self.k) <= abs(self.mn) else MN_MAJOR


class Finish(NamedTuple):
    """What the epilogue does: ``activation(alpha * sum + bias + residual)``."""

    alpha: float = 1.0
    bias: bool = False
    residual: bool = False
    activation: str = "identity"


PLAIN = Finish()


class SimtTile(NamedTuple):
    """``SimtTile`` of simt.cuh: the block's tile and a thread's part of it."""

    bm: int
    bn: int
    tm: int
    tn: int

    @property
    def threads(self) -> int:
        return self.bm // self.tm * (self.bn // self.tn)

    def blocks(self, m: int, n: int) -> int:
        """How many tiles cover an m x n matrix."""
        return up(m, self.bm) * up(n, self.bn)

    def __str__(self) -> str:
        return f"{self.bm}, {self.bn}, {self.tm}, {self.tn}"


SIMT_BK = 8
LARGE, SMALL = SimtTile(128, 128, 8, 8), SimtTile(64, 64, 8, 4)


def simt_tile(m: int, n: int, batch: int, dtype: str) -> SimtTile:
    """The large tile if it fills the GPU and wastes little. 64-bit accumulators leave no registers for it."""
    wide = accumulator(dtype) in ("float64", "uint64")
    return SMALL if wide or min(m, n) <= 64 or LARGE.blocks(m, n) * batch < MULTIPROCESSORS else LARGE


def splits(blocks: int, k_tiles: int, least: int) -> tuple[int, int]:
    """In how many parts to sum, to fill the GPU, and the k-tiles of a part, of which there are at least `least`."""
    wanted = max(1, min(MULTIPROCESSORS * 2 // max(blocks, 1), k_tiles // least))
    per_split = up(max(k_tiles, 1), wanted)
    return up(max(k_tiles, 1), per_split), per_split


class Matrix(ctypes.Structure):
    """``Matrix`` of gemm.cu."""

    _fields_ = [(name, i64) for name in ("stride_mn", "stride_k", "batch")]


@functools.cache
def gemm_args(dtype: str) -> type[ctypes.Structure]:
    """The ctypes structure of ``GemmArgs<A>``, A the accumulator of `dtype`."""
    fields = [
        *((name, i32) for name in ("M", "N", "K", "k_tiles")),
        ("a", Matrix),
        ("b", Matrix),
        *((name, i64) for name in ("stride_c", "batch_c", "split_c")),
        ("by_tiles", FastDiv),
        ("epilogue", epilogue_type(dtype)),
    ]
    return type("GemmArgs", (ctypes.Structure,), {"_fields_": fields})


@functools.lru_cache(maxsize=4096)
def plan(
    dtype: str,
    m: int,
    n: int,
    k: int,
    a: Layout,
    b: Layout,
    batch: int = 1,
    finish: Finish = PLAIN,
) -> Plan:
    """Plan ``c[i] = activation(alpha * a[i] @ b[i] + bias + residual[i])``.

    The launches name the arrays ``a``, ``b``, ``c`` (C-contiguous, ``(batch, m, n)``), ``bias`` (``(n,)``),
    ``residual`` (as ``c``) and ``workspace``.

    Parameters
    ----------
    dtype
        Of all arrays but the workspace.
    a, b
        The operands' layouts; of ``b``, ``mn`` is the stride from column to column.
    """
    if 0 in (m, n, batch):
        return Plan(())
    tile = simt_tile(m, n, batch, dtype)
    blocks = tile.blocks(m, n)
    count, per_split = splits(blocks * batch, up(k, SIMT_BK), least=32)
    kernel = "gemm_simt<{0}, {1}, " + f"{tile}, {a.order}, {b.order}>"
    return split_plan(dtype, m, n, k, a, b, batch, finish, kernel, blocks, tile.threads, 0, count, per_split, vector=4)


def split_plan(
    dtype: str,
    m: int,
    n: int,
    k: int,
    a: Layout,
    b: Layout,
    batch: int,
    finish: Finish,
    kernel: str,
    blocks: int,
    threads: int,
    shared_bytes: int,
    count: int,
    per_split: int,
    vector: int,
) -> Plan:
    """The launch of one of gemm.cu's kernels, and that of ``reduce_splits`` if the sum is split in `count` parts."""
    size = batch * m * n
    whole = count == 1
    out = dtype if whole else accumulator(dtype)
    end = (
        epilogue(dtype, finish.alpha, finish.activation, n % vector == 0)
        if whole
        else epilogue(dtype, 1, aligned=n % 4 == 0)
    )
    args = gemm_args(dtype)(m, n, k, per_split, Matrix(*a[:3]), Matrix(*b[:3]), n, m * n, size, fast_div(blocks), end)
    extra = ("bias" if finish.bias else None, "residual" if finish.residual else None)
    first = Launch(
        "gemm.cu",
        kernel.format(C_TYPES[dtype], C_TYPES[out]),
        (blocks * batch, count, 1),
        threads,
        ("a", "b", "c" if whole else "workspace", *(extra if whole else (None, None)), by_value(args)),
        shared_bytes,
    )
    if whole:
        return Plan((first,))
    return Plan((first, reduction(dtype, "c", size, n, count, finish, extra)), count * size, out)


def reduction(
    dtype: str,
    output: str,
    size: int,
    columns: int,
    count: int,
    finish: Finish = PLAIN,
    extra: tuple[str | None, str | None] = (None, None),
) -> Launch:
    """The launch that adds up `count` partial results of `size` elements in the workspace."""
    sums = accumulator(dtype)
    return Launch(
        "gemm.cu",
        f"reduce_splits<{C_TYPES[sums]}, {C_TYPES[dtype]}>",
        (up(size, 1024), 1, 1),
        256,
        (
            "workspace",
            output,
            *extra,
            np.int32(size),
            np.int32(count),
            by_value(fast_div(columns)),
            by_value(epilogue(dtype, finish.alpha, finish.activation, columns % 4 == 0)),
        ),
    )


def matmul(xp: Any, a: Array, b: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.matmul`."""
    dtype = np.result_type(a.dtype, b.dtype)
    if str(dtype) not in C_TYPES:
        return composed.matmul(xp, a, b)
    a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    left, right = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"`matmul`: `a` of shape {a.shape} and `b` of shape {b.shape} do not fit")
    out = _product(xp, left, right)
    if a.ndim == 1:
        out = out[..., 0, :]
    return out[..., 0] if b.ndim == 1 else out


def _product(xp: Any, a: Array, b: Array) -> Array:
    """The product of two stacks of matrices."""
    (m, k), n = a.shape[-2:], b.shape[-1]
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = xp.empty((*stack, m, n), a.dtype)
    if b.ndim == 2 and a.flags.c_contiguous:  # one tall matrix
        m *= math.prod(stack)
        a, stack = a.reshape(m, k), ()
    left, right = (_one_stack(xp, x, stack) for x in (a, b))
    (batch_a, m_a, k_a), (batch_b, k_b, n_b) = strides(left), strides(right)
    layout_a, layout_b = Layout(m_a, k_a, batch_a, is_aligned(left)), Layout(n_b, k_b, batch_b, is_aligned(right))
    p = plan(str(a.dtype), m, n, k, layout_a, layout_b, math.prod(stack))
    run(xp, p, a=left, b=right, c=out)
    return out


def _one_stack(xp: Any, x: Array, stack: tuple[int, ...]) -> Array:
    """`x` broadcast to a stack of matrices of one dimension, as a view where strides permit."""
    if math.prod(x.shape[:-2]) == 1:
        return xp.broadcast_to(x.reshape(1, *x.shape[-2:]), (math.prod(stack), *x.shape[-2:]))
    return xp.broadcast_to(x, (*stack, *x.shape[-2:])).reshape(math.prod(stack), *x.shape[-2:])
