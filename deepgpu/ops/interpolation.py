"""Images and signals of another size: nearest, linear, cubic and area interpolation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded, widened
from deepgpu.errors import takes
from deepgpu.ops.op import op
from deepgpu.ops.pool import adaptive_avg_pool2d
from deepgpu.ops.pool_nd import adaptive_avg_pool1d, adaptive_avg_pool3d
from deepgpu.tensor import Tensor, wrap

_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_MODES = ("nearest", "nearest-exact", "area", *_DIMS)
CUBIC = -0.75
"""The slope parameter of PyTorch's cubic kernel (Keys 1981)."""


def _sources(n: int, out: int, scale: float | None, align_corners: bool) -> np.ndarray:
    """Where each output element lies in the input."""
    i = np.arange(out)
    if align_corners:
        return i * ((n - 1) / (out - 1)) if out > 1 else np.zeros(out)
    return (i + 0.5) * (n / out if scale is None else 1 / scale) - 0.5


def _matrix(n: int, out: int, scale: float | None, align_corners: bool, cubic: bool) -> np.ndarray:
    """``(out, n)``: every output element as a combination of two or four input elements."""
    x = _sources(n, out, scale, align_corners)
    if not cubic:
        x = np.maximum(x, 0)
    first = np.floor(x).astype(np.int64)
    t = x - first
    if cubic:
        a = CUBIC
        far, near = t + 1, t
        weights = [((a * far - 5 * a) * far + 8 * a) * far - 4 * a, ((a + 2) * near - (a + 3)) * near * near + 1]
        near, far = 1 - t, 2 - t
        weights += [((a + 2) * near - (a + 3)) * near * near + 1, ((a * far - 5 * a) * far + 8 * a) * far - 4 * a]
        taps = range(-1, 3)
    else:
        weights, taps = [1 - t, t], range(2)
    m = np.zeros((out, n))
    for tap, weight in zip(taps, weights, strict=True):
        np.add.at(m, (np.arange(out), np.clip(first + tap, 0, n - 1)), weight)
    return m


class Repeat(Node):
    """Every element along a dimension so many times. The adjoint sums the elements that came from the same one."""

    def __init__(self, dim: int, times: int) -> None:
        self.dim = dim
        self.times = times

    def forward(self, x: Any) -> Any:
        return x.repeat(self.times, self.dim)

    def backward(self, g: Tensor) -> Tensor:
        return SumRepeated(self.dim, self.times)(g)


class SumRepeated(Node):
    """The adjoint of :class:`Repeat`: sums of neighbours, slice by slice (to reduce a short dimension is slow)."""

    def __init__(self, dim: int, times: int) -> None:
        self.dim = dim
        self.times = times

    def forward(self, g: Any) -> Any:
        before = (slice(None),) * self.dim
        wide = widened(g)
        total = wide[(*before, slice(0, None, self.times))].copy()
        for i in range(1, self.times):
            total += wide[(*before, slice(i, None, self.times))]
        return rounded(total, g.dtype)

    def backward(self, g: Tensor) -> Tensor:
        return Repeat(self.dim, self.times)(g)


def _nearest(x: Tensor, dim: int, out: int, scale: float | None, exact: bool) -> Tensor:
    n = x._data.shape[dim]
    if out == n:
        return x
    if n and out % n == 0 and scale in (None, out / n):  # every element so many times: no positions to look up
        return Repeat(dim, out // n)(x)
    ratio = n / out if scale is None else 1 / scale
    ratio = np.float32(ratio)  # PyTorch's positions are float32, and rounded so
    at = np.floor((np.arange(out) + np.float32(0.5 if exact else 0)) * ratio).astype(np.int64)
    return x.index_select(dim, wrap(x._backend.from_numpy(np.minimum(at, n - 1)), x._backend))


def _along(x: Tensor, dim: int, matrix: np.ndarray) -> Tensor:
    """The product of a matrix with every line along a dimension."""
    m = wrap(x._backend.from_numpy(matrix.astype(np.float64)), x._backend).to(x.dtype)
    if dim == x._data.ndim - 1:
        return x @ m.t()
    y = m @ x.reshape(*x.shape[: dim + 1], -1)
    return y.reshape(*x.shape[:dim], matrix.shape[0], *x.shape[dim + 1 :])


def _sizes(
    spatial: Sequence[int], size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[list[int], list[float | None]]:
    """The sizes of the result, and the scales where they, not the sizes, say where elements lie."""
    name, count = "interpolate", len(spatial)
    if (size is None) == (scale_factor is None):
        raise ValueError(
            takes(name, "size", "a size, or None if `scale_factor` is given", f"{size} and {scale_factor}")
        )
    given = size if size is not None else scale_factor
    each = list(given) if isinstance(given, (Sequence, Tensor)) else [given] * count
    if len(each) != count:
        argument = "size" if size is not None else "scale_factor"
        raise ValueError(takes(name, argument, f"one number, or {count}", given))
    if size is not None:
        if recompute:
            raise ValueError(takes(name, "recompute_scale_factor", "None with `size`", True))
        return [int(n) for n in each], [None] * count
    found = [math.floor(n * s) for n, s in zip(spatial, each, strict=True)]
    return found, [None] * count if recompute else [float(s) for s in each]


@op
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Another size.

    Parameters
    ----------
    input
        ``(N, C, L)``, ``(N, C, H, W)`` or ``(N, C, D, H, W)``
    size
        The spatial sizes of the result: one number, or one each.
    scale_factor
        Instead of it, by how much to multiply: one number, or one each.
    mode
        ``"nearest"``, ``"nearest-exact"``, ``"linear"`` (1-d), ``"bilinear"`` and ``"bicubic"`` (2-d),
        ``"trilinear"`` (3-d) or ``"area"``, the means of :func:`adaptive_avg_pool2d`.
    align_corners
        For linear and cubic modes: the centres of the corner elements stay where they are, rather than their edges.
    recompute_scale_factor
        Take the scale from the rounded sizes instead of ``scale_factor``.
    antialias
        Not supported.

    Notes
    -----
    Linear and cubic modes multiply each dimension by a matrix with two or four numbers a row.
    """
    name = "interpolate"
    if mode not in _MODES:
        raise NotImplementedError(takes(name, "mode", f"one of {', '.join(map(repr, _MODES))}", repr(mode)))
    count = input._data.ndim - 2
    if count not in (1, 2, 3) or _DIMS.get(mode, count) != count:
        raise NotImplementedError(takes(name, "input", f"the dimensions of {mode!r}", f"shape {tuple(input.shape)}"))
    if antialias:
        raise NotImplementedError(takes(name, "antialias", "False: images can be resized by `vision.transforms`", True))
    if align_corners is not None and mode not in _DIMS:
        raise ValueError(takes(name, "align_corners", "None for this mode", f"{align_corners} for {mode!r}"))
    spatial = input._data.shape[2:]
    sizes, scales = _sizes(spatial, size, scale_factor, recompute_scale_factor)
    if min(sizes) < 1 or 0 in spatial:
        raise RuntimeError(takes(name, "size", "sizes of at least 1", f"{sizes} from shape {tuple(input.shape)}"))
    if mode == "area":
        pools: Any = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)
        return pools[count - 1](input, sizes[0] if count == 1 else sizes)
    x = input
    for i, (n, out, scale) in enumerate(zip(spatial, sizes, scales, strict=True)):
        if mode.startswith("nearest"):
            x = _nearest(x, 2 + i, out, scale, mode == "nearest-exact")
        elif out != n or scale not in (None, 1.0):
            x = _along(x, 2 + i, _matrix(n, out, scale, bool(align_corners), mode == "bicubic"))
    return x.clone() if x is input else x


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """PyTorch's old name of :func:`interpolate`."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)
