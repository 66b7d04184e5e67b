"""Groups of few channels, several of them taken as one whose other weights are zero.

A group of 4 channels fills a quarter of a panel of 16, so three of four multiplications are with nothing anyway. Four
groups together fill it: as many multiplications, a quarter of the products, and runs of memory four times as long.

Zero times infinity is no number, so groups are joined only where the image is finite: groups do not see each other.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .conv import Geometry
from .gemm import WIDTH
from .parallel import parallel_for

Array = Any


@functools.lru_cache(maxsize=1024)
def together(groups: int, filters: int, channels: int) -> int:
    """How many groups of so many filters and channels to take as one."""
    most = max(WIDTH // max(filters, channels), 1)
    return max(number for number in range(1, min(most, groups) + 1) if groups % number == 0)


PARTS = 64
"""Of an image whose sums are taken."""


@parallel_for(fastmath={"reassoc", "contract"})
def _sum_part(part, x, sums):
    """The sum of one of some parts of an array: infinite or no number if an element is."""
    total = np.float32(0)
    some = x[x.size * part // sums.size : x.size * (part + 1) // sums.size]
    for i in range(some.size):
        total += some[i]
    sums[part] = total


def _is_finite(image: Array) -> bool:
    """Whether all elements are; False, too, if a sum of them is too large."""
    sums = np.empty(PARTS, np.float32)
    _sum_part(PARTS, image.reshape(-1), sums)
    return bool(np.isfinite(sums).all())


def joined(w: Array, conv: Geometry, image: Array) -> tuple[Array, Geometry]:
    """Weights ``(K, C/groups, R, S)`` and a geometry of fewer groups that say the same to an image or a gradient.

    Unchanged if that is no use, or if the image is not finite.
    """
    filters, channels = w.shape[0] // conv.groups, w.shape[1]
    number = together(conv.groups, filters, channels)
    if number == 1 or not _is_finite(image):
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
