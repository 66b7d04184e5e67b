"""Where the windows of pooling and convolution lie: plain integers, the same for every implementation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from deepgpu.backends.base import Pair


def adaptive_windows(size: int, outputs: int) -> list[Pair]:
    """First element and end of each of `outputs` windows that together cover ``0 .. size``."""
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def divisors(
    input_size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output_size: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """What each window's sum is divided by, ``(P, Q)`` in float64.

    With `count_include_pad` the padding counts, but not what ``ceil_mode`` adds beyond it.
    """
    if divisor_override is not None:
        return np.full(output_size, float(divisor_override))
    counts = []
    for size, k, s, pad, outputs in zip(input_size, kernel, stride, padding, output_size, strict=True):
        start = np.arange(outputs) * s - pad
        end = np.minimum(start + k, size + pad)
        counts.append(end - start if count_include_pad else np.minimum(end, size) - np.maximum(start, 0))
    # a window of padding only holds the sum 0: any divisor but 0 is right
    return np.maximum(np.outer(*counts), 1).astype(np.float64)


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
