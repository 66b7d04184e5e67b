"""Depthwise convolutions on the GPU: launch plans for depthwise.cu, with the array names of conv.py's plans."""

from __future__ import annotations

import ctypes

from deepgpu.backends.cuda import gemm
from deepgpu.backends.cuda.geometry import Conv
from deepgpu.backends.cuda.plans import (
    C_TYPES,
    MULTIPROCESSORS,
    FastDiv,
    Launch,
    Plan,
    accumulator,
    by_value,
    fast_div,
    i32,
    up,
)
from deepgpu.backends.cuda.tiles import itemsize

LANES, WARPS = 32, 8
"""Channels (or vectors of them) and pixels that a block works on at a time, as in depthwise.cu."""
SHARED_LIMIT = 64 << 10
"""Bytes of shared memory that every GPU from sm_75 on gives a block, for the filters."""


class DepthwiseArgs(ctypes.Structure):
    """See depthwise.cu."""

    _fields_ = [
        *((name, i32) for name in ("filters", "multiplier", "taps_h", "taps_w", "height", "width")),
        *((name, i32) for name in ("out_height", "out_width", "pixels", "each", "stride_h", "stride_w")),
        *((name, i32) for name in ("pad_h", "pad_w", "dilation_h", "dilation_w")),
        *((name, FastDiv) for name in ("by_image", "by_line", "by_multiplier", "by_stride_h", "by_stride_w")),
    ]


def serves(dtype: str, g: Conv) -> bool:
    """Whether depthwise.cu takes a convolution: a group a channel, and filters that fit into shared memory."""
    floating = dtype in ("float32", "float64", "float16", "bfloat16")
    return floating and 1 < g.groups == g.c and _filter_bytes(dtype, g, 1) <= SHARED_LIMIT


def fprop_plan(dtype: str, g: Conv, aligned: bool, bias: bool) -> Plan:
    """Plan the forward pass; `aligned` says whether ``x`` begins at a multiple of 16 bytes."""
    vector = _vector(dtype, g, aligned)
    arguments = ("x", "w", "y", "bias" if bias else None)
    return Plan(
        (_launch("fprop", dtype, g, vector, g.k, g.rows, g.p, g.q, arguments, _filter_bytes(dtype, g, vector)),)
    )


def dgrad_plan(dtype: str, g: Conv, aligned: bool) -> Plan:
    """Plan the gradient with respect to the input; `aligned` is of ``dy``."""
    vector = _vector(dtype, g, aligned)
    pixels, shared = g.n * g.h * g.w, _filter_bytes(dtype, g, vector) if vector > 1 else 0
    return Plan((_launch("dgrad", dtype, g, vector, g.c, pixels, g.h, g.w, ("dy", "w", "dx"), shared),))


def wgrad_plan(dtype: str, g: Conv, aligned: bool) -> Plan:
    """Plan the gradient with respect to the filters; `aligned` is of ``x``."""
    vector, size = _vector(dtype, g, aligned), g.k * g.r * g.s
    blocks = up(g.k, LANES * vector)
    count = max(1, min(up(4 * MULTIPROCESSORS, blocks), up(g.rows, 64)))
    count = up(max(g.rows, 1), up(max(g.rows, 1), count))
    whole = count == 1 and accumulator(dtype) == dtype
    output = "dw" if whole else "workspace"
    launch = _launch("wgrad", dtype, g, vector, g.k, g.rows, g.p, g.q, ("dy", "x", output), 0, count)
    if whole:
        return Plan((launch,))
    return Plan((launch, gemm.reduction(dtype, "dw", size, g.r * g.s, count)), count * size, accumulator(dtype))


def _vector(dtype: str, g: Conv, aligned: bool) -> int:
    """Channels that a thread takes."""
    widest = 16 // itemsize(dtype)
    fits = _filter_bytes(dtype, g, widest) <= SHARED_LIMIT
    return widest if aligned and fits and g.k == g.c and g.c % widest == 0 else 1


def _filter_bytes(dtype: str, g: Conv, vector: int) -> int:
    """Shared memory for a block's filters."""
    return LANES * vector * g.r * g.s * itemsize(accumulator(dtype))


def _launch(
    direction: str,
    dtype: str,
    g: Conv,
    vector: int,
    channels: int,
    pixels: int,
    height: int,
    width: int,
    arrays: tuple[str | None, ...],
    shared_bytes: int,
    count: int = 0,
) -> Launch:
    """A launch over `pixels` of images of `height` x `width`, in `count` blocks, or as many as fill the GPU if 0."""
    each = up(max(pixels, 1), count) if count else max(8 * WARPS, up(pixels, 1024))
    args = DepthwiseArgs(
        g.k, g.filters, g.r, g.s, g.h, g.w, g.p, g.q, pixels, each, *g.stride, *g.padding, *g.dilation,
        fast_div(height * width), fast_div(width), fast_div(g.filters), *map(fast_div, g.stride),
    )  # fmt: skip
    return Launch(
        "depthwise.cu",
        f"depthwise_{direction}<{C_TYPES[dtype]}, {vector}>",
        (up(channels, LANES * vector), up(pixels, each) or 1, 1),
        LANES * WARPS,
        (*arrays, by_value(args)),
        shared_bytes,
    )
