"""Convolutions as products of matrices that are never stored: structs of im2col.cuh, filter.cuh and epilogue.cuh."""

from __future__ import annotations

import ctypes
from math import gcd
from typing import NamedTuple

from deepgpu.backends.cuda.geometry import Conv, Image
from deepgpu.backends.cuda.plans import FastDiv, fast_div, i32, i64, up


class Im2col(ctypes.Structure):
    """See im2col.cuh."""

    _fields_ = [
        *((name, i64) for name in ("image_stride", "line_stride")),
        *((name, i32) for name in ("pixel_stride", "channel_stride", "rows", "depth", "height", "width", "channels")),
        *((name, i32) for name in ("mul_h", "mul_w", "off_h", "off_w", "step_h", "step_w", "taps_h", "taps_w")),
        *((name, FastDiv) for name in ("by_image", "by_line", "by_channels", "by_taps_w")),
    ]


class FilterTaps(ctypes.Structure):
    """See filter.cuh."""

    _fields_ = [
        *((name, i32) for name in ("depth", "channels", "row", "first", "step_r", "step_s")),
        *((name, FastDiv) for name in ("by_filters", "by_taps_w")),
    ]


class PhaseRows(ctypes.Structure):
    """See epilogue.cuh."""

    _fields_ = [
        *((name, i32) for name in ("height", "width", "channels", "stride_h", "stride_w", "phase_h", "phase_w")),
        *((name, FastDiv) for name in ("by_image", "by_line")),
    ]


class DgradPhase(ctypes.Structure):
    """See conv.cu."""

    _fields_ = [("dy", Im2col), ("w", FilterTaps), ("dx", PhaseRows)]


def im2col(g: Conv, image: Image) -> Im2col:
    """The windows of x."""
    return Im2col(
        *image[:4], g.rows, g.depth, g.h, g.w, g.channels,
        *g.stride, -g.padding[0], -g.padding[1], *g.dilation, g.r, g.s,
        fast_div(g.p * g.q), fast_div(g.q), fast_div(g.channels), fast_div(g.s),
    )  # fmt: skip


class _Axis(NamedTuple):
    """What one axis of a phase of dgrad is as a stride-1 convolution of dy."""

    pixels: int
    first: int  # the first tap that the phase sees
    step: int  # from tap to tap
    taps: int
    offset: int  # of dy for the first tap
    move: int  # of dy from tap to tap


def _axis(phase: int, size: int, taps: int, stride: int, padding: int, dilation: int) -> _Axis:
    pixels, common = up(size - phase, stride), gcd(dilation, stride)
    period = stride // common
    first = next((r for r in range(min(taps, period)) if (phase + padding - r * dilation) % stride == 0), None)
    if first is None:
        return _Axis(pixels, 0, 1, 0, 0, 0)
    offset = (phase + padding - first * dilation) // stride
    return _Axis(pixels, first, period, up(taps - first, period), offset, -(dilation // common))


def phases(g: Conv, image: Image) -> list[DgradPhase]:
    """dgrad as one stride-1 convolution of dy for each (h % stride, w % stride)."""
    found = []
    for a in range(min(g.stride[0], g.h)):
        for b in range(min(g.stride[1], g.w)):
            y = _axis(a, g.h, g.r, g.stride[0], g.padding[0], g.dilation[0])
            x = _axis(b, g.w, g.s, g.stride[1], g.padding[1], g.dilation[1])
            taps = y.taps * x.taps
            by_image, by_line, by_filters = fast_div(y.pixels * x.pixels), fast_div(x.pixels), fast_div(g.filters)
            windows = Im2col(
                *image[:4], g.n * y.pixels * x.pixels, taps * g.filters, g.p, g.q, g.filters,
                1, 1, y.offset, x.offset, y.move, x.move, y.taps, x.taps,
                by_image, by_line, by_filters, fast_div(x.taps),
            )  # fmt: skip
            filters = FilterTaps(
                taps * g.filters, g.channels, g.depth, (y.first * g.s + x.first) * g.channels if taps else 0,
                y.step * g.s * g.channels, x.step * g.channels, by_filters, fast_div(x.taps),
            )  # fmt: skip
            rows = PhaseRows(g.h, g.w, g.c, *g.stride, a, b, by_image, by_line)
            found.append(DgradPhase(windows, filters, rows))
    return found
