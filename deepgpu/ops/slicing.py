"""Parts of a tensor, as views: narrow, select, split, chunk, unbind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.dims import dimension
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, method


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
        self.backend.assign(out[self.index], x)
        return out

    def backward(self, g: Tensor) -> Tensor:
        return Slice(self.index)(g)


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
