"""Convolution on the CPU: choose an algorithm, bring the arrays into its layout, allocate the result.

The three functions take any strides and the floating dtypes of :mod:`deepgpu.backends.base`; images come back
channels-last in memory. float16 and bfloat16 are computed in float32 and rounded once at the end.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepgpu.backends.base import Array, Pair


@functools.lru_cache(maxsize=1)
def _kernels() -> Any:
    """The module of kernels. Imported at the first convolution, because Numba takes a second to import."""
    from deepgpu.kernels.jit import im2col

    return im2col


def fprop(x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_fprop`."""
    conv = _geometry(stride, padding, dilation, groups)
    dtype = _compute_dtype(x.dtype)
    size = conv.output_size(x.shape[2:], w.shape[2:])
    y = np.empty((x.shape[0], *size, w.shape[0]), dtype)
    shift = None if bias is None else np.ascontiguousarray(bias, dtype)
    _kernels().fprop(_channels_last(x, dtype), np.ascontiguousarray(w, dtype), shift, y, conv)
    return _rounded(y, x.dtype).transpose(0, 3, 1, 2)


def dgrad(gy: Array, w: Array, input_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_dgrad`."""
    conv = _geometry(stride, padding, dilation, groups)
    dtype = _compute_dtype(gy.dtype)
    gx = np.empty((gy.shape[0], *input_size, w.shape[1] * groups), dtype)
    _kernels().dgrad(_channels_last(gy, dtype), np.ascontiguousarray(w, dtype), gx, conv)
    return _rounded(gx, gy.dtype).transpose(0, 3, 1, 2)


def wgrad(gy: Array, x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_wgrad`."""
    conv = _geometry(stride, padding, dilation, groups)
    dtype = _compute_dtype(gy.dtype)
    gw = np.empty((gy.shape[1], x.shape[1] // groups, *kernel_size), dtype)
    _kernels().wgrad(_channels_last(gy, dtype), _channels_last(x, dtype), gw, conv)
    return _rounded(gw, gy.dtype)


def _geometry(stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Any:
    from deepgpu.kernels.jit.conv import Geometry

    return Geometry(tuple(stride), tuple(padding), tuple(dilation), groups)


def _compute_dtype(dtype: np.dtype) -> np.dtype:
    """float32 for the half types, else the dtype itself."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def _channels_last(x: Array, dtype: np.dtype) -> Array:
    """``x (N, C, H, W)`` as a C-contiguous ``(N, H, W, C)`` array; no copy if its memory is that already."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1), dtype)


def _rounded(x: Array, dtype: np.dtype) -> Array:
    """``x`` in the caller's dtype; what is too large for float16 becomes infinite, silently as in PyTorch."""
    with np.errstate(over="ignore"):
        return x.astype(dtype, copy=False)
