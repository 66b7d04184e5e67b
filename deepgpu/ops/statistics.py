"""Pairs of statistics, sums without NaN, counts and histograms, covariance."""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple

import numpy as np

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.extrema import amax, amin
from deepgpu.ops.indexing import IndexAdd
from deepgpu.ops.op import op
from deepgpu.ops.reduction import mean, std, sum, var
from deepgpu.tensor import Tensor, wrap


class min_and_max(NamedTuple):
    """What :func:`aminmax` returns."""

    min: Tensor
    max: Tensor


@op
def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """The variance and the mean over ``dim``; see :func:`deepgpu.var`."""
    first = var(input, dim, unbiased, keepdim, correction=correction)
    return first, mean(input, None if isinstance(dim, bool) else dim, keepdim)


@op
def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """The standard deviation and the mean over ``dim``; see :func:`deepgpu.std`."""
    first = std(input, dim, unbiased, keepdim, correction=correction)
    return first, mean(input, None if isinstance(dim, bool) else dim, keepdim)


@op(method=True)
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element, of all or along ``dim``, as ``(min, max)``."""
    if input._data.size == 0 and dim is None:
        raise RuntimeError(takes("aminmax", "input", "at least one element", f"shape {tuple(input.shape)}"))
    dims: Any = () if dim is None else dim
    return min_and_max(amin(input, dims, keepdim), amax(input, dims, keepdim))


@op(method=True)
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The sum over ``dim`` of the elements that are not NaN."""
    x = input.masked_fill(input.isnan(), 0) if input.dtype.is_floating_point else input
    return sum(x, dim, keepdim, dtype=dtype)


@op(method=True)
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The mean over ``dim`` of the elements that are not NaN."""
    if not (dtype or input.dtype).is_floating_point:
        raise RuntimeError(takes("nanmean", "input", "a floating-point tensor", input.dtype))
    total = nansum(input, dim, keepdim, dtype=dtype)
    return total / sum(~input.isnan(), dim, keepdim).to(total.dtype)


@op(method=True, differentiable=False)
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of the integers 0, 1, 2, ... occurs, or the sum of the weights of its places.

    Parameters
    ----------
    minlength
        The result has at least so many elements.
    """
    if input.dtype.is_floating_point or input.dtype is dtypes.bool or input._data.ndim != 1:
        got = f"{input.dtype} of shape {tuple(input.shape)}"
        raise RuntimeError(takes("bincount", "input", "a vector of integers that are not negative", got))
    if minlength < 0:
        raise RuntimeError(takes("bincount", "minlength", "a number that is not negative", minlength))
    if input._data.size and int(input._data.min()) < 0:
        lowest = int(input._data.min())
        raise RuntimeError(takes("bincount", "input", "a vector of integers that are not negative", lowest))
    if weights is not None and weights._data.shape != input._data.shape:
        raise RuntimeError(takes("bincount", "weights", f"shape {tuple(input.shape)}", f"shape {tuple(weights.shape)}"))
    xp = input._backend.xp
    size = builtins.max(minlength, int(input._data.max()) + 1 if input._data.size else 0)
    dtype = np.int64 if weights is None else np.float32 if weights._data.dtype == np.float32 else np.float64
    found = xp.zeros(size, dtype)
    each = xp.ones(input._data.shape, dtype) if weights is None else weights._data.astype(dtype)
    input._backend.add_at(found, (input._data.astype(np.int64),), each)
    return wrap(found, input._backend)


@op(method=True, differentiable=False)
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of ``bins`` equal parts of ``[min, max]``, in the dtype of ``input``.

    Parameters
    ----------
    min, max
        The range; if equal, that of the elements.
    """
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes("histc", "input", "a floating-point tensor", input.dtype))
    if bins < 1:
        raise RuntimeError(takes("histc", "bins", "a positive number", bins))
    if min > max:
        raise RuntimeError(takes("histc", "max", f"at least `min`, {min}", max))
    x, xp = input._data.reshape(-1), input._backend.xp
    low, high = (min, max) if min != max or not x.size else (float(x.min()), float(x.max()))
    if low == high:
        low, high = low - 1, high + 1
    inside = x[(x >= low) & (x <= high)]
    part = xp.minimum(((inside - low) * (bins / (high - low))).astype(np.int64), bins - 1)
    ones = wrap(xp.ones(part.shape, x.dtype), input._backend)
    return IndexAdd((bins,), (wrap(part, input._backend),))(ones)


@op(method=True)
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariance matrix of variables, a row each, over observations, a column each.

    Parameters
    ----------
    correction
        The divisor is the number of observations less this.
    fweights
        How often each observation counts.
    aweights
        How much each observation weighs.
    """
    if input._data.ndim > 2:
        raise RuntimeError(takes("cov", "input", "at most 2 dimensions", f"shape {tuple(input.shape)}"))
    x = input.reshape(1, -1) if input._data.ndim < 2 else input
    w = None
    if fweights is not None:
        if fweights.dtype.is_floating_point:
            raise RuntimeError(takes("cov", "fweights", "integers", fweights.dtype))
        w = fweights.to(x.dtype)
    if aweights is not None:
        w = aweights if w is None else w * aweights
    count = w.sum() if w is not None else float(x._data.shape[1])
    centre = x.mean(1, keepdim=True) if w is None else (x * w).sum(1, keepdim=True) / count
    if w is not None and aweights is not None and correction:
        degrees = count - correction * (w * aweights).sum() / count
    else:
        degrees = count - correction
    centred = x - centre
    product = (centred if w is None else centred * w) @ centred.t()
    found = product / (degrees.clamp(min=0) if isinstance(degrees, Tensor) else builtins.max(degrees, 0.0))
    return found.squeeze()


@op(method=True)
def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlation coefficients of variables, a row each."""
    c = cov(input)
    if not c._data.ndim:
        return c / c
    scale = c.diagonal().sqrt()
    return (c / scale.unsqueeze(1) / scale.unsqueeze(0)).clamp(-1, 1)
