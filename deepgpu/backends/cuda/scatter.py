"""Reductions into places of an array that may occur several times. `xp` is CuPy or what emulates it."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array


def reduce_at(xp: Any, ufunc: str, out: Array, index: tuple[Array, ...], values: Array) -> None:
    """See :meth:`deepgpu.backends.base.Backend.reduce_at`.

    CuPy has atomics for few functions and dtypes, and their order is not fixed. Here the values of each place are put
    into the order in which they stand, and the first of all places are taken in together, then the second ones, ...
    """
    if values.size == 0:
        return
    place = xp.zeros(values.shape, np.int64)
    for along, size in zip(index, out.shape, strict=True):
        place = place * size + along
    place = place.reshape(-1)
    order = xp.argsort(place, kind="stable")
    ordered, given = place[order], values.reshape(-1)[order]
    turn = xp.arange(place.size) - xp.searchsorted(ordered, ordered)  # how many of the same place stand before
    line = xp.ascontiguousarray(out).reshape(-1)
    for i in range(int(turn.max()) + 1):
        now = turn == i
        at = ordered[now]
        line[at] = getattr(xp, ufunc)(line[at], given[now]).astype(out.dtype, copy=False)
    out[...] = line.reshape(out.shape)
