"""Sums, products, means, variances, and whether any or all elements hold."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded
from deepgpu.errors import takes
from deepgpu.ops.assign import assign
from deepgpu.ops.cast import cast
from deepgpu.ops.dims import dimension, dimensions
from deepgpu.ops.op import op
from deepgpu.ops.shape import Expand
from deepgpu.tensor import Tensor, method


def accumulator(dtype: Any) -> Any:
    """The NumPy dtype to sum in: float32 for the half types."""
    d = dtypes.from_numpy(dtype)
    return dtypes.float32.numpy if d in (dtypes.float16, dtypes.bfloat16) else d.numpy


class Reduction(Node):
    """Over ``dims``, which stay as size 1 with ``keepdim``."""

    def __init__(self, dims: tuple[int, ...], keepdim: bool) -> None:
        self.dims = dims
        self.keepdim = keepdim

    def spread(self, y: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A tensor of the result's shape, broadcast back to the input's."""
        leading = builtins.max(self.dims, default=-1) < len(self.dims)  # then broadcasting adds them by itself
        if not self.keepdim and not leading:
            y = y.reshape([1 if i in self.dims else s for i, s in enumerate(shape)])
        return Expand(shape)(y)


class Sum(Reduction):
    """The sum over dimensions; the adjoint repeats the gradient."""

    def forward(self, x: Any) -> Any:
        self.shape = x.shape
        return self.backend.sum(x, self.dims, self.keepdim)

    def backward(self, g: Tensor) -> Tensor:
        return self.spread(g, self.shape)


class Mean(Reduction):
    """The sum in the accumulator's dtype, divided before it is rounded: a mean of half numbers does not overflow."""

    def forward(self, x: Any) -> Any:
        self.shape = x.shape
        self.count = math.prod([x.shape[d] for d in self.dims])
        if x.dtype.itemsize == 2:
            total = x.sum(axis=self.dims, dtype=accumulator(x.dtype), keepdims=self.keepdim)
        else:
            total = self.backend.sum(x, self.dims, self.keepdim)
        return rounded(total / total.dtype.type(self.count), x.dtype)  # the mean of nothing is NaN

    def backward(self, g: Tensor) -> Tensor:
        return self.spread(g / builtins.max(self.count, 1), self.shape)


class Root(Node):
    """The square root of a variance; its gradient is 0 at 0, where all elements are equal."""

    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.sqrt(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        zero = y.detach() == 0
        return (g / (2 * y.masked_fill(zero, 1.0))).masked_fill(zero, 0.0)


class Prod(Reduction):
    """The product over dimensions; the gradient of an element is the product of the others."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return x.prod(axis=self.dims, keepdims=self.keepdim, dtype=x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        """The product of all other elements, by products from the left and from the right: right for zeros too."""
        (x,) = self.saved
        if len(self.dims) != 1:
            rest = [d for d in range(x.ndim) if d not in self.dims]
            order = [*rest, *self.dims]
            flat = x.permute(order).reshape([*[x.shape[d] for d in rest], -1]) if order else x.reshape(-1)
            others = _product_of_others(flat, flat.ndim - 1)
            inverse = [order.index(d) for d in range(x.ndim)]
            others = others.reshape([x.shape[d] for d in order]).permute(inverse) if order else others.reshape(())
        else:
            others = _product_of_others(x, self.dims[0])
        return self.spread(g, x.shape) * others


def _product_of_others(x: Tensor, dim: int) -> Tensor:
    """At each position, the product of all elements along ``dim`` but that one."""
    n = x.shape[dim]
    left = [x.new_ones(x.select(dim, 0).shape)] if n else []
    right = [left[0]] if n else []
    for i in range(n - 1):
        left.append(left[-1] * x.select(dim, i))
        right.append(right[-1] * x.select(dim, n - 1 - i))
    if not n:
        return x
    from deepgpu.ops.joining import stack

    return stack([a * b for a, b in zip(left, reversed(right), strict=True)], dim)


class Cumsum(Node):
    """``y_i = x_0 + ... + x_i``; the adjoint sums from the other end."""

    def __init__(self, dim: int, reverse: bool = False) -> None:
        self.dim = dim
        self.reverse = reverse

    def forward(self, x: Any) -> Any:
        return self.backend.cumsum(x, self.dim, self.reverse) if x.ndim else x.copy()

    def backward(self, g: Tensor) -> Tensor:
        return Cumsum(self.dim, not self.reverse)(g)


class Predicate(Reduction):
    """``any`` and ``all``."""

    non_differentiable = (0,)

    def __init__(self, dims: tuple[int, ...], keepdim: bool, ufunc: str) -> None:
        super().__init__(dims, keepdim)
        self.ufunc = ufunc

    def forward(self, x: Any) -> Any:
        return getattr(self.xp, self.ufunc)(x, axis=self.dims, keepdims=self.keepdim)


def summable(input: Tensor, dtype: dtypes.dtype | None) -> Tensor:
    """Integers and bools are summed as int64."""
    if dtype is not None:
        return cast(input, dtype)
    return input if input.dtype.is_floating_point else cast(input, dtypes.int64)


@op(method=True)
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The sum over ``dim`` (one, several, or all); integers as int64."""
    return Sum(dimensions(dim, input._data.ndim, "sum"), keepdim)(summable(input, dtype))


@op(method=True)
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The mean over ``dim`` (one, several, or all)."""
    x = cast(input, dtype) if dtype is not None else input
    if not x.dtype.is_floating_point:
        raise RuntimeError(takes("mean", "input", "a floating-point tensor (or pass `dtype`)", x.dtype))
    return Mean(dimensions(dim, x._data.ndim, "mean"), keepdim)(x)


def _variance(
    input: Tensor, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None, name: str
) -> Tensor:
    if isinstance(dim, bool):  # var(input, unbiased)
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    elif unbiased is not None:
        raise TypeError(f"`{name}`: `unbiased` is the older name of `correction`; give one of them")
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))
    dims = dimensions(dim, input._data.ndim, name)
    x = cast(input, dtypes.float32) if input._data.itemsize == 2 else input
    deviation = x - Mean(dims, True)(x)
    degrees = builtins.max(math.prod([input._data.shape[d] for d in dims]) - correction, 0)
    return Sum(dims, keepdim)(deviation * deviation) / float(degrees)


@op(method=True)
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over ``dim``: squared deviations from the mean, summed and divided by ``n - correction``.

    Parameters
    ----------
    correction
        1 by default: the unbiased estimate.
    unbiased
        The older name: True for ``correction=1``, False for 0.
    """
    return cast(_variance(input, dim, unbiased, keepdim, correction, "var"), input.dtype)


@op(method=True)
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation over ``dim``: the root of :func:`var`, with the gradient 0 where it is 0."""
    return cast(Root()(_variance(input, dim, unbiased, keepdim, correction, "std")), input.dtype)


@op(method=True)
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The product over one dimension, or of all elements."""
    return Prod(dimensions(dim, input._data.ndim, "prod"), keepdim)(summable(input, dtype))


def _predicate(input: Tensor, dim: Any, keepdim: bool, name: str) -> Tensor:
    nothing = isinstance(dim, Sequence) and not dim  # here an empty list reduces nothing; sums take it for all
    dims = () if nothing else dimensions(dim, input._data.ndim, name)
    found = Predicate(dims, keepdim, name)(input)
    return cast(found, dtypes.uint8) if input.dtype is dtypes.uint8 else found


@op(method=True, differentiable=False)
def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether one element is non-zero; uint8 tensors give uint8."""
    return _predicate(input, dim, keepdim, "any")


@op(method=True, differentiable=False)
def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are non-zero; uint8 tensors give uint8."""
    return _predicate(input, dim, keepdim, "all")


@op(method=True)
def cumsum(input: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """Running sums along ``dim``; integers as int64."""
    return Cumsum(dimension(dim, input._data.ndim, "cumsum"))(summable(input, dtype))


@method
def cumsum_(self: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """In-place version of :func:`cumsum`, in this dtype."""
    if dtype not in (None, self.dtype):
        raise RuntimeError(takes("cumsum_", "dtype", f"that of the tensor, {self.dtype}", dtype))
    found = cumsum(self, dim)
    return assign(self, found if self.dtype is dtypes.bool else cast(found, self.dtype), "cumsum_")


@op(method=True, differentiable=False)
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not zero."""
    return (input != 0).sum(dim)
