"""Dropout on ``kernels/cuda/dropout.cu``, whose mask is never stored. `xp` is CuPy or what emulates it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cuda import graphs, runtime
from deepgpu.backends.cuda.elementwise import vector
from deepgpu.backends.cuda.plans import C_TYPES, MULTIPROCESSORS, up
from deepgpu.backends.precision import accumulation_dtype

_THREADS = 256


class PhiloxMask(NamedTuple):
    """Which elements are kept, as what makes them.

    Attributes
    ----------
    key
        Of Philox; in a CUDA graph an array of one, which each replay fills anew.
    threshold
        An element is dropped if its random word is less.
    order
        The array's axes from the slowest in memory to the fastest: element i of the mask is the i-th in this order.
    """

    key: int | Array
    threshold: int
    order: tuple[int, ...]


def dropout_mask(xp: Any, x: Array, p: float, generator: Callable[[], np.random.Generator]) -> PhiloxMask:
    """A mask for an array like `x`."""

    def key() -> np.ndarray:
        return generator().integers(2**64, size=1, dtype=np.uint64)

    steps = np.abs(x.strides) if x.ndim else []
    order = tuple(int(axis) for axis in np.lexsort((np.arange(x.ndim), -np.asarray(steps)))) if x.ndim else ()
    made = graphs.redrawn(xp, (1,), np.uint64, key) if graphs.capturing() else int(key()[0])
    return PhiloxMask(made, min(round(p * 2**32), 2**32 - 1), order)


def channel_mask(xp: Any, shape: tuple[int, ...], p: float, generator: Callable[[], np.random.Generator]) -> Array:
    """A mask of a shape of its own, an array: there are few channels."""

    def numbers() -> np.ndarray:
        return generator().random(shape, dtype=np.float32)

    made = graphs.redrawn(xp, shape, np.float32, numbers) if graphs.capturing() else xp.asarray(numbers())
    return made >= p


def dropout(xp: Any, x: Array, mask: PhiloxMask, scale: float) -> Array:
    """``x`` times the mask and `scale`, laid out in the mask's order."""
    line = x.transpose(mask.order)
    line = line if line.flags.c_contiguous else xp.ascontiguousarray(line)
    y = xp.empty_like(line)
    width = vector(line, y)
    blocks = min(up(line.size, _THREADS * max(width, 4)), 8 * MULTIPROCESSORS)
    name = f"dropout<{C_TYPES[line.dtype.name]}, {width}>"
    number = accumulation_dtype(line.dtype).type
    key, at = (mask.key, None) if isinstance(mask.key, int) else (0, mask.key)
    graphs.keep(at)
    sizes = (np.int64(line.size), np.uint64(key), np.uint32(mask.threshold), number(scale))
    runtime.launch("dropout.cu", name, (blocks,), (_THREADS,), (line, y, *sizes, at))
    return y.transpose(tuple(int(axis) for axis in np.argsort(mask.order))) if x.ndim else y
