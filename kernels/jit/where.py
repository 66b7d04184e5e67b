"""A choice by a mask: one pass over flat arrays, without a branch an element. Bytes, float32: 13 an element."""

from __future__ import annotations

from .elementwise import elementwise


@elementwise(arrays=3)
def where(mask, a, b):
    """`a` where the mask is set, else `b`."""
    return a if mask else b


@elementwise(arrays=2)
def fill(mask, x, number):
    """The number where the mask is set, else `x`."""
    return number if mask else x


@elementwise(arrays=2)
def keep(mask, x, number):
    """`x` where the mask is set, else the number."""
    return x if mask else number
