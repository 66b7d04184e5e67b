"""Running products, extrema and logarithms of sums; differences and integrals along a dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded, widened
from deepgpu.errors import takes
from deepgpu.ops.assign import assign
from deepgpu.ops.cast import cast
from deepgpu.ops.dims import dimension
from deepgpu.ops.extrema import values_and_indices
from deepgpu.ops.indexing import gather
from deepgpu.ops.joining import cat, stack
from deepgpu.ops.op import op
from deepgpu.ops.reduction import Cumsum, summable
from deepgpu.tensor import Tensor, method, wrap


class Cumprod(Node):
    """``y_i = x_0 ... x_i``."""

    keep_inputs = (0,)
    keep_outputs = (0,)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return self.xp.cumprod(x, self.dim, dtype=x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        """Without zeros ``sum over later j of g[j] y[j] / x[i]``; with zeros Horner's scheme from the end."""
        x, y = self.saved
        d, n = self.dim, x._data.shape[self.dim]
        if bool((x._data != 0).all()):
            return Cumsum(d, reverse=True)(g * y) / x
        later = g.select(d, n - 1)
        sums = [later]
        for i in range(n - 2, -1, -1):
            later = g.select(d, i) + x.select(d, i + 1) * later
            sums.append(later)
        before = cat([x.new_ones(x.narrow(d, 0, 1).shape), y.narrow(d, 0, n - 1)], d)
        return before * stack(sums[::-1], d)


def scan(ufunc: Any, x: Any, axis: int) -> Any:
    """Running results along an axis in log2(n) passes over the whole (CuPy's ufuncs accumulate nothing but sums)."""
    y, step = x.copy(), 1
    before = (slice(None),) * axis
    while step < x.shape[axis]:
        earlier, later = (*before, slice(None, -step)), (*before, slice(step, None))
        y[later] = ufunc(y[later], y[earlier].copy())
        step *= 2
    return y


class Logcumsumexp(Node):
    """``y_i = log(exp(x_0) + ... + exp(x_i))`` without overflow."""

    keep_inputs = (0,)
    keep_outputs = (0,)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return rounded(scan(self.xp.logaddexp, widened(x), self.dim), x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        """``sum over later j of g[j] exp(x[i] - y[j])``: no exponent is positive, so that nothing overflows."""
        x, y = (t.movedim(self.dim, -1) for t in self.saved)
        n = x._data.shape[-1]
        place = self.xp.arange(n)
        earlier = wrap(place[:, None] > place, self.backend)
        powers = (x.unsqueeze(-1) - y.unsqueeze(-2)).masked_fill(earlier, float("-inf")).exp()
        return (powers @ g.movedim(self.dim, -1).unsqueeze(-1)).squeeze(-1).movedim(-1, self.dim)


@op(method=True)
def cumprod(input: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """Running products along ``dim``; integers as int64."""
    d = dimension(dim, input._data.ndim, "cumprod")
    x = summable(input, dtype)
    return Cumprod(d)(x) if x._data.ndim and x._data.size else x.clone()


@method
def cumprod_(self: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """In-place version of :func:`cumprod`, in this dtype."""
    if dtype not in (None, self.dtype):
        raise RuntimeError(takes("cumprod_", "dtype", f"that of the tensor, {self.dtype}", dtype))
    if self.dtype is dtypes.bool:
        raise RuntimeError(takes("cumprod_", "self", "numbers", "a bool tensor"))
    return assign(self, cast(cumprod(self, dim), self.dtype), "cumprod_")


@op(method=True)
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """``log(cumsum(exp(input)))`` along ``dim``, without overflow. Its gradient takes memory for all pairs."""
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes("logcumsumexp", "input", "a floating-point tensor", input.dtype))
    d = dimension(dim, input._data.ndim, "logcumsumexp")
    return Logcumsumexp(d)(input) if input._data.ndim and input._data.size else input.clone()


def _running(input: Tensor, dim: int, name: str) -> Any:
    d = dimension(dim, input._data.ndim, name)
    x, xp = input._data, input._backend.xp
    if not x.ndim or not x.size:
        return values_and_indices(input.clone(), wrap(xp.zeros(x.shape, np.int64), input._backend))
    ufunc = xp.maximum if name == "cummax" else xp.minimum
    x = widened(x)
    with np.errstate(invalid="ignore"):
        best = scan(ufunc, x, d)
    is_best = (x == best) | (x != x)
    place = xp.arange(x.shape[d]).reshape([-1 if i == d else 1 for i in range(x.ndim)])
    found = scan(xp.maximum, xp.where(is_best, place, 0), d)
    indices = wrap(found.astype(np.int64), input._backend)
    return values_and_indices(gather(input, d, indices), indices)


@op(method=True)
def cummax(input: Tensor, dim: int) -> Any:
    """The largest element so far along ``dim``, and where it last stood; a NaN stays."""
    return _running(input, dim, "cummax")


@op(method=True)
def cummin(input: Tensor, dim: int) -> Any:
    """The smallest element so far along ``dim``, and where it last stood; a NaN stays."""
    return _running(input, dim, "cummin")


@op(method=True)
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Each element less the one before along ``dim``, ``n`` times.

    Parameters
    ----------
    prepend, append
        Put before and behind the input first.
    """
    if not input._data.ndim:
        raise RuntimeError(takes("diff", "input", "at least one dimension", "a 0-d tensor"))
    if n < 0:
        raise RuntimeError(takes("diff", "n", "a number that is not negative", n))
    d = dimension(dim, input._data.ndim, "diff")
    parts = [t for t in (prepend, input, append) if t is not None]
    x = cat(parts, d) if len(parts) > 1 else input
    if not n:
        return x.clone()
    for _ in range(min(n, x._data.shape[d])):
        size = max(x._data.shape[d] - 1, 0)
        after, before = x.narrow(d, min(1, x._data.shape[d]), size), x.narrow(d, 0, size)
        x = after ^ before if x.dtype is dtypes.bool else after - before
    return x


def _areas(y: Tensor, x: Tensor | None, dx: Any, dim: int, name: str) -> tuple[Tensor, int]:
    d = dimension(dim, y._data.ndim, name)
    n = y._data.shape[d]
    pairs = y.narrow(d, 0, max(n - 1, 0)) + y.narrow(d, min(1, n), max(n - 1, 0))
    if x is None:
        return pairs * (dx if isinstance(dx, Tensor) else dx / 2) * (0.5 if isinstance(dx, Tensor) else 1), d
    if x._data.ndim == 1 and y._data.ndim != 1:
        if x._data.shape[0] != n:
            raise RuntimeError(takes(name, "x", f"{n} points, one for each position of `y`", x._data.shape[0]))
        x = x.reshape([-1 if i == d else 1 for i in range(y._data.ndim)])
    return pairs * diff(x, dim=d if x._data.ndim == y._data.ndim else dim) / 2, d


@op
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of ``y`` along ``dim`` by the trapezoidal rule.

    Parameters
    ----------
    x
        Where the values are taken; by default ``dx`` apart.
    """
    areas, d = _areas(y, x, dx, dim, "trapezoid")
    return areas.sum(d)


@op
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of ``y`` up to each point but the first; see :func:`trapezoid`."""
    areas, d = _areas(y, x, dx, dim, "cumulative_trapezoid")
    return areas.cumsum(d)


trapz = trapezoid
