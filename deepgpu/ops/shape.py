"""Views of a tensor in another shape: reshape, permute, expand, squeeze, ..."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.assign import become_view
from deepgpu.ops.broadcast import check_shapes
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
        return self.backend.reshape(x, self.shape)

    def backward(self, g: Tensor) -> Tensor:
        return Reshape(self.source)(g)


class Permute(Node):
    """A view with its dimensions in another order; the adjoint is the inverse order."""

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
        strides = [0] * (len(self.shape) - x.ndim)  # of the dimensions added in front
        for size, stride in zip(x.shape, x.strides, strict=True):
            strides.append(0 if size == 1 and self.shape[len(strides)] != 1 else stride)
        return tuple(strides)

    def backward(self, g: Tensor) -> Tensor:
        added = len(self.shape) - len(self.source)
        dims = [*range(added), *[added + i for i, s in enumerate(self.source) if s == 1 and self.shape[added + i] != 1]]
        return g.sum(dims, keepdim=True).reshape(self.source) if dims else g.reshape(self.source)


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
    least = min(shape, default=0)
    if least >= 0 and math.prod(shape) == total:
        return shape
    if least == -1 and shape.count(-1) == 1:
        known = -math.prod(shape)
        if known and total % known == 0:
            return tuple([total // known if s == -1 else s for s in shape])
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


@op
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """As :func:`transpose`."""
    return transpose(input, axis0, axis1)


@op
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """As :func:`transpose`."""
    return transpose(input, dim0, dim1)


@op(method=True)
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return reshape(input, -1)


@op(method=True)
def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    if input._data.ndim < 2:
        raise RuntimeError(takes("adjoint", "input", "at least 2 dimensions", f"shape {tuple(input.shape)}"))
    return transpose(input, -1, -2)


moveaxis = movedim
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
