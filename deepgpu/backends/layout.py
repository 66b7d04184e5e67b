"""How a backend lays images out in memory; the same for every array namespace ``xp``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.backends.base import Array


def channels_last_view(x: Array) -> Array:
    """The view ``(N, spatial..., C)`` of an array ``(N, C, spatial...)``."""
    return x.transpose(0, *range(2, x.ndim), 1)


def channels_first_view(x: Array) -> Array:
    """The view ``(N, C, spatial...)`` of an array ``(N, spatial..., C)``."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def channels_last(xp: Any, x: Array) -> Array:
    """`x` itself if its memory is channels-last, else a copy whose memory is; the logical shape stays."""
    return channels_first_view(xp.ascontiguousarray(channels_last_view(x)))


def empty_channels_last(xp: Any, shape: Sequence[int], dtype: Any) -> Array:
    """An uninitialised array of logical shape ``(N, C, spatial...)`` on ``(N, spatial..., C)``-contiguous memory."""
    n, c, *spatial = shape
    return channels_first_view(xp.empty((n, *spatial, c), dtype))
