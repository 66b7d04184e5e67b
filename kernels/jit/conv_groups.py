"""Groups of few channels, several of them taken as one whose other weights are zero.

A group of 4 channels fills a quarter of a panel of 16, so three of four multiplications are with nothing anyway. Four
groups together fill it: as many multiplications, a quarter of the products, and runs of memory four times as long.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .conv import Geometry
from .gemm import WIDTH

Array = Any


@functools.lru_cache(maxsize=1024)
def together(groups: int, filters: int, channels: int) -> int:
    """How many groups of so many filters and channels to take as one."""
    most = max(WIDTH // max(filters, channels), 1)
    return max(number for number in range(1, min(most, groups) + 1) if groups % number == 0)


def joined(w: Array, conv: Geometry) -> tuple[Array, Geometry]:
    """Weights ``(K, C/groups, R, S)`` and a geometry of fewer groups that say the same; unchanged if that is no use."""
    filters, channels = w.shape[0] // conv.groups, w.shape[1]
    number = together(conv.groups, filters, channels)
    if number == 1:
        return w, conv
    wide = np.zeros((w.shape[0], number * channels, *w.shape[2:]), w.dtype)
    for source, to in _blocks(w, wide, number, filters):
        to[...] = source
    return wide, conv._replace(groups=conv.groups // number)


def separate(wide: Array, w: Array, filters: int) -> None:
    """Take the gradient of weights ``w`` from that of the weights that :func:`joined` makes of them."""
    for to, source in _blocks(w, wide, wide.shape[1] // w.shape[1], filters):
        to[...] = source


def _blocks(w: Array, wide: Array, number: int, filters: int) -> list[tuple[Array, Array]]:
    """Where the weights of the first, second, ... group of each join are in both arrays."""
    narrow = w.reshape(-1, number, filters, *w.shape[1:])
    joins = wide.reshape(-1, number, filters, number, *w.shape[1:])
    return [(narrow[:, i], joins[:, i, :, i]) for i in range(number)]
