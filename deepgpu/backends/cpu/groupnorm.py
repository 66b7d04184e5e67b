"""Group norm on the CPU, of planar and of channels-last images as they are; the results lie as the input does."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import folded, parts
from deepgpu.backends.cpu.transpose import contiguous
from deepgpu.backends.layout import channels_last_view, image_of_pixels

WORTH = 1 << 13
"""Elements that are worth a task of their own."""

FEW = 4
"""Samples of which each is several tasks, so that all threads work."""

LEAST = 32
"""Channels of such a task: some cache lines of a row."""

WIDTH = 256
"""Elements that a row should have; pixels of fewer channels are folded together."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import groupnorm

    return groupnorm


def group_norm(
    x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.group_norm`; for float32 with elements."""
    n, channels = x.shape[:2]
    mean, invstd = np.empty((2, n, groups), np.float32)
    w, b = _row(weight, 1, channels), _row(bias, 0, channels)
    if _is_channels_last(x):
        tasks = _tasks(x, groups)
        rows = _pixels(x, tasks)
        y = memory.empty(rows.shape, np.float32)
        _kernels().channels_last(n * tasks, rows, w, b, y, mean, invstd, eps, tasks)
        return image_of_pixels(y, x.shape), mean, invstd
    planes = _planes(x, groups)
    y = memory.empty(planes.shape, np.float32)
    tasks = parts(x.size, WORTH, n * groups)
    _kernels().planar(tasks, planes, w, b, y, mean.reshape(-1), invstd.reshape(-1), eps, tasks)
    return y.reshape(x.shape), mean, invstd


def group_norm_backward(
    gy: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
) -> tuple[Array, Array, Array]:
    """See :meth:`deepgpu.backends.base.Backend.group_norm_backward`; for float32 with elements."""
    n, channels = x.shape[:2]
    groups, w = mean.shape[1], _row(weight, 1, channels)
    if _is_channels_last(x):
        tasks, sums = _tasks(x, groups), np.empty((n, 2, channels))
        rows, gradients = _pixels(x, tasks), _pixels(gy, tasks)
        gx = memory.empty(rows.shape, np.float32)
        _kernels().channels_last_backward(n * tasks, gradients, rows, w, mean, invstd, gx, sums, tasks)
        return image_of_pixels(gx, x.shape), sums[:, 0].sum(0), sums[:, 1].sum(0)
    planes = _planes(x, groups)
    gx, sums = memory.empty(planes.shape, np.float32), np.empty((n * groups, 2, channels // groups))
    tasks = parts(x.size, WORTH, n * groups)
    _kernels().planar_backward(
        tasks, _planes(gy, groups), planes, w, mean.reshape(-1), invstd.reshape(-1), gx, sums, tasks
    )
    of_weight, of_bias = sums.reshape(n, groups, 2, -1).sum(0).swapaxes(0, 1).reshape(2, channels)
    return gx.reshape(x.shape), of_weight, of_bias


def _is_channels_last(x: Array) -> bool:
    return not x.flags.c_contiguous and channels_last_view(x).flags.c_contiguous


def _planes(x: Array, groups: int) -> Array:
    """``(samples groups, channels of a group, pixels)``"""
    n, channels, *spatial = x.shape
    return contiguous(x).reshape(n * groups, channels // groups, math.prod(spatial))


def _pixels(x: Array, tasks: int) -> Array:
    """``(samples, pixels, channels)``; some pixels are folded into a row if it is short and a sample is one task."""
    n, channels, *spatial = x.shape
    shape = folded(math.prod(spatial), channels, WIDTH) if tasks == 1 else (math.prod(spatial), channels)
    return contiguous(channels_last_view(x)).reshape(n, *shape)


def _tasks(x: Array, groups: int) -> int:
    """Of each sample."""
    return parts(x.size // len(x), WORTH, max(min(groups, x.shape[1] // LEAST), 1)) if len(x) < FEW else 1


def _row(x: Array | None, default: float, channels: int) -> Array:
    """Weights or biases as the kernels take them."""
    return np.full(channels, default, np.float32) if x is None else np.ascontiguousarray(x, np.float32)
