"""From one plane a channel (NCHW) to channels-last memory (NHWC): each image is a matrix to transpose."""

from __future__ import annotations

from typing import Any

from .parallel import parallel_for, threads
from .vector import LANES, Emitter, Int, Pointer, transposed, vector_kernel
from .workspace import address

Array = Any


@vector_kernel
def _interleave_square(emit: Emitter, to: Pointer, channels: Int, planes: Pointer, plane: Int) -> None:
    """``LANES`` pixels of ``LANES`` channels."""
    for i, pixel in enumerate(transposed([(planes + plane * c).load() for c in range(LANES)])):
        (to + channels * i).store(pixel)


@vector_kernel
def _interleave_run(emit: Emitter, to: Pointer, channels: Int, plane: Pointer, count: Int) -> None:
    """``count`` pixels of one channel."""

    def pixel(i: Int, _: list) -> list:
        (to + channels * i).store_first((plane + i).broadcast())
        return []

    emit.loop(count, [], pixel)


@parallel_for
def _interleave(task, planes, image, plane, out, images, pixels, channels, parts):
    """A part of the pixels of one image. In floats, images lie ``image`` apart and planes ``plane``."""
    n, part = task // parts, task % parts
    first, last = pixels * part // parts, pixels * (part + 1) // parts
    end = first + (last - first) // LANES * LANES
    squares = channels // LANES * LANES
    source, to = planes + 4 * n * image, out + 4 * n * pixels * channels
    for p in range(first, end, LANES):
        for c in range(0, squares, LANES):
            _interleave_square(to + 4 * (p * channels + c), channels, source + 4 * (c * plane + p), plane)
    for c in range(channels):
        p = end if c < squares else first
        _interleave_run(to + 4 * (p * channels + c), channels, source + 4 * (c * plane + p), last - p)


def is_planar(x: Array) -> bool:
    """Whether the pixels of each plane of ``x (N, C, H, W)`` are neighbours in memory."""
    return x.strides[3] == 4 and x.strides[2] == 4 * x.shape[3] and x.strides[1] % 4 == x.strides[0] % 4 == 0


def interleave(x: Array, out: Array) -> None:
    """Copy a planar float32 ``x (N, C, H, W)`` to ``out (N, H, W, C)``, which is C-contiguous."""
    images, channels, height, width = x.shape
    parts = max(1, 4 * threads() // images)
    image, plane = x.strides[0] // 4, x.strides[1] // 4
    _interleave(images * parts, address(x), image, plane, address(out), images, height * width, channels, parts)
