"""Convolution on the CPU: choose an algorithm, bring the arrays into its layout, allocate the result.

The three functions take any strides and the floating dtypes of :mod:`deepgpu.backends.base`; images come back
channels-last in memory. float16 and bfloat16 are computed in float32 and rounded once at the end.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from deepgpu.backends.base import Array, Pair
from deepgpu.backends.cpu import batchnorm, memory
from deepgpu.backends.cpu.transpose import contiguous
from deepgpu.backends.unfinished import Convolution, Unfinished

ALGORITHMS = ("winograd", "folded", "depthwise", "direct", "im2col")
"""Each is a module of :mod:`deepgpu.kernels.jit`, which explains it."""

WORTH = 1.2
"""Multiplications that a direct sum must have for one of Winograd's, so that the transforms pay."""

_forced: contextvars.ContextVar[str | None] = contextvars.ContextVar("conv_algorithm", default=None)


def algorithm(
    direction: str,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    dtype: Any = np.float32,
) -> str:
    """Name the algorithm that a convolution takes.

    Parameters
    ----------
    direction
        ``"fprop"``, ``"dgrad"`` or ``"wgrad"``.
    x_shape, w_shape
        ``(N, C, H, W)`` and ``(K, C/groups, R, S)``.
    dtype
        Of the arrays; the half types are computed in float32.

    Returns
    -------
    str
        One of :data:`ALGORITHMS`: the one forced by :func:`use_algorithm` if it serves this shape, else the fastest.

    Notes
    -----
    Measured on AVX2 and AVX-512; ``kernels/README.md`` has the table. Winograd's relative error against float64 is up
    to 3e-6, that of the others 1e-6.
    """
    return _algorithm(_forced.get(), x_shape, w_shape, stride, padding, dilation, groups, np.dtype(dtype))


@functools.lru_cache(maxsize=4096)
def _algorithm(
    forced: str | None,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    dtype: np.dtype,
) -> str:
    if _compute_dtype(dtype) != np.float32 or 0 in (*x_shape, *w_shape):
        return "im2col"
    channels, filters = x_shape[1], w_shape[0]
    serves = {
        "winograd": _has_scheme(w_shape[2:], stride, padding, dilation) and groups == 1,
        "folded": _may_fold(w_shape[2:], stride)
        and _module("folded").serves(x_shape, w_shape[2:], _geometry(stride, padding, dilation, groups)),
        "depthwise": groups == channels == filters,
        "direct": True,
        "im2col": True,
    }
    if forced is not None and serves[forced]:
        return forced
    if serves["winograd"] and min(channels, filters) >= 16:  # below, the transforms cost more than they save
        size = _geometry(stride, padding, dilation, groups).output_size(x_shape[2:], w_shape[2:])
        if _module("winograd").saving(tuple(stride), tuple(padding), size) > WORTH:
            return "winograd"
    if serves["folded"] and min(4 * channels, filters) >= 16:
        size = _geometry(stride, padding, dilation, groups).output_size(x_shape[2:], w_shape[2:])
        if _module("folded").saving(w_shape[2:], size) > WORTH:
            return "folded"
    return "depthwise" if serves["depthwise"] else "direct"


def _has_scheme(window: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]) -> bool:
    """Whether Winograd's algorithm serves a convolution: 3x3 with stride 1, or stride 2 and the usual padding."""
    strided = tuple(stride) == (2, 2) and tuple(padding) == (1, 1)
    return tuple(window) == (3, 3) and tuple(dilation) == (1, 1) and (tuple(stride) == (1, 1) or strided)


def _may_fold(window: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether it is worth a look at the module that decides."""
    return tuple(stride) == (2, 2) and min(window) > 3


@contextlib.contextmanager
def use_algorithm(name: str) -> Iterator[None]:
    """Within the context, let this thread's convolutions take one algorithm wherever it serves the shape."""
    if name not in ALGORITHMS:
        raise ValueError(f"use_algorithm: `name` is {name!r}; expected one of {', '.join(map(repr, ALGORITHMS))}")
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def fprop(
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_fprop`."""
    name = algorithm("fprop", x.shape, w.shape, stride, padding, dilation, groups, x.dtype)
    conv = _geometry(stride, padding, dilation, groups)
    dtype = _compute_dtype(x.dtype)
    y = memory.empty((x.shape[0], *conv.output_size(x.shape[2:], w.shape[2:]), w.shape[0]), dtype)
    shift = None if bias is None else np.ascontiguousarray(bias, dtype)
    _module(name).fprop(_channels_last(x, dtype), np.ascontiguousarray(w, dtype), shift, y, conv)
    return _rounded(y, x.dtype).transpose(0, 3, 1, 2)


IDENTITY = np.array([[0], [1], [0]], np.float32)
"""Centre, scale and shift of a channel that is not normalised."""


class _Choice(NamedTuple):
    """What of a convolution follows from its shapes."""

    name: str  # of the algorithm
    geometry: Any
    shape: tuple[int, ...]  # of the result, (N, K, P, Q)


class CPUConvolution(Convolution):
    """A float32 convolution whose kernel will also normalise, add and limit, while the image is in cache."""

    def __init__(
        self,
        choice: _Choice,
        x: Array,
        w: Array,
        bias: Array | None,
        kept: dict[Any, Any] | None,
        factors: Array | None = None,
    ) -> None:
        self.choice = choice
        self.x, self.w, self.bias, self.kept, self.factors = x, w, bias, kept, factors
        self.shape, self.dtype = choice.shape, x.dtype
        self.reads = (x, w) if bias is None else (x, w, bias)

    def normalised(
        self, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
    ) -> Convolution | None:
        if self.factors is not None:
            return None
        factors = batchnorm.factors(self.shape[1], self.dtype, weight, bias, mean, var, eps)
        return CPUConvolution(self.choice, self.x, self.w, self.bias, self.kept, factors)

    def onto(self, image: Array) -> Unfinished:
        return batchnorm.normalisation(image, self._factors())

    def with_moments(self) -> tuple[Array, Array | None]:
        """The image, and the ``slots`` of ``kernels/jit/finish.py`` if the kernel takes moments: to be used at once."""
        name, geometry, _ = self.choice
        if self.factors is not None or not _module(name).measures(self.w, self.shape, geometry):
            return self(), None
        moments = _module("finish").Moments()
        return self._computed(moments), moments.slots

    def _factors(self) -> Array:
        return np.repeat(IDENTITY, self.shape[1], axis=1) if self.factors is None else self.factors

    def __call__(self, residual: Array | None = None, low: float = math.nan, high: float = math.nan) -> Array:
        if self.factors is None and residual is None and low != low and high != high:
            return self._computed(None)
        other = None if residual is None else _channels_last(residual, self.dtype)
        return self._computed(_module("finish").Epilogue(self._factors(), other, _limits(low, high)))

    def _computed(self, epilogue: Any) -> Array:
        """The image, finished by one of ``kernels/jit/finish.py``, or not at all."""
        x, w, bias = _channels_last(self.x, self.dtype), np.ascontiguousarray(self.w), self.bias
        name, geometry, (n, k, height, width) = self.choice
        y = memory.empty((n, height, width, k), np.float32)
        shift = None if bias is None else np.ascontiguousarray(bias)
        _module(name).fprop(x, w, shift, y, geometry, epilogue, self.kept)
        return y.transpose(0, 3, 1, 2)


@functools.lru_cache(maxsize=64)
def _limits(low: float, high: float) -> Array:
    """Limits as a kernel takes them; one that is NaN limits nothing."""
    return np.array([-np.inf if low != low else low, np.inf if high != high else high], np.float32)


def unfinished(
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    kept: dict[Any, Any] | None,
) -> Convolution | None:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_unfinished`."""
    if x.dtype != np.float32 or _forced.get() is not None:
        return None
    choice = _choice(x.shape, w.shape, stride, padding, dilation, groups)
    return None if choice.name == "im2col" else CPUConvolution(choice, x, w, bias, kept)


@functools.lru_cache(maxsize=4096)
def _choice(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> _Choice:
    geometry = _geometry(stride, padding, dilation, groups)
    size = geometry.output_size(x_shape[2:], w_shape[2:])
    name = algorithm("fprop", x_shape, w_shape, stride, padding, dilation, groups)
    return _Choice(name, geometry, (x_shape[0], w_shape[0], *size))


def dgrad(gy: Array, w: Array, input_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_dgrad`."""
    x_shape = (gy.shape[0], w.shape[1] * groups, *input_size)
    name = algorithm("dgrad", x_shape, w.shape, stride, padding, dilation, groups, gy.dtype)
    conv = _geometry(stride, padding, dilation, groups)
    dtype = _compute_dtype(gy.dtype)
    gx = memory.empty((x_shape[0], *input_size, x_shape[1]), dtype)
    _module(name).dgrad(_channels_last(gy, dtype), np.ascontiguousarray(w, dtype), gx, conv)
    return _rounded(gx, gy.dtype).transpose(0, 3, 1, 2)


def wgrad(gy: Array, x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_wgrad`."""
    w_shape = (gy.shape[1], x.shape[1] // groups, *kernel_size)
    name = algorithm("wgrad", x.shape, w_shape, stride, padding, dilation, groups, gy.dtype)
    conv = _geometry(stride, padding, dilation, groups)
    dtype = _compute_dtype(gy.dtype)
    gw = memory.empty(w_shape, dtype)
    _module(name).wgrad(_channels_last(gy, dtype), _channels_last(x, dtype), gw, conv)
    return _rounded(gw, gy.dtype)


@functools.cache
def _module(name: str) -> Any:
    """A module of kernels. Imported at its first use, because Numba takes a second to import."""
    return importlib.import_module(f"deepgpu.kernels.jit.{name}")


@functools.lru_cache(maxsize=1024)
def _geometry(stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Any:
    from deepgpu.kernels.jit.conv import Geometry

    return Geometry(tuple(stride), tuple(padding), tuple(dilation), groups)


def _compute_dtype(dtype: np.dtype) -> np.dtype:
    """float32 for the half types, else the dtype itself."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def _channels_last(x: Array, dtype: np.dtype) -> Array:
    """``x (N, C, H, W)`` as a C-contiguous ``(N, H, W, C)`` array; no copy if its memory is that already."""
    return contiguous(x.transpose(0, 2, 3, 1), dtype)


def _rounded(x: Array, dtype: np.dtype) -> Array:
    """``x`` in the caller's dtype; what is too large for float16 becomes infinite, silently as in PyTorch."""
    if x.dtype == dtype:
        return x
    with np.errstate(over="ignore"):
        return x.astype(dtype, copy=False)
