"""Softmax, its logarithm, and the logarithm of a sum of exponentials."""

from __future__ import annotations

import warnings
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.broadcast import floating
from deepgpu.ops.cast import cast
from deepgpu.ops.dims import dimension, dimensions
from deepgpu.ops.extrema import amax
from deepgpu.ops.op import op
from deepgpu.ops.reduction import sum
from deepgpu.tensor import Tensor


class Softmax(Node):
    """``exp(x) / sum(exp(x))`` along a dimension."""

    keep_outputs = (0,)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return self.backend.softmax(x, self.dim)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return SoftmaxGrad(self.dim)(g, y)


class SoftmaxGrad(Node):
    """``y (g - sum(g y))``, linear in ``g``."""

    keep_inputs = (0, 1)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, g: Any, y: Any) -> Any:
        return self.backend.softmax_backward(g, y, self.dim)

    def backward(self, gg: Tensor) -> tuple[Tensor | None, Tensor | None]:
        g, y = self.saved
        need_g, need_y = self.needs_input_grad
        along_y = (gg * y).sum(self.dim, keepdim=True)
        to_g = y * (gg - along_y) if need_g else None
        to_y = gg * (g - (g * y).sum(self.dim, keepdim=True)) - g * along_y if need_y else None
        return to_g, to_y


class LogSoftmax(Node):
    """``x - log(sum(exp(x)))`` along a dimension."""

    keep_outputs = (0,)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return self.backend.log_softmax(x, self.dim)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return LogSoftmaxGrad(self.dim)(g, y)


class LogSoftmaxGrad(Node):
    """``g - exp(y) sum(g)``, linear in ``g``."""

    keep_inputs = (0, 1)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, g: Any, y: Any) -> Any:
        return self.backend.log_softmax_backward(g, y, self.dim)

    def backward(self, gg: Tensor) -> tuple[Tensor | None, Tensor | None]:
        g, y = self.saved
        need_g, need_y = self.needs_input_grad
        p = y.exp()
        to_g = gg - (gg * p).sum(self.dim, keepdim=True) if need_g else None
        to_y = -gg * p * g.sum(self.dim, keepdim=True) if need_y else None
        return to_g, to_y


def _prepared(input: Tensor, dim: int | None, dtype: dtypes.dtype | None, name: str) -> tuple[Tensor, int]:
    x = input if dtype is None else cast(input, dtype)
    if not x.dtype.is_floating_point:
        argument = "input" if dtype is None else "dtype"
        raise RuntimeError(takes(name, argument, "a floating-point type", x.dtype))
    if dim is None:
        warnings.warn(
            f"Implicit dimension choice for {name} has been deprecated. "
            "Change the call to include dim=X as an argument.",
            stacklevel=4,  # past the op, and past autocast, which lists these
        )
        dim = 0 if x._data.ndim in (0, 1, 3) else 1
    return x, dimension(dim, x._data.ndim, name)


@op(method=True)
def softmax(input: Tensor, dim: int | None = None, dtype: dtypes.dtype | None = None) -> Tensor:
    """``exp(input) / sum(exp(input))`` along ``dim``, without overflow.

    Parameters
    ----------
    dim
        Which dimension sums to 1. Without it, dimension 0 of tensors with 0, 1 or 3 dimensions, else 1, and a warning.
    dtype
        Convert the input to this dtype first, against overflow.

    Notes
    -----
    Rows that contain infinity, and rows of nothing but minus infinity, become NaN.
    """
    return _softmax(*_prepared(input, dim, dtype, "softmax"))


def _softmax(x: Tensor, dim: int) -> Tensor:
    return Softmax(dim)(x) if x._data.ndim else x * 0 + 1


@op(method=True)
def log_softmax(input: Tensor, dim: int | None = None, dtype: dtypes.dtype | None = None) -> Tensor:
    """``log(softmax(input))`` along ``dim``, without overflow or loss of digits; see :func:`softmax`."""
    x, d = _prepared(input, dim, dtype, "log_softmax")
    return LogSoftmax(d)(x) if x._data.ndim else x * 0


@op
def softmin(input: Tensor, dim: int | None = None, dtype: dtypes.dtype | None = None) -> Tensor:
    """``softmax(-input)``; see :func:`softmax`."""
    x, d = _prepared(input, dim, dtype, "softmin")
    return _softmax(-x, d)


@op(method=True)
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(input)))`` over dimensions, without overflow."""
    x = floating(input)
    dims = dimensions(dim, x._data.ndim, "logsumexp")
    if x._data.size == 0:
        return sum(x.exp(), dims, keepdim).log()
    top = amax(x.detach(), dims, True)
    top = top.masked_fill(top.isinf(), 0.0)
    out = (x - top).exp().sum(dims, True).log() + top
    return out if keepdim else out.reshape([s for i, s in enumerate(x.shape) if i not in dims])
