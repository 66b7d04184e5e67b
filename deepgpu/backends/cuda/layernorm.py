"""Layer norm and RMS norm of rows on ``kernels/cuda/layernorm.cu``. `xp` is CuPy or what emulates it."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import layernorm as composed
from deepgpu.backends.cuda import runtime
from deepgpu.backends.cuda.batchnorm import merge_sums, plan_columns
from deepgpu.backends.cuda.elementwise import vector
from deepgpu.backends.cuda.plans import C_TYPES, up
from deepgpu.backends.precision import accumulation_dtype

_FILE = "layernorm.cu"


def warp_items(width: int) -> int:
    """The vectors of `width` elements that a lane holds of a long row: 32 elements, or 16 if they are one by one."""
    return {8: 4, 4: 8, 2: 8, 1: 16}[width]


def layer_norm(
    xp: Any, x: Array, weight: Array | None, bias: Array | None, eps: float, centered: bool
) -> tuple[Array, Array | None, Array]:
    """The rows normalised, their means (None if not `centered`), and 1 over their deviations."""
    if x.size == 0:
        return composed.layer_norm(xp, x, weight, bias, eps, centered)
    x = xp.ascontiguousarray(x)
    m, k = x.shape
    stats = accumulation_dtype(x.dtype)
    weight, bias = _vector(xp, weight, stats), _vector(xp, bias, stats)
    y, invstd = xp.empty_like(x), xp.empty(m, stats)
    mean = xp.empty(m, stats) if centered else None
    dtype, v, flag = C_TYPES[x.dtype.name], _width(k, x), str(centered).lower()
    arrays, size = (x, y, weight, bias, mean, invstd), np.int32(k)
    if k <= 32 * v * warp_items(v):
        items = 1 if k <= 32 * v else warp_items(v)
        name, sizes = f"layernorm_warp<{dtype}, {v}, {items}, {flag}>", (np.int32(m), size)
        runtime.launch(_FILE, name, (up(m, 4),), (128,), (*arrays, *sizes, stats.type(eps)))
    else:
        name = f"layernorm_block<{dtype}, {v}, {flag}>"
        runtime.launch(_FILE, name, (m,), (256,), (*arrays, size, stats.type(eps)))
    return y, mean, invstd


def layer_norm_backward(
    xp: Any, gy: Array, x: Array, weight: Array | None, mean: Array | None, invstd: Array, affine: bool
) -> tuple[Array, Array | None, Array | None]:
    """``(gx, gweight, gbias)``; the latter two None unless `affine`."""
    if x.size == 0:
        return composed.layer_norm_backward(xp, gy, x, weight, mean, invstd, affine)
    x, gy = xp.ascontiguousarray(x), xp.ascontiguousarray(gy.astype(x.dtype, copy=False))
    m, k = x.shape
    stats = accumulation_dtype(x.dtype)
    weight = _vector(xp, weight, stats)
    gx = xp.empty_like(x)
    dtype, v, flag = C_TYPES[x.dtype.name], _width(k, x, gy), str(mean is not None).lower()
    warp = k <= 32 * v * warp_items(v)
    name = f"layernorm_backward<{dtype}, {v}, {32 if warp else 256}, {flag}>"
    arrays = (gy, x, gx, weight, mean, invstd)
    grid, threads = (up(m, 4), 128) if warp else (m, 256)
    runtime.launch(_FILE, name, (grid,), (threads,), (*arrays, np.int32(m), np.int32(k)))
    if not affine:
        return gx, None, None
    plan = plan_columns(m, k, x.dtype.name, v)
    partial = xp.empty((2, plan.chunks, k), stats)
    name = f"layernorm_columns<{dtype}, {v}, {flag}>"
    runtime.launch(_FILE, name, plan.grid, plan.block, (gy, x, mean, invstd, partial, *plan.sizes))
    return (gx, *merge_sums(xp, partial))


def _width(k: int, *arrays: Array) -> int:
    """How many columns a thread may load at once: 16 bytes of them if every row begins at 16 bytes, else one."""
    v = vector(*arrays)
    return v if k % v == 0 else 1


def _vector(xp: Any, v: Array | None, dtype: Any) -> Array | None:
    return None if v is None else xp.ascontiguousarray(v.astype(dtype, copy=False))
