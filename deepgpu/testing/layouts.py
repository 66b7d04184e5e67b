"""Memory layouts in which an op must give the same result: NumPy arrays of equal values and other strides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def transposed(x: np.ndarray) -> np.ndarray:
    """The last two dimensions exchanged in memory."""
    return x if x.ndim < 2 else np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)


def channels_last(x: np.ndarray) -> np.ndarray:
    """``(N, C, H, W)`` with the channels innermost in memory."""
    return x if x.ndim != 4 else np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def sliced(x: np.ndarray) -> np.ndarray:
    """A part of a larger array, with gaps in every dimension."""
    if x.ndim == 0:
        return x
    whole = np.ones([2 * n + 1 for n in x.shape], x.dtype)
    part = whole[tuple([slice(1, 2 * n + 1, 2) for n in x.shape])]
    part[...] = x
    return part


def expanded(x: np.ndarray) -> np.ndarray:
    """The first position of the first dimension, repeated with stride 0."""
    return x if x.ndim == 0 or x.shape[0] < 2 else np.broadcast_to(x[:1], x.shape)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transposed": transposed,
    "channels_last": channels_last,
    "sliced": sliced,
    "expanded": expanded,
}
"""Every layout but the plain one, by name. ``expanded`` changes the values; the others do not."""


def restrided(x: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """A copy of the memory that ``x`` spans, as a flat array, and the strides in elements that make ``x`` of it."""
    strides = tuple([s // x.itemsize for s in x.strides])
    extent = 0 if x.size == 0 else 1 + sum([(n - 1) * s for n, s in zip(x.shape, strides, strict=True)])
    flat = np.lib.stride_tricks.as_strided(x, (extent,), (x.itemsize,))
    return flat.copy(), strides
