"""Norms of the elements taken as a vector."""

from __future__ import annotations

import math
from typing import Any

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.cast import cast
from deepgpu.ops.dims import dimensions
from deepgpu.ops.extrema import amax, amin
from deepgpu.ops.op import op
from deepgpu.ops.reduction import Reduction, accumulator, sum
from deepgpu.tensor import Tensor


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
