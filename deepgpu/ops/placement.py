"""Elements put in places: take, put, index_copy, index_fill, masked_scatter, scatter_reduce, *_scatter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.assign import assign, stand_in
from deepgpu.ops.broadcast import fitting
from deepgpu.ops.dims import dimension
from deepgpu.ops.indexing import Index, IndexPut, along, gather, integer, scatter_add, within
from deepgpu.ops.op import op
from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor, method, wrap


def _from_end(index: Tensor, size: int, name: str) -> Tensor:
    """Positions that may be counted from the end, as flat positions from the front."""
    integer(index, name)
    i, xp = index._data, index._backend.xp
    if i.size and (bool((i < -size).any()) or bool((i >= size).any())):
        expected = f"positions in -{size}..{size - 1}"
        raise IndexError(takes(name, "index", expected, f"values from {int(i.min())} to {int(i.max())}"))
    return wrap(xp.where(i < 0, i + size, i), index._backend)


@op(method=True)
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions of the flattened tensor, in the shape of ``index``."""
    flat = input.reshape(-1)
    return Index((_from_end(index, input._data.size, "take"),))(flat)


@op(method=True, inplace=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with the elements of ``source`` at positions of the flattened tensor.

    Parameters
    ----------
    accumulate
        Add them, also where a position repeats.
    """
    if source.dtype is not input.dtype:
        raise RuntimeError(takes("put", "source", f"the dtype of `input`, {input.dtype}", source.dtype))
    if source._data.size != index._data.size:
        raise IndexError(takes("put", "source", f"{index._data.size} elements, as `index` has", source._data.size))
    places = _from_end(index, input._data.size, "put").reshape(-1)
    flat = IndexPut((places,), accumulate, "put")(input.reshape(-1), source.reshape(-1))
    return flat.reshape(input.shape)


def _rows(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[int, Tensor, tuple[Any, ...]]:
    """The dimension, the tensor with at least one, and the index of whole positions of it."""
    d = dimension(dim, input._data.ndim, name)
    integer(index, name)
    if index._data.ndim > 1:
        raise IndexError(takes(name, "index", "a vector of positions", f"shape {tuple(index.shape)}"))
    x = input if input._data.ndim else input.reshape(1)
    index = index if index._data.ndim else index.reshape(1)
    within(index, x._data.shape[d], name, IndexError)
    return d, x, (*[slice(None)] * d, index)


@op(method=True, inplace=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy with ``source`` at the positions ``index`` of a dimension."""
    d, x, places = _rows("index_copy", input, dim, index)
    if source.dtype is not input.dtype:
        raise RuntimeError(takes("index_copy", "source", f"the dtype of `input`, {input.dtype}", source.dtype))
    given = source if source._data.ndim else source.reshape(1)
    expected = (*x._data.shape[:d], index._data.size, *x._data.shape[d + 1 :])
    if given._data.shape != expected:
        kind = IndexError if index._data.size != (given._data.shape[d : d + 1] or (1,))[0] else RuntimeError
        raise kind(takes("index_copy", "source", f"shape {expected}", f"shape {tuple(source.shape)}"))
    return IndexPut(places, False, "index_copy")(x, given).reshape(input.shape)


@op(method=True, inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy with ``value``, a number or a 0-d tensor, at the positions ``index`` of a dimension."""
    _, x, places = _rows("index_fill", input, dim, index)
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise RuntimeError(takes("index_fill", "value", "a number or a 0-d tensor", f"shape {tuple(value.shape)}"))
        fill = value.to(input.dtype)
    else:
        fill = x.new_full((), fitting(value, x._data.dtype, "index_fill", "value"))
    return IndexPut(places, False, "index_fill")(x, fill).reshape(input.shape)


@op(method=True, inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy with the first elements of ``source`` where ``mask``, which broadcasts, in order."""
    if mask.dtype is not dtypes.bool:
        raise RuntimeError(takes("masked_scatter", "mask", "a bool tensor", mask.dtype))
    if source.dtype is not input.dtype:
        raise RuntimeError(takes("masked_scatter", "source", f"the dtype of `input`, {input.dtype}", source.dtype))
    shape = np.broadcast_shapes(input._data.shape, mask._data.shape)
    x, m = input.expand(*shape), mask.expand(*shape)
    wanted = int(m._data.sum())
    if wanted > source._data.size:
        expected = f"at least {wanted} elements, one for each place"
        raise RuntimeError(takes("masked_scatter", "source", expected, source._data.size))
    if not shape:
        return where(m, source.reshape(-1)[0], x) if source._data.size else x.clone()
    return IndexPut((m,), False, "masked_scatter")(x, source.reshape(-1).narrow(0, 0, wanted))


# --- reductions into places -------------------------------------------------------------------------------------------

_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


@op(method=True, inplace=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy in which each place of a dimension is reduced with the elements that ``index`` sends there.

    Parameters
    ----------
    reduce
        ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``. Equal extrema share the gradient.
    include_self
        Whether the element that stands there takes part; places that nothing is sent to keep theirs anyway.
    """
    name = "scatter_reduce"
    if reduce not in _REDUCTIONS:
        expected = ", ".join(map(repr, _REDUCTIONS))
        raise RuntimeError(takes(name, "reduce", f"one of {expected}", repr(reduce)))
    if src.dtype is not input.dtype:
        raise RuntimeError(takes(name, "src", f"the dtype of `input`, {input.dtype}", src.dtype))
    if not input._data.ndim:
        x, i, s = input.reshape(1), index.reshape(1), src.reshape(1)
        return scatter_reduce(x, 0, i, s, reduce, include_self=include_self).reshape(())
    d = dimension(dim, input._data.ndim, name)
    integer(index, name)
    src = src[tuple([slice(0, n) for n in index._data.shape])]
    ones = src.new_ones(src.shape)
    count = scatter_add(input.new_zeros(input.shape), d, index, ones)
    untouched = count == 0
    if reduce in ("sum", "mean"):
        start = input if include_self else input.masked_fill(~untouched, 0)
        total = scatter_add(start, d, index, src)
        if reduce == "sum":
            return total
        number = (count + 1 if include_self else count).clamp(min=1)
        return total / number if input.dtype.is_floating_point else total.div(number, rounding_mode="floor")
    start = input if include_self else input.masked_fill(~untouched, _neutral(reduce, input))
    found = _product(start, d, index, src) if reduce == "prod" else _extreme(reduce, start, d, index, src, untouched)
    return where(untouched, input, found)


@op(method=True)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy in which whole positions of a dimension are reduced with those of ``source`` that are sent there.

    Parameters
    ----------
    index
        For each position of ``source``, the one of ``input``.
    reduce
        ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
    include_self
        As for :func:`scatter_reduce`.
    """
    name = "index_reduce"
    if reduce not in _REDUCTIONS[1:]:
        raise RuntimeError(takes(name, "reduce", f"one of {', '.join(map(repr, _REDUCTIONS[1:]))}", repr(reduce)))
    d = dimension(dim, input._data.ndim, name)
    integer(index, name)
    if index._data.ndim > 1:
        raise IndexError(takes(name, "index", "a vector of positions", f"shape {tuple(index.shape)}"))
    if source.dtype is not input.dtype:
        raise RuntimeError(takes(name, "source", f"the dtype of `input`, {input.dtype}", source.dtype))
    if not input._data.ndim:
        x, s = input.reshape(1), source.reshape(1)
        return index_reduce(x, 0, index, s, reduce, include_self=include_self).reshape(())
    expected = (*input._data.shape[:d], index._data.size, *input._data.shape[d + 1 :])
    if source._data.shape != expected:
        raise RuntimeError(takes(name, "source", f"shape {expected}", f"shape {tuple(source.shape)}"))
    within(index, input._data.shape[d], name, IndexError)
    line = [-1 if i == d else 1 for i in range(len(expected))]
    places = index.reshape(line).expand(*expected)
    return scatter_reduce(input, d, places, source, reduce, include_self=include_self)


@method
def index_reduce_(
    self: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """In-place version of :func:`index_reduce`."""
    was = stand_in(self)
    result = index_reduce(was, dim, index, source, reduce, include_self=include_self)
    return assign(self, result, "index_reduce_", was)


def _neutral(reduce: str, x: Tensor) -> Any:
    """What changes nothing in the reduction."""
    if reduce == "prod":
        return 1
    if x.dtype.is_floating_point:
        return float("-inf") if reduce == "amax" else float("inf")
    if x.dtype is dtypes.bool:
        return reduce == "amin"
    limits = dtypes.iinfo(x.dtype)
    return limits.min if reduce == "amax" else limits.max


def _at(ufunc: str, x: Any, places: tuple[Any, ...], values: Any) -> Any:
    """``reduce_at`` on a copy."""
    out = x._data.copy()
    x._backend.reduce_at(ufunc, out, places, values._data)
    return wrap(out, x._backend)


def _places(index: Tensor, d: int) -> tuple[Any, ...]:
    return tuple([p._data if isinstance(p, Tensor) else p for p in along(index, d)])


class ScatterProduct(Node):
    """Factors multiplied into the places that ``index`` names; none of them is 0."""

    keep_inputs = (0, 1)
    keep_outputs = (0,)

    def __init__(self, dim: int, index: Tensor) -> None:
        self.dim = dim
        self.index = index

    def forward(self, x: Any, factors: Any) -> Any:
        out = x.copy()
        self.backend.reduce_at("multiply", out, _places(self.index, self.dim), factors)
        return out

    def backward(self, g: Tensor) -> tuple[Tensor, Tensor]:
        x, factors, y = self.saved
        return g * y / x, gather(g * y, self.dim, self.index) / factors


def _product(start: Tensor, d: int, index: Tensor, src: Tensor) -> Tensor:
    """Zeros are counted apart: the product of the others has a gradient everywhere, and is linear in a single zero."""
    zero, zero_here = src == 0, start == 0
    product = ScatterProduct(d, index)(start.masked_fill(zero_here, 1), src.masked_fill(zero, 1))
    zeros = scatter_add(zero_here.to(start.dtype), d, index, zero.to(start.dtype))
    linear = scatter_add(start.masked_fill(~zero_here, 0), d, index, src.masked_fill(~zero, 0))
    return where(zeros == 0, product, where(zeros == 1, product * linear, product * 0))


def _extreme(reduce: str, start: Tensor, d: int, index: Tensor, src: Tensor, untouched: Tensor) -> Tensor:
    with no_grad():
        best = _at("maximum" if reduce == "amax" else "minimum", start, _places(index, d), src)
    if not start.dtype.is_floating_point or not (start.requires_grad or src.requires_grad):
        return best
    mine, theirs = start == best, src == gather(best, d, index)
    number = scatter_add(mine.to(start.dtype), d, index, theirs.to(start.dtype)).clamp(min=1)
    total = scatter_add(start.masked_fill(~mine, 0), d, index, src.masked_fill(~theirs, 0))
    share = total / number
    return best + (share - share.detach()).nan_to_num()


# --- into views -------------------------------------------------------------------------------------------------------


class Into(Node):
    """A copy with values in a view of it."""

    def __init__(self, view: Callable[[Tensor], Tensor]) -> None:
        self.view = view

    def forward(self, x: Any, values: Any) -> Any:
        out = wrap(x.copy(), self.backend)
        with no_grad():
            self.view(out)._data[...] = values
        return out._data

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        part = self.view(g)
        need_x, need_values = self.needs_input_grad
        return Into(self.view)(g, part.new_zeros(part.shape)) if need_x else None, part if need_values else None


def _into(name: str, input: Tensor, src: Tensor, view: Callable[[Tensor], Tensor]) -> Tensor:
    """A copy of ``input`` with ``src`` in a view of it."""
    expected = view(input.detach()).shape
    if expected != src.shape:
        raise RuntimeError(takes(name, "src", f"shape {tuple(expected)}", f"shape {tuple(src.shape)}"))
    return Into(view)(input, src)


@op(method=True)
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy with ``src`` at one position of a dimension."""
    return _into("select_scatter", input, src, lambda x: x.select(dim, index))


@op(method=True)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy with ``src`` at the positions ``start:end:step`` of a dimension."""
    d = dimension(dim, input._data.ndim, "slice_scatter")
    return _into("slice_scatter", input, src, lambda x: x[(*[slice(None)] * d, slice(start, end, step))])


@op(method=True)
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy with ``src`` on a diagonal."""
    return _into("diagonal_scatter", input, src, lambda x: x.diagonal(offset, dim1, dim2))


@method
def fill_diagonal_(self: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """``fill_value`` on the diagonal of all dimensions, in place.

    Parameters
    ----------
    wrap
        Begin again below the square part of a tall matrix.
    """
    if self._data.ndim < 2:
        raise RuntimeError(takes("fill_diagonal_", "self", "at least 2 dimensions", f"shape {tuple(self.shape)}"))
    if self._data.ndim > 2 and len(set(self._data.shape)) != 1:
        raise RuntimeError(takes("fill_diagonal_", "self", "dimensions of one size", f"shape {tuple(self.shape)}"))
    n = min(self._data.shape)
    cols = self._data.shape[-1]
    places = np.arange(n)
    index = [places] * self._data.ndim
    if wrap and self._data.ndim == 2 and self._data.shape[0] > cols:
        flat = np.arange(0, self._data.size, cols + 1)
        index = list(np.unravel_index(flat, self._data.shape))
    self[tuple([self._backend.from_numpy(i) for i in index])] = fill_value
    return self
