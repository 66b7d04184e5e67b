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
    ACTIVATIONS,
    C_TYPES,
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
from deepgpu.backends.cuda.tiles import MMA_TYPES, itemsize, mma_schedule, simt_tile, splits, template

K_MAJOR, MN_MAJOR = 0, 1
MAX_STEP = 1 << 23
"""Elements from row to row of an operand up to which the tensor-core kernels' 32-bit offsets within a tile suffice."""


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

    @property
    def arrays(self) -> tuple[str | None, str | None]:
        """The names of the arrays it adds."""
        return "bias" if self.bias else None, "residual" if self.residual else None


PLAIN = Finish()


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


def operand_order(dtype: str, layout: Layout) -> int | None:
    """In which order the tensor-core kernels can read an operand: K_MAJOR, MN_MAJOR, or None if in none."""
    chunk = 16 // itemsize(dtype)
    if not layout.aligned or layout.batch % chunk:
        return None
    for order, contiguous, step in ((K_MAJOR, layout.k, layout.mn), (MN_MAJOR, layout.mn, layout.k)):
        if contiguous == 1 and step % chunk == 0 and 0 < step < MAX_STEP:
            return order
    return None


def _normalised(layout: Layout, size: int, k: int) -> Layout:
    """The strides of sides of one element, which mean nothing, as a contiguous matrix has them."""
    if k == 1:
        layout = layout._replace(k=up(size, 16) * 16 if layout.mn == 1 else 1)
    if size == 1:
        layout = layout._replace(mn=up(k, 16) * 16 if layout.k == 1 else 1)
    return layout


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
    tensor_cores: bool = False,
) -> Plan:
    """Plan ``c[i] = activation(alpha * a[i] @ b[i] + bias + residual[i])``.

    The launches name the arrays ``a``, ``b``, ``c`` (C-contiguous, ``(batch, m, n)``), ``bias`` (``(n,)``),
    ``residual`` (as ``c``) and ``workspace``; but for ``a`` and ``b`` they begin at multiples of 16 bytes.

    Parameters
    ----------
    dtype
        Of all arrays but the workspace.
    a, b
        The operands' layouts; of ``b``, ``mn`` is the stride from column to column.
    tensor_cores
        Whether to use them where the layouts permit; float32 is then computed as TF32.
    """
    if 0 in (m, n, batch):
        return Plan(())
    a, b = _normalised(a, m, k), _normalised(b, n, k)
    orders = operand_order(dtype, a), operand_order(dtype, b)
    if tensor_cores and dtype in MMA_TYPES and None not in orders:
        tile, count, k_tiles = mma_schedule(m, n, k, batch, dtype)
        contiguous = (k if orders[0] == K_MAJOR else m, k if orders[1] == K_MAJOR else n)
        flags: tuple[Any, ...] = (*orders, any(size % (16 // itemsize(dtype)) for size in contiguous))
    else:
        tile = simt_tile(m, n, batch, dtype)
        count, k_tiles = splits(tile, tile.blocks(m, n) * batch, k, dtype)
        flags = (a.order, b.order)
    blocks = tile.blocks(m, n)
    size, whole = batch * m * n, count == 1
    out = dtype if whole else accumulator(dtype)
    if whole:
        end = epilogue(dtype, finish.alpha, n % tile.vector(out) == 0)
        output, extra, activation = "c", finish.arrays, finish.activation
    else:
        end = epilogue(dtype, aligned=n % tile.vector(out) == 0)
        output, extra, activation = "workspace", PLAIN.arrays, "identity"
    args = gemm_args(dtype)(m, n, k, k_tiles, Matrix(*a[:3]), Matrix(*b[:3]), n, m * n, size, fast_div(blocks), end)
    launch = Launch(
        "gemm.cu",
        template("gemm", tile, dtype, out, *flags, ACTIVATIONS[activation]),
        (blocks * batch, count, 1),
        tile.threads,
        ("a", "b", output, *extra, by_value(args)),
        tile.shared_bytes,
    )
    if whole:
        return Plan((launch,))
    return Plan((launch, reduction(dtype, "c", size, n, count, finish)), count * size, out)


def reduction(dtype: str, output: str, size: int, columns: int, count: int, finish: Finish = PLAIN) -> Launch:
    """The launch that adds up `count` partial results of `size` elements in the workspace."""
    sums = accumulator(dtype)
    return Launch(
        "gemm.cu",
        f"reduce_splits<{C_TYPES[sums]}, {C_TYPES[dtype]}, {ACTIVATIONS[finish.activation]}>",
        (up(size, 1024), 1, 1),
        256,
        (
            "workspace",
            output,
            *finish.arrays,
            np.int32(size),
            np.int32(count),
            by_value(fast_div(columns)),
            by_value(epilogue(dtype, finish.alpha, columns % 4 == 0)),
        ),
    )


def uses_tensor_cores(xp: Any, dtype: Any, allow_tf32: bool) -> bool:
    """Whether the current device has tensor cores for `dtype`: from compute capability 8.0 on."""
    if str(dtype) not in ("float16", "bfloat16") and not (dtype == np.float32 and allow_tf32):
        return False
    return _major(xp, int(xp.cuda.Device().id)) >= 8


@functools.cache
def _major(xp: Any, device: int) -> int:
    return int(xp.cuda.runtime.getDeviceProperties(device)["major"])


def matmul(xp: Any, a: Array, b: Array, *, allow_tf32: bool = False) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.matmul`.

    Parameters
    ----------
    allow_tf32
        Whether float32 may be rounded to TF32's 10 bits of mantissa for tensor cores; off by default as in PyTorch.
    """
    dtype = np.result_type(a.dtype, b.dtype)
    if str(dtype) not in C_TYPES:
        return composed.matmul(xp, a, b)
    a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    left, right = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"`matmul`: `a` of shape {a.shape} and `b` of shape {b.shape} do not fit")
    out = _product(xp, left, right, uses_tensor_cores(xp, dtype, allow_tf32))
    if a.ndim == 1:
        out = out[..., 0, :]
    return out[..., 0] if b.ndim == 1 else out


def _product(xp: Any, a: Array, b: Array, tensor_cores: bool) -> Array:
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
    p = plan(str(a.dtype), m, n, k, layout_a, layout_b, math.prod(stack), PLAIN, tensor_cores)
    run(xp, p, a=left, b=right, c=out)
    return out


def _one_stack(xp: Any, x: Array, stack: tuple[int, ...]) -> Array:
    """`x` broadcast to a stack of matrices of one dimension, as a view where strides permit."""
    if math.prod(x.shape[:-2]) == 1:
        return xp.broadcast_to(x.reshape(1, *x.shape[-2:]), (math.prod(stack), *x.shape[-2:]))
    return xp.broadcast_to(x, (*stack, *x.shape[-2:])).reshape(math.prod(stack), *x.shape[-2:])
