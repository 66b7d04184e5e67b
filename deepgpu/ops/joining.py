"""Joining tensors along an old or a new dimension: cat and stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.broadcast import as_dtype
from deepgpu.ops.dims import dimension
from deepgpu.ops.op import op
from deepgpu.ops.shape import unsqueeze
from deepgpu.ops.slicing import narrow
from deepgpu.tensor import Tensor

LARGE = 1 << 12
"""Elements of a tensor from which on it is worth asking whether the device copies faster than NumPy."""


class Cat(Node):
    """Join along an existing dimension."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, *arrays: Any) -> Any:
        self.lengths = [a.shape[self.dim] for a in arrays]
        first, total = arrays[0], sum(self.lengths)
        if first.size < LARGE:
            return self.xp.concatenate(arrays, axis=self.dim)
        shape = (*first.shape[: self.dim], total, *first.shape[self.dim + 1 :])
        out, start = self.backend.empty_like(first, shape), 0
        for array, length in zip(arrays, self.lengths, strict=True):
            self.backend.assign(out[(*[slice(None)] * self.dim, slice(start, start + length))], array)
            start += length
        return out

    def backward(self, g: Tensor) -> tuple[Tensor, ...]:
        parts, start = [], 0
        for length in self.lengths:
            parts.append(narrow(g, self.dim, start, length))
            start += length
        return tuple(parts)


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


concat = concatenate = cat
