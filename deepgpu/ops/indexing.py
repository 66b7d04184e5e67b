"""``x[...]``, ``x[...] = y``, gather, scatter, index_select, masked_select, nonzero, take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.assign import assign
from deepgpu.ops.broadcast import unbroadcast
from deepgpu.ops.creation import as_tensor, full
from deepgpu.ops.dims import dimension
from deepgpu.ops.op import op
from deepgpu.ops.shape import Slice
from deepgpu.tensor import Tensor, method


class Index(Node):
    """Integer-array and boolean indexing: a copy. Elements may be taken more than once."""

    def __init__(self, index: tuple[Any, ...]) -> None:
        self.index = index

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        return x[self.index]

    def backward(self, g: Tensor) -> Tensor:
        return IndexAdd(self.source, self.index)(g)


class IndexAdd(Node):
    """Zeros with values added at an index: the adjoint of :class:`Index`."""

    def __init__(self, shape: tuple[int, ...], index: tuple[Any, ...]) -> None:
        self.shape = shape
        self.index = index

    def forward(self, x: Any) -> Any:
        out = self.xp.zeros(self.shape, x.dtype)
        self.backend.add_at(out, self.index, x)
        return out

    def backward(self, g: Tensor) -> Tensor:
        return Index(self.index)(g)


class IndexPut(Node):
    """A copy with the elements at an index replaced, or added to."""

    def __init__(self, index: tuple[Any, ...], accumulate: bool) -> None:
        self.index = index
        self.accumulate = accumulate

    def forward(self, x: Any, values: Any) -> Any:
        self.values_shape = values.shape
        out = x.copy(order="K")
        if self.accumulate:
            self.backend.add_at(out, self.index, values)
        else:
            out[self.index] = values
        return out

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        need_x, need_values = self.needs_input_grad
        gx = gv = None
        if need_x:
            gx = g if self.accumulate else IndexPut(self.index, False)(g, g.new_zeros(()))
        if need_values:
            gv = unbroadcast(Index(self.index)(g), self.values_shape)
        return gx, gv


def _parse(index: Any, x: Tensor) -> tuple[tuple[Any, ...], bool]:
    """The index as NumPy takes it, with raw arrays, and whether it is basic."""
    parts = list(index) if isinstance(index, tuple) else [index]
    basic = True
    for i, part in enumerate(parts):
        if isinstance(part, Tensor):
            if part.dtype is dtypes.uint8:
                part = part != 0
            if part.dtype.is_floating_point:
                raise IndexError(f"tensors used as indices must be integer or bool, but index {i} is {part.dtype}")
            if part._data.ndim == 0 and part.dtype is not dtypes.bool:
                parts[i] = int(part)
            else:
                parts[i] = part.to(x.device)._data
                basic = False
        elif isinstance(part, bool):
            basic = False
        elif isinstance(part, (list, tuple, range)) or hasattr(part, "__array__"):
            array = np.asarray(part)
            if array.ndim == 0:
                parts[i] = int(array)
            else:
                parts[i] = x._backend.from_numpy(array.astype(np.int64) if array.size == 0 else array)
                basic = False
        elif isinstance(part, slice) and part.step is not None and part.step <= 0:
            raise ValueError(f"slice steps must be positive, but index {i} has {part.step}; use `flip`")
        elif isinstance(part, slice):
            parts[i] = slice(*[None if b is None else int(b) for b in (part.start, part.stop, part.step)])
        elif not (part is None or part is Ellipsis or hasattr(part, "__index__")):
            kinds = "ints, slices, None, ..., lists or tensors"
            raise TypeError(f"a tensor is indexed by {kinds}, but index {i} is a {type(part).__name__}")
    return tuple(parts), basic


def _checked(function: Node, x: Tensor, *rest: Any) -> Tensor:
    """Call, with an index error that says what was indexed."""
    try:
        return function(x, *rest)
    except IndexError as error:
        raise IndexError(f"{error} (indexing a tensor of shape {tuple(x.shape)})") from None


@method(name="__getitem__")
def getitem(self: Tensor, index: Any) -> Tensor:
    """Basic indices give a view, integer and bool tensors a copy."""
    parts, basic = _parse(index, self)
    return _checked(Slice(parts) if basic else Index(parts), self)


@method(name="__setitem__")
def setitem(self: Tensor, index: Any, value: Any) -> None:
    """Replace the elements at an index; ``value`` is broadcast."""
    if not isinstance(value, Tensor):
        value = as_tensor(value, dtype=self.dtype) if not isinstance(value, (int, float)) else full((), value)
    value = value.to(device=self.device, dtype=self.dtype)
    parts, basic = _parse(index, self)
    if not basic:
        assign(self, _checked(IndexPut(parts, False), self, value), "__setitem__")
        return
    region = _checked(Slice(parts), self)
    extra = value._data.ndim - region._data.ndim
    if extra > 0 and all(s == 1 for s in value._data.shape[:extra]):
        value = value.reshape(value._data.shape[extra:])
    region.copy_(value)


@op(method=True)
def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with ``values`` at ``indices``; with ``accumulate`` they are added, also where an index repeats."""
    parts, _ = _parse(tuple(indices), input)
    return _checked(IndexPut(parts, accumulate), input, values)


@method
def index_put_(self: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """In-place version of :func:`index_put`."""
    return assign(self, index_put(self, indices, values, accumulate), "index_put_")


def _integer(index: Tensor, op: str) -> None:
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(takes(op, "index", "an int64 or int32 tensor", index.dtype))


def _within(index: Tensor, size: int, op: str) -> None:
    """Neither NumPy nor CuPy may take negative positions for positions from the end here."""
    if index._data.size and (bool((index._data < 0).any()) or bool((index._data >= size).any())):
        low, high = int(index._data.min()), int(index._data.max())
        raise IndexError(f"`{op}`: `index` takes positions 0..{size - 1}, but got values from {low} to {high}")


def _along(index: Tensor, dim: int) -> tuple[Any, ...]:
    """The integer-array index that gather and scatter mean: all other dimensions count up."""
    xp = index._backend.xp
    shape = index._data.shape
    grids = xp.ogrid[tuple([slice(0, s) for s in shape])] if shape else ()
    parts = list(grids)
    if parts:
        parts[dim] = index._data
    return tuple(parts)


def _fits(input: Tensor, index: Tensor, dim: int, op: str) -> None:
    if input._data.ndim != index._data.ndim:
        expected = f"as many dimensions as `input` ({input._data.ndim})"
        raise RuntimeError(takes(op, "index", expected, f"shape {tuple(index.shape)}"))
    for d, (i, n) in enumerate(zip(index._data.shape, input._data.shape, strict=True)):
        if d != dim and i > n:
            expected = f"at most the sizes {tuple(input.shape)} of `input` except in dimension {dim}"
            raise RuntimeError(takes(op, "index", expected, f"shape {tuple(index.shape)}"))


@op(method=True)
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """``out[i][j][k] = input[i][index[i][j][k]][k]`` for ``dim`` = 1, and so on."""
    d = dimension(dim, input._data.ndim, "gather")
    _integer(index, "gather")
    if input._data.ndim == 0:
        return input.clone() if index._data.ndim == 0 else input.expand(index.shape).clone()
    _fits(input, index, d, "gather")
    _within(index, input._data.shape[d], "gather")
    return Index(_along(index, d))(input)


def _scatter(input: Tensor, dim: int, index: Tensor, src: Any, accumulate: bool, op: str) -> Tensor:
    d = dimension(dim, input._data.ndim, op)
    _integer(index, op)
    _fits(input, index, d, op)
    _within(index, input._data.shape[d] if input._data.ndim else 1, op)
    if not isinstance(src, Tensor):
        src = input.new_full((), src)
    else:
        if src.dtype is not input.dtype:
            raise RuntimeError(takes(op, "src", f"the dtype of `input`, {input.dtype}", src.dtype))
        src = Slice(tuple([slice(0, s) for s in index._data.shape]))(src)
    return IndexPut(_along(index, d), accumulate)(input, src)


@op(method=True, inplace=True)
def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None) -> Tensor:
    """A copy with ``out[i][index[i][j]] = src[i][j]`` for ``dim`` = 1; ``src`` may be a number."""
    return _scatter(input, dim, index, value if src is None else src, False, "scatter")


@op(method=True, inplace=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy with ``out[i][index[i][j]] += src[i][j]`` for ``dim`` = 1."""
    return _scatter(input, dim, index, src, True, "scatter_add")


@op(method=True)
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The positions ``index`` of dimension ``dim``."""
    d = dimension(dim, input._data.ndim, "index_select")
    _integer(index, "index_select")
    _within(index, input._data.shape[d] if input._data.ndim else 1, "index_select")
    if input._data.ndim == 0:
        return input.clone()
    return Index((*[slice(None)] * d, index._data.reshape(-1)))(input)


@op(method=True, inplace=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """A copy with ``alpha * source`` added at the positions ``index`` of dimension ``dim``."""
    d = dimension(dim, input._data.ndim, "index_add")
    _integer(index, "index_add")
    _within(index, input._data.shape[d], "index_add")
    values = source if alpha == 1 else source * alpha
    return IndexPut((*[slice(None)] * d, index._data), True)(input, values)


@op(method=True)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask``, in one dimension."""
    if mask.dtype is not dtypes.bool:
        raise RuntimeError(takes("masked_select", "mask", "a bool tensor", mask.dtype))
    shape = np.broadcast_shapes(input._data.shape, mask._data.shape)
    return Index((mask.expand(*shape)._data,))(input.expand(*shape))


@op(method=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int) -> Tensor:
    """As :func:`gather`, with broadcasting of all other dimensions."""
    d = dimension(dim, input._data.ndim, "take_along_dim")
    others = lambda s: (*s[:d], 1, *s[d + 1 :])  # noqa: E731
    common = list(np.broadcast_shapes(others(input._data.shape), others(indices._data.shape)))
    spread = lambda t: t.expand(*common[:d], t.shape[d], *common[d + 1 :])  # noqa: E731
    return gather(spread(input), d, spread(indices))


@op(method=True, differentiable=False)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Where elements are not 0: an int64 tensor with a row an element, or a tuple with a tensor a dimension."""
    xp = input._backend.xp
    found = [as_raw(i, input) for i in xp.nonzero(input._data if input._data.ndim else input._data.reshape(1))]
    if as_tuple:
        return tuple(found)
    if input._data.ndim == 0:
        return found[0].reshape(-1, 1)[:, :0]
    from deepgpu.ops.shape import stack

    return stack(found, 1)


def as_raw(array: Any, like: Tensor) -> Tensor:
    """A raw array as a tensor beside another."""
    from deepgpu.tensor import wrap

    return wrap(array, like._backend)
