"""Views and rearrangements: reshape, permute, expand, cat, stack, split, pad, flip, ..."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.assign import become_view
from deepgpu.ops.broadcast import as_dtype, check_shapes
from deepgpu.ops.dims import dimension, dimensions, one_by_one, sizes
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, method


class Reshape(Node):
    """A view where the strides allow it, else a copy."""

    is_view = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        return x.reshape(self.shape)

    def backward(self, g: Tensor) -> Tensor:
        return Reshape(self.source)(g)


class Permute(Node):
    is_view = True

    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return x.transpose(self.dims)

    def backward(self, g: Tensor) -> Tensor:
        inverse = [0] * len(self.dims)
        for i, d in enumerate(self.dims):
            inverse[d] = i
        return Permute(tuple(inverse))(g)


class Expand(Node):
    """Broadcast to a shape, without copying."""

    is_view = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        return self.xp.lib.stride_tricks.as_strided(x, self.shape, self._strides(x))

    def _strides(self, x: Any) -> tuple[int, ...]:
        added = len(self.shape) - x.ndim
        kept = [
            0 if size == 1 and self.shape[added + i] != 1 else stride
            for i, (size, stride) in enumerate(zip(x.shape, x.strides, strict=True))
        ]
        return (*[0] * added, *kept)

    def backward(self, g: Tensor) -> Tensor:
        added = len(self.shape) - len(self.source)
        dims = [*range(added), *[added + i for i, s in enumerate(self.source) if s == 1 and self.shape[added + i] != 1]]
        return g.sum(dims, keepdim=True).reshape(self.source) if dims else g.reshape(self.source)


class Slice(Node):
    """Basic indexing with slices, integers, None: always a view."""

    is_view = True

    def __init__(self, index: tuple[Any, ...]) -> None:
        # With the dots NumPy gives a view even of a single element, and no scalar.
        self.index = index if any(i is Ellipsis for i in index) else (*index, ...)

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        # with the ellipsis, NumPy gives a 0-d view where it would give a scalar
        return x[self.index if Ellipsis in self.index else (*self.index, ...)]

    def backward(self, g: Tensor) -> Tensor:
        return SliceScatter(self.source, self.index)(g)


class SliceScatter(Node):
    """Zeros with a region filled in: the adjoint of :class:`Slice`."""

    def __init__(self, shape: tuple[int, ...], index: tuple[Any, ...]) -> None:
        self.shape = shape
        self.index = index

    def forward(self, x: Any) -> Any:
        out = self.xp.zeros(self.shape, x.dtype)
        out[self.index] = x
        return out

    def backward(self, g: Tensor) -> Tensor:
        return Slice(self.index)(g)


class Tile(Node):
    """Copies side by side; ``times`` has at least as many numbers as there are dimensions."""

    def __init__(self, times: tuple[int, ...]) -> None:
        self.times = times

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        return self.xp.tile(x, self.times)

    def backward(self, g: Tensor) -> Tensor:
        own = (1,) * (len(self.times) - len(self.source)) + self.source
        apart = Reshape(tuple([s for r, n in zip(self.times, own, strict=True) for s in (r, n)]))(g)
        return Reshape(self.source)(apart.sum(tuple(range(0, 2 * len(own), 2))) if own else apart)


class Flip(Node):
    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return self.xp.flip(x, self.dims).copy()

    def backward(self, g: Tensor) -> Tensor:
        return Flip(self.dims)(g)


class Roll(Node):
    def __init__(self, shifts: tuple[int, ...], dims: tuple[int, ...] | None) -> None:
        self.shifts = shifts
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return self.xp.roll(x, self.shifts[0] if self.dims is None else self.shifts, self.dims)

    def backward(self, g: Tensor) -> Tensor:
        return Roll(tuple([-s for s in self.shifts]), self.dims)(g)


class Cat(Node):
    """Join along an existing dimension."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, *arrays: Any) -> Any:
        self.lengths = [a.shape[self.dim] for a in arrays]
        return self.xp.concatenate(arrays, axis=self.dim)

    def backward(self, g: Tensor) -> tuple[Tensor, ...]:
        parts, start = [], 0
        for length in self.lengths:
            parts.append(narrow(g, self.dim, start, length))
            start += length
        return tuple(parts)


class Tril(Node):
    def __init__(self, diagonal: int, ufunc: str) -> None:
        self.diagonal = diagonal
        self.ufunc = ufunc

    def forward(self, x: Any) -> Any:
        return getattr(self.xp, self.ufunc)(x, self.diagonal)

    def backward(self, g: Tensor) -> Tensor:
        return Tril(self.diagonal, self.ufunc)(g)


class Diagonal(Node):
    is_view = True

    def __init__(self, offset: int, dim1: int, dim2: int) -> None:
        self.offset, self.dim1, self.dim2 = offset, dim1, dim2

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        view = self.xp.diagonal(x, self.offset, self.dim1, self.dim2)
        if not getattr(view.flags, "writeable", True):  # NumPy protects its diagonals
            view.flags.writeable = True
        return view

    def backward(self, g: Tensor) -> Tensor:
        return DiagonalScatter(self.source, self.offset, self.dim1, self.dim2)(g)


class DiagonalScatter(Node):
    """Zeros with a diagonal filled in."""

    def __init__(self, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> None:
        self.shape, self.offset, self.dim1, self.dim2 = shape, offset, dim1, dim2

    def forward(self, x: Any) -> Any:
        out = self.xp.zeros(self.shape, x.dtype)
        view = self.xp.diagonal(out, self.offset, self.dim1, self.dim2)
        if not getattr(view.flags, "writeable", True):
            view.flags.writeable = True
        view[...] = x
        return out

    def backward(self, g: Tensor) -> Tensor:
        return Diagonal(self.offset, self.dim1, self.dim2)(g)


@op(method=True)
@one_by_one
def reshape(input: Tensor, shape: Any) -> Tensor:
    """The same elements in another shape; a view where the strides allow it.

    One size may be -1: it is what remains.
    """
    wanted = sizes(shape)
    return Reshape(_fill_in(wanted, input._data.size, "reshape"))(input)


@op(method=True)
@one_by_one
def view(input: Tensor, size: Any) -> Tensor:
    """As :func:`reshape`: where PyTorch would refuse because the strides do not permit a view, this copies."""
    return Reshape(_fill_in(sizes(size), input._data.size, "view", "size"))(input)


@method
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.view(other.shape)``."""
    return view(input, *other.shape)


@method
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.reshape(other.shape)``."""
    return reshape(input, *other.shape)


def _fill_in(shape: tuple[int, ...], total: int, name: str, argument: str = "shape") -> tuple[int, ...]:
    """The sizes with -1 replaced by what remains of ``total`` elements."""
    known = math.prod([s for s in shape if s != -1])
    if min(shape, default=0) >= -1:
        if shape.count(-1) == 1 and known and total % known == 0:
            return tuple([total // known if s == -1 else s for s in shape])
        if -1 not in shape and known == total:
            return shape
    raise RuntimeError(takes(name, argument, f"sizes with {total} elements in all, one of them -1", f"{list(shape)}"))


@op(method=True)
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the dimensions ``start_dim`` to ``end_dim`` into one."""
    if input._data.ndim == 0:
        return reshape(input, 1)
    start = dimension(start_dim, input._data.ndim, "flatten", "start_dim")
    end = dimension(end_dim, input._data.ndim, "flatten", "end_dim")
    if start > end:
        raise RuntimeError(f"`flatten`: `start_dim` {start_dim} lies behind `end_dim` {end_dim}")
    shape = input._data.shape
    length = 1
    for s in shape[start : end + 1]:
        length *= s
    return Reshape((*shape[:start], length, *shape[end + 1 :]))(input)


@op(method=True)
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split dimension ``dim`` into several."""
    d = dimension(dim, input._data.ndim, "unflatten")
    shape = input._data.shape
    part = _fill_in(tuple(sizes), shape[d], "unflatten", "sizes")
    return Reshape((*shape[:d], *part, *shape[d + 1 :]))(input)


@op(method=True)
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Remove dimensions of size 1: all, or those named."""
    shape = input._data.shape
    dims = dimensions(dim, len(shape), "squeeze")
    return Reshape(tuple([s for i, s in enumerate(shape) if not (s == 1 and i in dims)]))(input)


@op(method=True, inplace=False)
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Insert a dimension of size 1 at ``dim``."""
    d = dimension(dim, input._data.ndim + 1, "unsqueeze")
    return Reshape((*input._data.shape[:d], 1, *input._data.shape[d:]))(input)


@op(method=True)
@one_by_one
def permute(input: Tensor, dims: Any) -> Tensor:
    """The dimensions in another order, as a view."""
    order = sizes(dims)
    ndim = input._data.ndim
    if len(order) == ndim:
        order = tuple([dimension(d, ndim, "permute", "dims") for d in order])
    if len(order) != ndim or len(set(order)) != ndim:
        raise RuntimeError(takes("permute", "dims", f"each of the {ndim} dimensions once", f"{order}"))
    return Permute(order)(input)


@op(method=True)
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged, as a view."""
    ndim = input._data.ndim
    a, b = dimension(dim0, ndim, "transpose", "dim0"), dimension(dim1, ndim, "transpose", "dim1")
    order = list(range(ndim))
    if ndim:
        order[a], order[b] = order[b], order[a]
    return Permute(tuple(order))(input)


@op(method=True)
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a vector as it is."""
    if input._data.ndim > 2:
        raise RuntimeError(takes("t", "input", "at most 2 dimensions", f"shape {tuple(input.shape)}"))
    return Permute(tuple(reversed(range(input._data.ndim))))(input)


@op(method=True)
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Move dimensions to new places; the others keep their order."""
    ndim = input._data.ndim
    src = [source] if isinstance(source, int) else list(source)
    dst = [destination] if isinstance(destination, int) else list(destination)
    src = [dimension(d, ndim, "movedim", "source") for d in src]
    dst = [dimension(d, ndim, "movedim", "destination") for d in dst]
    if len(src) != len(dst):
        raise RuntimeError(f"`movedim`: {len(src)} sources but {len(dst)} destinations")
    if len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise RuntimeError(f"`movedim`: a dimension is named twice in {source} or {destination}")
    if ndim == 0:
        return Permute(())(input)
    order = [d for d in range(ndim) if d not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return Permute(tuple(order))(input)


@op(method=True)
@one_by_one
def expand(input: Tensor, size: Any) -> Tensor:
    """Broadcast to ``shape`` without copying; -1 keeps a size."""
    wanted = list(sizes(size))
    own = input._data.shape
    added = len(wanted) - len(own)
    for i, s in enumerate(wanted):
        if s == -1 and i >= added:
            wanted[i] = own[i - added]
    fits = added >= 0 and min(wanted, default=0) >= 0
    if not fits or any(s not in (1, wanted[added + i]) for i, s in enumerate(own)):
        given = list(sizes(size))
        raise RuntimeError(takes("expand", "size", f"a shape that {list(own)} can be broadcast to", given))
    return Expand(tuple(wanted))(input)


@method
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.expand(other.shape)``."""
    return expand(input, *other.shape)


@op(method=True)
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """As :func:`expand`."""
    return expand(input, size)


@op
def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape."""
    shapes = [t._data.shape for t in tensors]
    check_shapes("broadcast_tensors", *shapes)
    shape = np.broadcast_shapes(*shapes)
    return tuple([expand(t, *shape) for t in tensors])


@op(method=True)
@one_by_one
def repeat(input: Tensor, repeats: Any) -> Tensor:
    """Copies of the whole tensor along each dimension."""
    times = sizes(repeats)
    if len(times) < input._data.ndim or min(times, default=0) < 0:
        expected = f"at least {input._data.ndim} numbers that are not negative"
        raise RuntimeError(takes("repeat", "repeats", expected, f"{times}"))
    return Tile(times)(input)


@op(method=True)
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements of dimension ``dim`` from ``start`` on, as a view."""
    d = dimension(dim, input._data.ndim, "narrow")
    size = input._data.shape[d]
    if not -size <= start <= size:
        raise IndexError(takes("narrow", "start", f"a position in -{size}..{size}", start))
    start = start + size if start < 0 else start
    if not 0 <= length <= size - start:
        raise RuntimeError(f"`narrow`: {start} + {length} lies outside of dimension {d} of size {size}")
    return Slice((*[slice(None)] * d, slice(start, start + length)))(input)


@op(method=True)
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One position of dimension ``dim``, which disappears; a view."""
    d = dimension(dim, input._data.ndim, "select")
    size = input._data.shape[d]
    if not -size <= index < size:
        raise IndexError(f"`select`: `index` takes -{size}..{size - 1} for dimension {d}, but got {index}")
    return Slice((*[slice(None)] * d, int(index)))(input)


@op
def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts along a dimension: of one size (the last may be smaller), or of the sizes given."""
    d = dimension(dim, tensor._data.ndim, "split")
    size = tensor._data.shape[d]
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        if step <= 0:
            raise RuntimeError(takes("split", "split_size", "a positive size", step))
        lengths = [min(step, size - i) for i in range(0, size, step)] or [0]
    else:
        lengths = list(split_size_or_sections)
        if sum(lengths) != size:
            raise RuntimeError(takes("split", "split_sizes", f"sizes that sum to {size}", lengths))
    parts, start = [], 0
    for length in lengths:
        parts.append(narrow(tensor, d, start, length))
        start += length
    return tuple(parts)


@method(name="split")
def _split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """:func:`split`; here its second parameter has another name, as in PyTorch."""
    return split(input, split_size, dim)


@op(method=True)
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` equal parts along a dimension; the last may be smaller."""
    if chunks < 1:
        raise RuntimeError(takes("chunk", "chunks", "a positive number", chunks))
    d = dimension(dim, input._data.ndim, "chunk")
    if input._data.ndim and input._data.shape[d] == 0:
        return split(input, [0] * chunks, d)
    return split(input, max(1, -(-input._data.shape[d] // chunks)), d)


@op(method=True)
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All positions of a dimension, which disappears."""
    d = dimension(dim, input._data.ndim, "unbind")
    if input._data.ndim == 0:
        raise IndexError(takes("unbind", "input", "a tensor with dimensions", "a 0-d tensor"))
    return tuple([select(input, d, i) for i in range(input._data.shape[d])])


@op
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors along an existing dimension."""
    if not tensors:
        raise RuntimeError(takes("cat", "tensors", "at least one tensor", "none"))
    _check_tensors("cat", tensors)
    parts = [t for t in tensors if t._data.shape != (0,)] or [tensors[0]]  # PyTorch lets empty 1-d tensors pass
    first = parts[0]
    d = dimension(dim, first._data.ndim, "cat")
    if first._data.ndim == 0:
        raise RuntimeError(takes("cat", "tensors", "tensors with dimensions", "0-d tensors; use `stack`"))
    for i, p in enumerate(parts[1:], 1):
        if p._data.ndim != first._data.ndim or any(
            a != b for k, (a, b) in enumerate(zip(p._data.shape, first._data.shape, strict=True)) if k != d
        ):
            expected = f"the shape of `tensors[0]`, {tuple(first.shape)}, except in dimension {d}"
            raise RuntimeError(takes("cat", f"tensors[{i}]", expected, tuple(p.shape)))
    common = dtypes.result_type(*tensors)
    return Cat(d)(*[as_dtype(p, common) for p in parts])


def _check_tensors(name: str, tensors: Sequence[Any]) -> None:
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(takes(name, f"tensors[{i}]", "a tensor", f"{t!r} of type {type(t).__name__}"))


@op
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new dimension."""
    if not tensors:
        raise RuntimeError(takes("stack", "tensors", "at least one tensor", "none"))
    _check_tensors("stack", tensors)
    first = tensors[0]
    d = dimension(dim, first._data.ndim + 1, "stack")
    for i, p in enumerate(tensors):
        if p._data.shape != first._data.shape:
            expected = f"the shape of `tensors[0]`, {tuple(first.shape)}"
            raise RuntimeError(takes("stack", f"tensors[{i}]", expected, tuple(p.shape)))
    return cat([unsqueeze(p, d) for p in tensors], d)


@op(method=True)
@one_by_one
def flip(input: Tensor, dims: Any) -> Tensor:
    """The order of elements reversed along dimensions."""
    wanted = tuple([dimension(d, input._data.ndim, "flip", "dims") for d in sizes(dims)])
    if len(set(wanted)) != len(wanted):
        raise RuntimeError(f"`flip`: `dims` names a dimension twice: {wanted}")
    return Flip(wanted)(input)


@op(method=True)
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements shifted along dimensions, those that leave coming in again at the other end."""
    by = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None:
        return Roll(by, None)(input)
    along = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(along) != len(by):
        raise RuntimeError(f"`roll`: `shifts` and `dims` must have one length, but got {by} and {along}")
    return Roll(by, tuple([dimension(d, input._data.ndim, "roll", "dims") for d in along]))(input)


@op(method=True, inplace=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, zero above ``diagonal``."""
    _check_matrices(input, "tril")
    return Tril(diagonal, "tril")(input)


def _check_matrices(input: Tensor, name: str) -> None:
    if input._data.ndim < 2:
        raise RuntimeError(takes(name, "input", "at least 2 dimensions", f"shape {tuple(input.shape)}"))


@op(method=True, inplace=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices, zero below ``diagonal``."""
    _check_matrices(input, "triu")
    return Tril(diagonal, "triu")(input)


@op(method=True)
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions, as the last dimension of a view."""
    ndim = input._data.ndim
    a, b = dimension(dim1, ndim, "diagonal", "dim1"), dimension(dim2, ndim, "diagonal", "dim2")
    if a == b:
        raise RuntimeError(f"`diagonal`: `dim1` and `dim2` must differ, but got {dim1} and {dim2}")
    return Diagonal(offset, a, b)(input)


@op(method=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if input._data.ndim == 2:
        return Diagonal(diagonal, 0, 1)(input)
    if input._data.ndim != 1:
        raise RuntimeError(takes("diag", "input", "a vector or a matrix", f"shape {tuple(input.shape)}"))
    n = input._data.shape[0] + builtins.abs(diagonal)
    return DiagonalScatter((n, n), diagonal, 0, 1)(input)


concat = concatenate = cat
for _name, _function in [("swapaxes", transpose), ("swapdims", transpose), ("moveaxis", movedim)]:
    method(_function, name=_name)


def _in_place(name: str, function: Any) -> None:
    """``<name>_``: the tensor becomes its own view."""

    def twin(self: Tensor, *args: Any) -> Tensor:
        return become_view(self, lambda x: function(x, *args), f"{name}_")

    twin.__name__, twin.__qualname__ = f"{name}_", f"Tensor.{name}_"
    twin.__doc__ = f"In-place version of :func:`{name}`: the same memory, seen in another shape."
    method(twin)


for _name, _function in [
    ("squeeze", squeeze),
    ("unsqueeze", unsqueeze),
    ("transpose", transpose),
    ("swapaxes", transpose),
    ("swapdims", transpose),
    ("t", t),
]:
    _in_place(_name, _function)


@property  # type: ignore[misc]
def _T(self: Tensor) -> Tensor:
    return Permute(tuple(reversed(range(self._data.ndim))))(self)


@property  # type: ignore[misc]
def _mT(self: Tensor) -> Tensor:
    return transpose(self, -1, -2)


setattr(Tensor, "T", _T)  # noqa: B010 - mypy knows Tensor's attributes
setattr(Tensor, "mT", _mT)  # noqa: B010
