"""In-place filling: ``copy_``, ``fill_``, ``zero_``, random numbers, ``detach_``."""

from __future__ import annotations

from typing import Any

from deepgpu.errors import takes
from deepgpu.ops.assign import assign
from deepgpu.ops.creation import full_like, rand, randn
from deepgpu.ops.shape import expand
from deepgpu.random import Generator
from deepgpu.tensor import Tensor, method


@method
def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Take over the values of ``src``, broadcast to this shape, in this dtype and on this device."""
    return copy_into(self, src, "copy_")


def copy_into(self: Tensor, src: Tensor, op: str) -> Tensor:
    """:func:`copy_`, under the name of another op."""
    result = src.to(device=self.device, dtype=self.dtype)
    if result._data.shape != self._data.shape:
        if not _expands(result._data.shape, self._data.shape):
            expected = f"what broadcasts to shape {tuple(self.shape)}"
            raise RuntimeError(takes(op, "src", expected, f"shape {tuple(src.shape)}"))
        result = expand(result, *self.shape)
    return assign(self, result, op)


def _expands(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    if len(shape) > len(target):
        return False
    return all(s in (1, t) for s, t in zip(reversed(shape), reversed(target), strict=False))


@method
def fill_(self: Tensor, value: Any) -> Tensor:
    """All elements ``value``, a number or a 0-d tensor."""
    if isinstance(value, Tensor):
        return copy_(self, value)
    return assign(self, full_like(self, value), "fill_")


@method
def zero_(self: Tensor) -> Tensor:
    """All elements 0."""
    return fill_(self, 0)


@method
def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Uniform in [from_, to)."""
    drawn = rand(*self.shape, dtype=self.dtype, device=self.device, generator=generator)
    return assign(self, drawn * (to - from_) + from_, "uniform_")


@method
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Normal with the given mean and standard deviation."""
    drawn = randn(*self.shape, dtype=self.dtype, device=self.device, generator=generator)
    return assign(self, drawn * std + mean, "normal_")


@method
def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """1 with probability ``p``, else 0."""
    drawn = rand(*self.shape, device=self.device, generator=generator)
    return assign(self, (drawn < p).to(self.dtype), "bernoulli_")


@method
def detach_(self: Tensor) -> Tensor:
    """Leave the graph, in place: the tensor becomes a leaf that requires no grad."""
    self._node, self._output, self.requires_grad, self._view = None, 0, False, None
    return self


@method
def set_(self: Tensor, source: Tensor) -> Tensor:
    """Hold the memory of ``source``."""
    self._data, self._backend = source._data, source._backend
    return self
