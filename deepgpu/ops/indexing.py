"""``x[...]``, ``x[...] = y``, gather, scatter, index_select, masked_select, nonzero, take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import state
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.assign import assign, store
from deepgpu.ops.broadcast import check_shapes, fitting, unbroadcast
from deepgpu.ops.creation import as_tensor
from deepgpu.ops.dims import dimension
from deepgpu.ops.fill import copy_into
from deepgpu.ops.joining import stack
from deepgpu.ops.op import op
from deepgpu.ops.slicing import Slice
from deepgpu.tensor import Tensor, method, wrap


class Indexed(Node):
    """A node with an index of raw parts and tensors.

    The tensors are inputs of the node too: that one was modified before backward is then noticed.
    """

    def __init__(self, index: tuple[Any, ...]) -> None:
        self.index = index
        self.tensors = [part for part in index if isinstance(part, Tensor)]

    def raw(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The index with ``arrays`` in the places of its tensors."""
        given = iter(arrays)
        return tuple([next(given) if isinstance(part, Tensor) else part for part in self.index])

    def with_index(self, *operands: Tensor) -> Any:
        """Call with the index's tensors behind the operands, and keep them."""
        n = len(operands)
        self.keep_inputs = tuple(range(n, n + len(self.tensors)))
        return super().__call__(*operands, *self.tensors)

    def grads(self, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """The gradients of the operands, and None for the index."""
        return (*grads, *[None] * len(self.tensors))


class Index(Indexed):
    """Integer-array and boolean indexing: a copy. Elements may be taken more than once."""

    def __call__(self, x: Tensor) -> Tensor:
        return self.with_index(x)

    def forward(self, x: Any, *arrays: Any) -> Any:
        self.source = x.shape
        return x[self.raw(arrays)]

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        _ = self.saved  # is the index what it was?
        return self.grads(IndexAdd(self.source, self.index)(g))


class IndexAdd(Indexed):
    """Zeros with values added at an index: the adjoint of :class:`Index`."""

    def __init__(self, shape: tuple[int, ...], index: tuple[Any, ...]) -> None:
        super().__init__(index)
        self.shape = shape

    def __call__(self, values: Tensor) -> Tensor:
        return self.with_index(values)

    def forward(self, values: Any, *arrays: Any) -> Any:
        out = self.xp.zeros(self.shape, values.dtype)
        self.backend.add_at(out, self.raw(arrays), values)
        return out

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        _ = self.saved
        return self.grads(Index(self.index)(g))


class IndexPut(Indexed):
    """A copy with the elements at an index replaced, or added to."""

    def __init__(self, index: tuple[Any, ...], accumulate: bool, op: str = "index_put") -> None:
        super().__init__(index)
        self.accumulate = accumulate
        self.op = op

    def __call__(self, x: Tensor, values: Tensor) -> Tensor:
        return self.with_index(x, values)

    def forward(self, x: Any, values: Any, *arrays: Any) -> Any:
        self.values_shape = values.shape
        index = self.raw(arrays)
        out = x.copy(order="K")
        try:
            if self.accumulate:
                self.backend.add_at(out, index, values)
            else:
                out[index] = values
        except ValueError:
            expected = f"what broadcasts to the indexed elements' shape, {x[index].shape}"
            raise RuntimeError(takes(self.op, "values", expected, f"shape {values.shape}")) from None
        return out

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        _ = self.saved
        need_x, need_values = self.needs_input_grad[:2]
        gx = gv = None
        if need_x:
            gx = g if self.accumulate else IndexPut(self.index, False)(g, g.new_zeros(()))
        if need_values:
            gv = unbroadcast(Index(self.index)(g), self.values_shape)
        return self.grads(gx, gv)


def _parse(index: Any, x: Tensor) -> tuple[tuple[Any, ...], bool]:
    """The index as NumPy takes it, except for tensors, and whether it is basic."""
    parts = list(index) if isinstance(index, tuple) else [index]
    basic = True
    for i, part in enumerate(parts):
        if isinstance(part, (Tensor, list, tuple, range)) or hasattr(part, "__array__"):
            parts[i] = _array_part(part, i, x)
            basic = basic and not isinstance(parts[i], Tensor)
        elif isinstance(part, bool):
            basic = False
        elif isinstance(part, slice):
            if part.step is not None and part.step <= 0:
                raise ValueError(f"slice steps must be positive, but index {i} has {part.step}; use `flip`")
            parts[i] = slice(*[None if b is None else int(b) for b in (part.start, part.stop, part.step)])
        elif not (part is None or part is Ellipsis or hasattr(part, "__index__")):
            kinds = "ints, slices, None, ..., lists or tensors"
            raise TypeError(f"a tensor is indexed by {kinds}, but index {i} is of type {type(part).__name__}")
    return tuple(parts), basic


def _array_part(part: Any, i: int, x: Tensor) -> Any:
    """A tensor, array or list in an index: a tensor beside ``x``, or an int if it is one integer."""
    if not isinstance(part, Tensor):
        array = np.asarray(part)
        part = wrap(x._backend.from_numpy(array.astype(np.int64) if array.size == 0 else array), x._backend)
    if part.dtype is dtypes.uint8:  # PyTorch's masks of old
        part = part != 0
    if part.dtype.is_floating_point:
        raise IndexError(
            f"tensors used as indices must be integer or bool, but index {i} is {part.dtype} "
            f"(indexing a tensor of shape {tuple(x.shape)})"
        )
    if part._data.ndim == 0 and part.dtype is not dtypes.bool:
        return int(part)
    return part.to(x.device)


def _checked(function: Callable[..., Tensor], x: Tensor, *rest: Any, op: str = "__getitem__") -> Tensor:
    """Call, with an index error that says what was indexed."""
    try:
        return function(x, *rest)
    except IndexError as error:
        raise IndexError(f"`{op}`: {error} (indexing a tensor of shape {tuple(x.shape)})") from None


@method(name="__getitem__")
def getitem(self: Tensor, index: Any) -> Tensor:
    """Basic indices give a view, integer and bool tensors a copy."""
    parts, basic = _parse(index, self)
    return _checked(Slice(parts) if basic else Index(parts), self)


@method(name="__setitem__")
def setitem(self: Tensor, index: Any, value: Any) -> None:
    """Replace the elements at an index; ``value`` is broadcast."""
    parts, basic = _parse(index, self)
    if self._view is not None:
        self._refresh_view()
    if isinstance(value, (int, float)):
        raw = fitting(value, self._data.dtype, "__setitem__", "value")
        if not (state.enabled and self.requires_grad):
            _write(self, parts, raw)
            return
        value = self.new_full((), raw)
    elif not isinstance(value, Tensor):
        value = as_tensor(value, dtype=self.dtype)
    value = value.to(device=self.device, dtype=self.dtype)
    if not (state.enabled and (self.requires_grad or value.requires_grad)):
        _write(self, parts, value._data)
        return
    if not basic:
        put = IndexPut(parts, False, "__setitem__")
        assign(self, _checked(put, self, value, op="__setitem__"), "__setitem__")
        return
    region = _checked(Slice(parts), self, op="__setitem__")
    extra = value._data.ndim - region._data.ndim
    if extra > 0 and all(s == 1 for s in value._data.shape[:extra]):
        value = value.reshape(value._data.shape[extra:])
    copy_into(region, value, "__setitem__")


def _write(self: Tensor, parts: tuple[Any, ...], values: Any) -> None:
    """Raw values into the memory of a tensor; nothing is recorded, so that no copy of the rest is needed."""
    index = tuple([part._data if isinstance(part, Tensor) else part for part in parts])
    try:
        store(self, values, "__setitem__", index)
    except IndexError as error:
        raise IndexError(f"`__setitem__`: {error} (indexing a tensor of shape {tuple(self.shape)})") from None
    except ValueError:
        expected = f"what broadcasts to the indexed elements' shape, {self._data[index].shape}"
        raise RuntimeError(takes("__setitem__", "values", expected, f"shape {values.shape}")) from None


@op(method=True)
def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with ``values`` at ``indices``; with ``accumulate`` they are added, also where an index repeats."""
    if values.dtype is not input.dtype:
        raise RuntimeError(takes("index_put", "values", f"the dtype of `input`, {input.dtype}", values.dtype))
    parts, _ = _parse(tuple(indices), input)
    return _checked(IndexPut(parts, accumulate), input, values, op="index_put")


@method
def index_put_(self: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """In-place version of :func:`index_put`."""
    return assign(self, index_put(self, indices, values, accumulate), "index_put_")


def integer(index: Tensor, op: str) -> None:
    """Raise the op's error unless the positions are whole numbers."""
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(takes(op, "index", "an int64 or int32 tensor", index.dtype))


def within(index: Tensor, size: int, op: str, error: type[Exception] = RuntimeError) -> None:
    """Neither NumPy nor CuPy may take negative positions for positions from the end here."""
    if index._data.size and (bool((index._data < 0).any()) or bool((index._data >= size).any())):
        low, high = int(index._data.min()), int(index._data.max())
        raise error(f"`{op}`: `index` takes positions 0..{size - 1}, but got values from {low} to {high}")


def along(index: Tensor, dim: int) -> tuple[Any, ...]:
    """The integer-array index that gather and scatter mean: all other dimensions count up."""
    xp = index._backend.xp
    shape = index._data.shape
    grids = xp.ogrid[tuple([slice(0, s) for s in shape])] if shape else ()
    parts = list(grids)
    if parts:
        parts[dim] = index
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
    integer(index, "gather")
    shape = index._data.shape
    input, index = _not_0d(input), _not_0d(index)
    _fits(input, index, d, "gather")
    within(index, input._data.shape[d], "gather")
    return Index(along(index, d))(input).reshape(shape)


def _not_0d(x: Tensor) -> Tensor:
    """A 0-d tensor counts as one of 1 element."""
    return x if x._data.ndim else x.reshape(1)


def _scatter(input: Tensor, dim: int, index: Tensor, src: Any, accumulate: bool, op: str) -> Tensor:
    d = dimension(dim, input._data.ndim, op)
    integer(index, op)
    shape = input._data.shape
    input, index = _not_0d(input), _not_0d(index)
    _fits(input, index, d, op)
    within(index, input._data.shape[d], op)
    if not isinstance(src, Tensor):
        if src is None:
            raise TypeError(takes(op, "src", "a tensor or a number", "None"))
        src = input.new_full((), fitting(src, input._data.dtype, op, "value"))
    else:
        if src.dtype is not input.dtype:
            raise RuntimeError(takes(op, "src", f"the dtype of `input`, {input.dtype}", src.dtype))
        src = _not_0d(src)
        if src._data.ndim != index._data.ndim or any(
            n < i for n, i in zip(src._data.shape, index._data.shape, strict=True)
        ):
            expected = f"at least the sizes of `index`, {tuple(index.shape)}"
            raise RuntimeError(takes(op, "src", expected, f"shape {tuple(src.shape)}"))
        src = Slice(tuple([slice(0, s) for s in index._data.shape]))(src)
    return IndexPut(along(index, d), accumulate, op)(input, src).reshape(shape)


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
    integer(index, "index_select")
    if index._data.ndim > 1:
        raise IndexError(takes("index_select", "index", "a vector of positions", f"shape {tuple(index.shape)}"))
    shape = input._data.shape
    input, index = _not_0d(input), _not_0d(index)
    within(index, input._data.shape[d], "index_select", IndexError)
    out = Index((*[slice(None)] * d, index))(input)
    return out if shape else out.reshape(())


@op(method=True, inplace=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """A copy with ``alpha * source`` added at the positions ``index`` of dimension ``dim``."""
    d = dimension(dim, input._data.ndim, "index_add")
    integer(index, "index_add")
    within(index, input._data.shape[d], "index_add")
    if source.dtype is not input.dtype:
        raise RuntimeError(takes("index_add", "source", f"the dtype of `input`, {input.dtype}", source.dtype))
    expected = (*input._data.shape[:d], index._data.size, *input._data.shape[d + 1 :])
    if source._data.shape != expected:
        raise RuntimeError(takes("index_add", "source", f"shape {expected}", f"shape {tuple(source.shape)}"))
    values = source if alpha == 1 else source * alpha
    return IndexPut((*[slice(None)] * d, _not_0d(index)), True, "index_add")(input, values)


@op(method=True)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask``, in one dimension."""
    if mask.dtype is not dtypes.bool:
        raise RuntimeError(takes("masked_select", "mask", "a bool tensor", mask.dtype))
    check_shapes("masked_select", input._data.shape, mask._data.shape)
    shape = np.broadcast_shapes(input._data.shape, mask._data.shape)
    return Index((mask.expand(*shape),))(input.expand(*shape))


@op(method=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As :func:`gather`, with broadcasting of all other dimensions; without ``dim``, of the flattened tensors."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    d = dimension(dim, input._data.ndim, "take_along_dim")

    def others(t: Tensor) -> tuple[int, ...]:
        return (*t._data.shape[:d], 1, *t._data.shape[d + 1 :])

    check_shapes("take_along_dim", others(input), others(indices))
    common = np.broadcast_shapes(others(input), others(indices))
    x, index = (t.expand(*common[:d], t._data.shape[d], *common[d + 1 :]) for t in (input, indices))
    return gather(x, d, index)


@op(method=True, differentiable=False)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Where elements are not 0: an int64 tensor with a row an element, or a tuple with a tensor a dimension."""
    xp = input._backend.xp
    found = [wrap(i, input._backend) for i in xp.nonzero(input._data if input._data.ndim else input._data.reshape(1))]
    if as_tuple:
        return tuple(found)
    if input._data.ndim == 0:
        return found[0].reshape(-1, 1)[:, :0]
    return stack(found, 1)
