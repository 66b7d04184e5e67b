"""Order: sort, topk, kthvalue, median, mode, quantiles, unique values, positions in sorted sequences."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from deepgpu.backends.precision import widened
from deepgpu.errors import takes
from deepgpu.ops.creation import as_tensor
from deepgpu.ops.dims import dimension
from deepgpu.ops.extrema import Amax, values_and_indices
from deepgpu.ops.indexing import gather
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, wrap


def _argsort(input: Tensor, d: int, descending: bool) -> Tensor:
    """Positions of the sorted elements along ``d``; equal ones keep their order, NaN counts as the largest."""
    x, xp = input._data, input._backend.xp
    if not x.ndim:
        return wrap(xp.zeros((), np.int64), input._backend)
    x = widened(x) if x.dtype.kind != "b" else x.astype(np.uint8)
    if not descending:
        found = xp.argsort(x, axis=d, kind="stable")
    else:
        found = x.shape[d] - 1 - xp.flip(xp.argsort(xp.flip(x, d), axis=d, kind="stable"), d)
    return wrap(found.astype(np.int64, copy=False), input._backend)


FEW = 8
"""How many times as many elements as are wanted there must be, so that they are selected before they are sorted."""


def _selected(input: Tensor, d: int, k: int, largest: bool) -> Tensor:
    """Positions of the ``k`` largest or smallest elements along ``d``, sorted; NaN counts as the largest."""
    n = input._data.shape[d]
    if k == 0 or FEW * k > n:
        return _argsort(input, d, largest).narrow(d, 0, k)
    x, xp = widened(input._data), input._backend.xp
    if largest:
        found = xp.argpartition(x, n - k, axis=d)[(*[slice(None)] * d, slice(n - k, None))]
    else:
        found = xp.argpartition(x, k - 1, axis=d)[(*[slice(None)] * d, slice(None, k))]
    found = wrap(xp.sort(found, axis=d).astype(np.int64, copy=False), input._backend)
    return gather(found, d, _argsort(gather(input.detach(), d, found), d, largest))


def _taken(input: Tensor, d: int, indices: Tensor, keepdim: bool = True) -> Any:
    """The elements at positions along ``d``, with the positions."""
    if not input._data.ndim:
        return values_and_indices(input.clone(), indices.reshape(()))
    values = gather(input, d, indices)
    if not keepdim:
        values, indices = values.squeeze(d), indices.squeeze(d)
    return values_and_indices(values, indices)


@op(method=True)
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The elements in rising order along ``dim``, and where they were; NaN counts as the largest.

    Parameters
    ----------
    stable
        Equal elements always keep their order here, whatever this says.

    Returns
    -------
    tuple
        ``(values, indices)``
    """
    d = dimension(dim, input._data.ndim, "sort")
    return _taken(input, d, _argsort(input, d, descending))


@op(method=True, differentiable=False)
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices of :func:`sort`."""
    return _argsort(input, dimension(dim, input._data.ndim, "argsort"), descending)


@op(method=True)
def msort(input: Tensor) -> Tensor:
    """Sorted along the first dimension."""
    return sort(input, 0)[0]


@op(method=True)
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The ``k`` largest elements along ``dim``, from the largest on, and where they are.

    Parameters
    ----------
    largest
        False for the smallest, from the smallest on.
    sorted
        They are always sorted here, whatever this says.

    Returns
    -------
    tuple
        ``(values, indices)``
    """
    d = dimension(dim, input._data.ndim, "topk")
    n = input._data.shape[d] if input._data.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(takes("topk", "k", f"a number in 0..{n}, the size of dimension {d}", k))
    return _taken(input, d, _selected(input, d, k, largest) if input._data.ndim else _argsort(input, d, largest))


@op(method=True)
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The ``k``-th smallest element along ``dim``, counted from 1, and where it is."""
    d = dimension(dim, input._data.ndim, "kthvalue")
    n = input._data.shape[d] if input._data.ndim else 1
    if n == 0:
        raise IndexError(f"`kthvalue`: an empty dimension of shape {tuple(input.shape)} has no {k}-th value")
    if not 1 <= k <= n:
        raise RuntimeError(takes("kthvalue", "k", f"a number in 1..{n}, the size of dimension {d}", k))
    indices = _argsort(input, d, False)
    return _taken(input, d, indices.narrow(d, k - 1, 1) if input._data.ndim else indices, keepdim)


class Middle(Amax):
    """The lower median of all elements; equal elements share the gradient."""

    def __init__(self, ndim: int, skip_nan: bool) -> None:
        super().__init__(tuple(range(ndim)), False, "median")
        self.skip_nan = skip_nan

    def forward(self, x: Any) -> Any:
        xp = self.xp
        flat = xp.sort(widened(x).reshape(-1))
        if not flat.size:
            return xp.asarray(xp.nan, x.dtype)
        valid = flat.size - int(xp.isnan(flat).sum()) if x.dtype.kind in "fV" else flat.size
        if valid == flat.size or (self.skip_nan and valid):
            return flat[(valid - 1) // 2].astype(x.dtype)
        return xp.asarray(xp.nan, x.dtype)


def _median(input: Tensor, dim: int | None, keepdim: bool, name: str) -> Any:
    skip_nan = name == "nanmedian"
    if dim is None:
        if not input._data.size and not input.dtype.is_floating_point:
            raise RuntimeError(takes(name, "input", "at least one element", "an empty tensor"))
        return Middle(input._data.ndim, skip_nan)(input)
    d = dimension(dim, input._data.ndim, name)
    if not input._data.ndim:
        return _taken(input, d, _argsort(input, d, False))
    n = input._data.shape[d]
    if n == 0:
        raise IndexError(f"`{name}`: an empty dimension of shape {tuple(input.shape)} has no median")
    indices = _argsort(input, d, False)
    xp, nan = input._backend.xp, input.isnan()._data.sum(axis=d, keepdims=True)
    if skip_nan:
        place = (xp.maximum(n - nan, 1) - 1) // 2
    else:
        place = xp.where(nan > 0, n - nan, (n - 1) // 2)  # the first NaN
    return _taken(input, d, gather(indices, d, wrap(place.astype(np.int64), input._backend)), keepdim)


@op(method=True)
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of all elements; with ``dim``, ``(values, indices)``. Of an even number it is the lower of the two."""
    return _median(input, dim, keepdim, "median")


@op(method=True)
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """:func:`median` of the elements that are not NaN."""
    return _median(input, dim, keepdim, "nanmedian")


@op(method=True)
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along ``dim``, the smallest of several, and where it last stands."""
    d = dimension(dim, input._data.ndim, "mode")
    if not input._data.ndim:
        return _taken(input, d, _argsort(input, d, False))
    n = input._data.shape[d]
    if n == 0:
        raise IndexError(f"`mode`: an empty dimension of shape {tuple(input.shape)} has no most frequent value")
    xp = input._backend.xp
    indices = _argsort(input, d, False)
    values = xp.moveaxis(gather(input.detach(), d, indices)._data, d, -1)
    length = xp.ones(values.shape, np.int64)  # of the run of equal elements that ends here
    for i in range(1, n):
        length[..., i] = xp.where(values[..., i] == values[..., i - 1], length[..., i - 1] + 1, 1)
    place = xp.expand_dims(length.argmax(axis=-1), d)
    return _taken(input, d, gather(indices, d, wrap(place.astype(np.int64), input._backend)), keepdim)


# --- quantiles --------------------------------------------------------------------------------------------------------

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, name: str) -> Tensor:
    if interpolation not in _INTERPOLATIONS:
        expected = ", ".join(map(repr, _INTERPOLATIONS))
        raise RuntimeError(takes(name, "interpolation", f"one of {expected}", repr(interpolation)))
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))
    if not input._data.size:
        raise RuntimeError(takes(name, "input", "at least one element", f"shape {tuple(input.shape)}"))
    share = q if isinstance(q, Tensor) else as_tensor(q, dtype=input.dtype, device=input.device)
    if share._data.ndim > 1:
        raise RuntimeError(takes(name, "q", "a number or a vector", f"shape {tuple(share.shape)}"))
    if share.dtype is not input.dtype:
        raise RuntimeError(takes(name, "q", f"the dtype of `input`, {input.dtype}", share.dtype))
    if not bool(((share._data >= 0) & (share._data <= 1)).all()):
        raise RuntimeError(takes(name, "q", "numbers in [0, 1]", share.tolist()))
    ndim = input._data.ndim
    x = input.reshape(-1) if dim is None else input.movedim(dimension(dim, ndim, name), -1)
    x = x if x._data.ndim else x.reshape(1)
    ordered = sort(x, -1)[0]
    n, xp = x._data.shape[-1], input._backend.xp
    nan = x.isnan()._data.sum(axis=-1, keepdims=True)
    ranks = share._data.reshape(-1) * (n - 1 - nan if name == "nanquantile" else xp.full(nan.shape, n - 1))
    ranks = xp.maximum(ranks, 0)
    if name == "quantile":
        ranks = xp.where(nan > 0, n - 1, ranks)  # a NaN, which stands last
    if interpolation == "nearest":
        ranks = xp.rint(ranks)
    low, high = (xp.floor(ranks), xp.ceil(ranks))
    if interpolation == "lower":
        high = ranks = low
    elif interpolation == "higher":
        low = ranks = high
    below, above = (gather(ordered, -1, wrap(i.astype(np.int64), x._backend)) for i in (low, high))
    weight = xp.full(ranks.shape, 0.5) if interpolation == "midpoint" else ranks - low
    found = below.lerp(above, wrap(xp.asarray(weight, x._data.dtype), x._backend))
    found = found.movedim(-1, 0)  # the quantiles first
    if keepdim:
        found = found.unsqueeze(dimension(dim, ndim, name) + 1) if dim is not None else found.reshape(-1, *[1] * ndim)
        if not ndim:
            found = found.reshape(-1)
    elif not ndim or dim is None:
        found = found.reshape(-1)
    return found if share._data.ndim else found.squeeze(0)


@op(method=True)
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """Values below which the share ``q`` of the elements lies, of all elements or along ``dim``.

    Parameters
    ----------
    q
        A number in [0, 1], or a vector of them, which becomes the first dimension of the result.
    interpolation
        Between two elements: ``"linear"``, ``"lower"``, ``"higher"``, ``"midpoint"`` or ``"nearest"``.
    """
    return _quantile(input, q, dim, keepdim, interpolation, "quantile")


@op(method=True)
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """:func:`quantile` of the elements that are not NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, "nanquantile")


# --- unique values ----------------------------------------------------------------------------------------------------


def _results(x: Tensor, found: list[Any], wanted: tuple[bool, bool]) -> Any:
    values, *rest = [wrap(x._backend.xp.asarray(a), x._backend) for a in found]
    chosen = [r.long() for r, take in zip(rest, wanted, strict=True) if take]
    return (values, *chosen) if chosen else values


@op(method=True, differentiable=False)
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements in rising order, or the different positions of a dimension.

    Parameters
    ----------
    sorted
        They are always sorted here, whatever this says.
    return_inverse
        Also return where each element of the input is found in the result.
    return_counts
        Also return how often each occurs.
    """
    xp, x = input._backend.xp, input._data
    axis = None if dim is None else dimension(dim, x.ndim, "unique")
    wide = widened(x)
    values, inverse, counts = xp.unique(wide, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    shape = x.shape if axis is None else (x.shape[axis],)
    return _results(input, [values.astype(x.dtype), inverse.reshape(shape), counts], (return_inverse, return_counts))


@op(method=True, differentiable=False)
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements, or the positions of a dimension, without those equal to the one before."""
    xp, x = input._backend.xp, input._data
    axis = 0 if dim is None else dimension(dim, x.ndim, "unique_consecutive")
    rows = x.reshape(-1) if dim is None else xp.moveaxis(x, axis, 0)
    n = rows.shape[0]
    changed = xp.ones(n, bool)
    if n > 1:
        changed[1:] = (rows[1:] != rows[:-1]).reshape(n - 1, -1).any(axis=1)
    starts = xp.nonzero(changed)[0]
    inverse = xp.cumsum(changed) - 1
    counts = xp.concatenate([starts[1:], xp.asarray([n])]) - starts if n else starts
    values = rows[starts] if dim is None else xp.moveaxis(rows[starts], 0, axis)
    shape = x.shape if dim is None else (n,)
    return _results(input, [values, inverse.reshape(shape), counts], (return_inverse, return_counts))


# --- positions in sorted sequences ------------------------------------------------------------------------------------


@op(differentiable=False)
def searchsorted(
    sorted_sequence: Tensor,
    values: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each element would be inserted into a sorted sequence (the last dimension) to keep it sorted.

    Parameters
    ----------
    sorted_sequence
        A vector, or ``(..., N)`` with the leading sizes of ``values``.
    right
        Behind equal elements rather than before them; ``side="right"`` says the same.
    sorter
        The indices that sort the sequence, if it is not sorted.
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        expected = "None, 'left' or 'right', in agreement with `right`"
        raise RuntimeError(takes("searchsorted", "side", expected, f"{side!r} with right={right}"))
    xp, backend = sorted_sequence._backend.xp, sorted_sequence._backend
    wanted = values if isinstance(values, Tensor) else as_tensor(values, device=sorted_sequence.device)
    sequence = sorted_sequence if sorter is None else gather(sorted_sequence, -1, sorter)
    where = "right" if right or side == "right" else "left"
    s, v = sequence._data, wanted._data
    if s.ndim == 1:
        found = xp.searchsorted(s, v.reshape(-1), side=where).reshape(v.shape)
    else:
        if s.shape[:-1] != v.shape[:-1]:
            expected = f"the leading sizes of `sorted_sequence`, {s.shape[:-1]}"
            raise RuntimeError(takes("searchsorted", "values", expected, f"shape {v.shape}"))
        rows, queries = s.reshape(-1, s.shape[-1]), v.reshape(math.prod(v.shape[:-1]), -1)
        pairs = builtins.zip(rows, queries, strict=True)
        found = xp.stack([xp.searchsorted(r, q, side=where) for r, q in pairs]).reshape(v.shape)
    return wrap(xp.asarray(found).astype(np.int32 if out_int32 else np.int64), backend)


@op(differentiable=False)
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """In which of the intervals between sorted ``boundaries`` each element lies; see :func:`searchsorted`."""
    if boundaries._data.ndim != 1:
        raise RuntimeError(takes("bucketize", "boundaries", "a vector", f"shape {tuple(boundaries.shape)}"))
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@op(differentiable=False)
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Which of ``elements`` are among ``test_elements``; either may be a number."""
    some = elements if isinstance(elements, Tensor) else test_elements
    if not isinstance(some, Tensor):
        raise TypeError(takes("isin", "elements", "a tensor, unless `test_elements` is one", "two numbers"))
    a, b = (x if isinstance(x, Tensor) else as_tensor(x, device=some.device) for x in (elements, test_elements))
    xp = some._backend.xp
    ordered, wanted = xp.sort(b._data.reshape(-1)), a._data
    if not ordered.size:
        return wrap(xp.full(wanted.shape, invert), some._backend)
    place = xp.minimum(xp.searchsorted(ordered, wanted.reshape(-1)), ordered.size - 1)
    found = (ordered[place] == wanted.reshape(-1)).reshape(wanted.shape)
    return wrap(~found if invert else found, some._backend)


@op(method=True, differentiable=False)
def argwhere(input: Tensor) -> Tensor:
    """The positions of elements that are not 0, a row each."""
    return input.nonzero()
