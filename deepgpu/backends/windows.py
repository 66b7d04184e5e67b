"""Where the windows of pooling and convolution lie: plain integers, the same for every implementation."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Any

import numpy as np

from deepgpu.backends.base import Pair


def clipped_windows(size: int, kernel: int, stride: int, padding: int, dilation: int, outputs: int) -> list[Pair]:
    """First element and end of each window, padding left out; an empty window ends where it starts."""
    windows = []
    for i in range(outputs):
        start = i * stride - padding
        end = min(start + (kernel - 1) * dilation + 1, size)
        if start < 0:
            start %= dilation  # the first tap that is not padding
        windows.append((start, max(start, end)))
    return windows


def adaptive_windows(size: int, outputs: int) -> list[Pair]:
    """First element and end of each of `outputs` windows that together cover ``0 .. size``."""
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def covering_windows(windows: list[Pair], size: int) -> list[Pair]:
    """For each element of ``0 .. size``: the first window that it lies in, and the end of those that it lies in.

    The windows must be sorted by their starts and by their ends, and have no holes.
    """
    starts, ends = ([window[i] for window in windows] for i in range(2))
    return [(bisect.bisect_right(ends, i), bisect.bisect_right(starts, i)) for i in range(size)]


def divisors(
    input_size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output_size: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """What the sum of window ``(p, q)`` is divided by, as two factors ``(P,)`` and ``(Q,)`` in float64.

    With `count_include_pad` the padding counts, but not what ``ceil_mode`` adds beyond it.
    """
    if divisor_override is not None:
        return np.full(output_size[0], float(divisor_override)), np.ones(output_size[1])
    counts = []
    for size, k, s, pad, outputs in zip(input_size, kernel, stride, padding, output_size, strict=True):
        start = np.arange(outputs) * s - pad
        end = np.minimum(start + k, size + pad)
        count = end - start if count_include_pad else np.minimum(end, size) - np.maximum(start, 0)
        counts.append(np.maximum(count, 1.0))  # a window of padding only sums to 0: any divisor but 0 is right
    return counts[0], counts[1]


def taps(
    input_size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output_size: Pair
) -> Iterator[tuple[Any, Any]]:
    """For each tap in row-major order: the index of the inputs it meets, and of the outputs it meets them in."""
    rows, columns = (
        [_meeting(r * d - p, s, size, outputs) for r in range(k)]
        for size, k, s, p, d, outputs in zip(input_size, kernel, stride, padding, dilation, output_size, strict=True)
    )
    every = slice(None)
    for row_in, row_out in rows:
        for column_in, column_out in columns:
            yield (every, every, row_in, column_in), (every, every, row_out, column_out)


def _meeting(offset: int, stride: int, size: int, outputs: int) -> tuple[slice, slice]:
    """Inputs ``offset + stride * i`` that lie in ``0 .. size``, and their ``i`` in ``0 .. outputs``, as slices."""
    first = max(0, -(offset // stride))
    end = max(first, min(outputs, -((offset - size) // stride)))
    start = offset + stride * first
    return slice(start, start + stride * (end - first), stride), slice(first, end)
