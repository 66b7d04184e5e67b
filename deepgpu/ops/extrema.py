"""The largest and the smallest element over dimensions, and where it is."""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.dims import dimension, dimensions
from deepgpu.ops.op import op
from deepgpu.ops.reduction import Reduction, Sum
from deepgpu.ops.selection import maximum, minimum
from deepgpu.tensor import Tensor


class Amax(Reduction):
    """Maximum or minimum; equal extrema share the gradient."""

    keep_inputs = (0,)
    keep_outputs = (0,)

    def __init__(self, dims: tuple[int, ...], keepdim: bool, ufunc: str) -> None:
        super().__init__(dims, keepdim)
        self.ufunc = ufunc

    def forward(self, x: Any) -> Any:
        return getattr(x, self.ufunc)(axis=self.dims, keepdims=self.keepdim)

    def backward(self, g: Tensor) -> Tensor:
        x, y = self.saved
        hit = (x == self.spread(y.detach(), x.shape)).to(g.dtype)
        return self.spread(g, x.shape) * hit / Sum(self.dims, True)(hit)


class ArgExtremum(Node):
    """The position of the first maximum or minimum; NaN counts as the extremum."""

    non_differentiable = (0,)

    def __init__(self, dim: int | None, keepdim: bool, ufunc: str) -> None:
        self.dim = dim
        self.keepdim = keepdim
        self.ufunc = ufunc

    def forward(self, x: Any) -> Any:
        out = getattr(x, self.ufunc)(axis=self.dim)
        out = self.xp.asarray(out, dtype=dtypes.int64.numpy)
        return self.xp.expand_dims(out, self.dim) if self.keepdim and self.dim is not None and x.ndim else out


class values_and_indices(NamedTuple):
    """What ``max(dim)``, ``sort``, ``topk`` return."""

    values: Tensor
    indices: Tensor


def _refuse_empty(input: Tensor, dims: tuple[int, ...], name: str) -> None:
    if builtins.any(input._data.shape[d] == 0 for d in dims):
        raise IndexError(f"`{name}`: an empty dimension of shape {tuple(input.shape)} has no extremum")


@op(method=True)
def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The maximum over dimensions; equal maxima share the gradient evenly."""
    dims = dimensions(dim, input._data.ndim, "amax")
    _refuse_empty(input, dims, "amax")
    return Amax(dims, keepdim, "max")(input)


@op(method=True)
def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The minimum over dimensions; equal minima share the gradient evenly."""
    dims = dimensions(dim, input._data.ndim, "amin")
    _refuse_empty(input, dims, "amin")
    return Amax(dims, keepdim, "min")(input)


def _extremum(input: Tensor, dim: Any, keepdim: bool, name: str) -> Any:
    if isinstance(dim, Tensor):
        return (maximum if name == "max" else minimum)(input, dim)
    if dim is None:
        _refuse_empty(input, tuple(range(input._data.ndim)), name)
        return Amax(tuple(range(input._data.ndim)), False, name)(input)
    d = dimension(dim, input._data.ndim, name)
    _refuse_empty(input, (d,) if input._data.ndim else (), name)
    indices = ArgExtremum(d, True, f"arg{name}")(input)
    values = input.gather(d, indices) if input._data.ndim else input.clone()
    if not keepdim and input._data.ndim:
        values, indices = values.squeeze(d), indices.squeeze(d)
    return values_and_indices(values, indices)


@op(method=True)
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The maximum of all elements; with ``dim``, ``(values, indices)``; with a tensor ``other``, :func:`maximum`."""
    return _extremum(input, dim if other is None else other, keepdim, "max")


@op(method=True)
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The minimum of all elements; with ``dim``, ``(values, indices)``; with a tensor ``other``, :func:`minimum`."""
    return _extremum(input, dim if other is None else other, keepdim, "min")


def _position(input: Tensor, dim: int | None, keepdim: bool, name: str) -> Tensor:
    if input.dtype is dtypes.bool:
        raise RuntimeError(takes(name, "input", "numbers", "a bool tensor; convert it, e.g. with `.long()`"))
    d = None if dim is None else dimension(dim, input._data.ndim, name)
    every = tuple(range(input._data.ndim))
    _refuse_empty(input, every if d is None else every[d : d + 1], name)
    return ArgExtremum(d if every else None, keepdim, name)(input)


@op(method=True, differentiable=False)
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first maximum: of the flattened tensor, or along ``dim``."""
    return _position(input, dim, keepdim, "argmax")


@op(method=True, differentiable=False)
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first minimum: of the flattened tensor, or along ``dim``."""
    return _position(input, dim, keepdim, "argmin")
