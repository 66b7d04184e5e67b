"""Norms of the elements taken as a vector."""

from __future__ import annotations

import math
from typing import Any

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.assign import assign, stand_in
from deepgpu.ops.cast import cast
from deepgpu.ops.dims import dimension, dimensions
from deepgpu.ops.extrema import amax, amin
from deepgpu.ops.op import op
from deepgpu.ops.reduction import Reduction, accumulator, sum
from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor, method


@op(method=True)
def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """The p-norm over dimensions, of the elements taken as a vector; ``"fro"`` is 2.

    ``inf`` and ``-inf`` give the largest and the smallest absolute value, 0 the number of non-zero elements.
    """
    input = input if dtype is None else cast(input, dtype)
    dims = dimensions(dim, input._data.ndim, "norm")
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes("norm", "input", "a floating-point tensor", input.dtype))
    order = 2.0 if p in ("fro", None) else float(p)
    if order == 2:
        return VectorNorm2(dims, keepdim)(input)
    magnitude = input.abs()
    if order == math.inf:
        return amax(magnitude, dims, keepdim)
    if order == -math.inf:
        return amin(magnitude, dims, keepdim)
    if order == 0:
        return sum((input != 0).to(input.dtype), dims, keepdim)
    if order == 1:
        return sum(magnitude, dims, keepdim)
    return sum(magnitude**order, dims, keepdim) ** (1 / order)


EPS = 1e-7
"""What PyTorch adds to the norms that it divides by."""


@op(method=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each position of a dimension scaled down so that its p-norm is at most ``maxnorm``.

    Parameters
    ----------
    p
        A positive number.
    dim
        The dimension whose positions are slices with a norm each.
    maxnorm
        Slices of a smaller norm stay as they are.
    """
    name = "renorm"
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))
    if input._data.ndim < 2:
        raise RuntimeError(takes(name, "input", "at least 2 dimensions", f"shape {tuple(input.shape)}"))
    if not p > 0:
        raise RuntimeError(takes(name, "p", "a positive number", p))
    if not maxnorm >= 0:
        raise RuntimeError(takes(name, "maxnorm", "a number that is not negative", maxnorm))
    d = dimension(dim, input._data.ndim, name)
    norms = norm(input, p, [i for i in range(input._data.ndim) if i != d], keepdim=True)
    return input * where(norms > maxnorm, maxnorm / (norms + EPS), 1.0)


@method
def renorm_(self: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """In-place version of :func:`renorm`."""
    was = stand_in(self)
    return assign(self, renorm(was, p, dim, maxnorm), "renorm_", was)


class VectorNorm2(Reduction):
    """The Euclidean norm; its gradient ``x / |x|`` is 0 at 0."""

    keep_inputs = (0,)
    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        wide = x.astype(accumulator(x.dtype), copy=False)
        return self.xp.sqrt((wide * wide).sum(axis=self.dims, keepdims=self.keepdim)).astype(x.dtype, copy=False)

    def backward(self, g: Tensor) -> Tensor:
        x, y = self.saved
        slope = x / self.spread(y, x.shape)
        return self.spread(g, x.shape) * slope.masked_fill(self.spread(y.detach() == 0, x.shape), 0.0)
