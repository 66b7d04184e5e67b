"""Rows of a table on ``kernels/cuda/embedding.cu``. `xp` is CuPy or what emulates it."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cuda import runtime
from deepgpu.backends.cuda.elementwise import vector
from deepgpu.backends.cuda.plans import C_TYPES, accumulator, up

_FILE = "embedding.cu"
_CHUNK = 32
"""Numbers that a block adds up, as in embedding.cu."""
_BITS = {2: "unsigned short", 4: "unsigned", 8: "unsigned long long"}


def embedding(xp: Any, table: Array, index: Array) -> Array:
    """``table[index]``."""
    k = table.shape[1]
    out = xp.empty((*index.shape, k), table.dtype)
    table, index = xp.ascontiguousarray(table), xp.ascontiguousarray(index.astype(np.int64, copy=False))
    if out.size == 0:
        return out
    width = vector(table, out)
    width = width if k % width == 0 else 1
    name = f"embedding<{_BITS[table.itemsize]}, {width}>"
    args = (table, index, out, np.int32(index.size), np.int32(k // width))
    runtime.launch(_FILE, name, (up(index.size, 8),), (32, 8), args)
    return out


def embedding_backward(xp: Any, g: Array, index: Array, rows: int) -> Array:
    """Zeros ``(rows, features)``, and each row of ``g`` added where its number says, in a fixed order."""
    k = g.shape[-1]
    table = xp.zeros((rows, k), g.dtype)
    if g.size == 0:
        return table
    g, flat = xp.ascontiguousarray(g), index.reshape(-1).astype(np.int64, copy=False)
    order = xp.argsort(flat, kind="stable").astype(np.int64, copy=False)
    numbers = flat[order]
    chunks = up(flat.size, _CHUNK)
    pieces = xp.empty((2, chunks, k), accumulator(g.dtype.name))
    grid, sizes, dtype = (chunks, up(k, 128)), (np.int32(flat.size), np.int32(k)), C_TYPES[g.dtype.name]
    runtime.launch(_FILE, f"embedding_backward<{dtype}>", grid, (128,), (g, numbers, order, table, pieces, *sizes))
    if chunks > 1:
        runtime.launch(_FILE, f"embedding_merge<{dtype}>", grid, (128,), (numbers, pieces, table, *sizes))
    return table
