"""Matrix products on the CPU."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import gemm as composed
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.transpose import reshape

SMALL = 1 << 18
"""Multiplications up to which a product is left to NumPy, whose BLAS then takes one thread.

Above, float32 is our own: BLAS has threads of its own, which get in the way of the kernels' before and after. They ask
for more work for another 20 ms, and a kernel that starts meanwhile waits for one of its threads until the system takes
their turn away, some 3 ms.
"""


@functools.cache
def _kernel() -> Any:
    """Numba is imported with it."""
    from deepgpu.kernels.jit.matmul import matmul

    return matmul


def matmul(a: Array, b: Array) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.matmul`. The half types are summed in float32 and rounded once."""
    dtype = a.dtype
    if dtype.itemsize == 2 and dtype.kind not in "iu":
        with np.errstate(over="ignore"):
            return matmul(a.astype(np.float32), b.astype(np.float32)).astype(dtype)
    columns = b.shape[-1] if b.ndim > 1 else 1
    if dtype == b.dtype == np.float32 and a.size * columns > SMALL:
        return _matmul_float32(a, b)
    return np.asarray(np.matmul(a, b))


def linear(x: Array, w: Array, bias: Array | None) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.linear`."""
    (m, k), n = x.shape, w.shape[0]
    if x.dtype == w.dtype == np.float32 and m * n * k > SMALL and n > 1:
        y = memory.empty((m, n), np.float32)
        _kernel()(x[None], w.T[None], y[None], bias)
        return y
    return composed.linear(matmul, x, w, bias)


def _matmul_float32(a: Array, b: Array) -> Array:
    """Bring the operands into stacks of matrices, broadcast as NumPy does."""
    if a.ndim == 2 and b.ndim < 3 and b.size == len(b) == a.shape[1]:
        return _dots(b.reshape(1, -1), a.T).reshape(a.shape[:1] + b.shape[1:])
    if b.ndim == 2 and a.ndim < 3 and a.size == a.shape[-1] == len(b):
        return _dots(a.reshape(1, -1), b).reshape(a.shape[:-1] + b.shape[1:])
    if min(a.ndim, b.ndim) < 2:
        return np.asarray(np.matmul(a, b))
    kernel = _kernel()
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) if a.ndim > 2 or b.ndim > 2 else ()
    (m, k), n = a.shape[-2:], b.shape[-1]
    if k != b.shape[-2] or 1 in (m, n) or 0 in (*stack, k):
        return np.matmul(a, b)  # an error, a product with a vector, or nothing to sum
    out = memory.empty((*stack, m, n), np.float32)
    if not stack:
        kernel(a[None], b[None], out[None])
    elif b.ndim == 2 and a.flags.c_contiguous:
        kernel(a.reshape(1, -1, k), b[None], out.reshape(1, -1, n))  # one tall matrix
    else:
        kernel(_stacked(a, stack), _stacked(b, stack), out.reshape(-1, m, n))
    return out


def _stacked(x: Array, stack: tuple[int, ...]) -> Array:
    """``(stack..., rows, columns)`` as ``(matrices, rows, columns)``; a copy lies by rows or by columns as before."""
    x = x if x.shape[:-2] == stack else np.broadcast_to(x, stack + x.shape[-2:])
    if x.strides[-2] < x.strides[-1]:
        return _stacked(x.swapaxes(-1, -2), stack).swapaxes(-1, -2)
    return reshape(x, (-1, *x.shape[-2:]))


def _dots(row: Array, b: Array) -> Array:
    """``row (1, k) @ b (k, n)``: our own if the columns are contiguous, as the rows of a linear layer's weights are."""
    if b.shape[1] == 1 or b.strides[0] != b.itemsize:
        return np.matmul(row, b)
    out = memory.empty((1, b.shape[1]), np.float32)
    _kernel()(row[None], b[None], out[None])
    return out
