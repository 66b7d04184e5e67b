"""In-place filling: ``copy_``, ``fill_``, ``zero_``, random numbers, ``detach_``."""

from __future__ import annotations

import math
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import state
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.assign import assign, store
from deepgpu.ops.broadcast import fitting
from deepgpu.ops.op import number
from deepgpu.ops.sampling import rand, randint, randn
from deepgpu.ops.shape import expand
from deepgpu.random import Generator
from deepgpu.tensor import Tensor, method


@method
def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Take over the values of ``src``, broadcast to this shape, in this dtype and on this device."""
    if not isinstance(src, Tensor):
        raise TypeError(takes("copy_", "src", "a tensor", f"{src!r} of type {type(src).__name__}"))
    return copy_into(self, src, "copy_", non_blocking)


def copy_into(self: Tensor, src: Tensor, op: str, non_blocking: bool = False) -> Tensor:
    """:func:`copy_`, under the name of another op."""
    result = src.to(device=self.device, dtype=self.dtype, non_blocking=non_blocking)
    if self._view is not None:
        self._refresh_view()
    if not state.enabled or not (self.requires_grad or result.requires_grad):
        if not _expands(result._data.shape, self._data.shape):
            raise _no_fit(self, src, op)
        return store(self, result._data, op)
    if result._data.shape != self._data.shape:
        if not _expands(result._data.shape, self._data.shape):
            raise _no_fit(self, src, op)
        result = expand(result, *self.shape)
    if result is src:
        version = src._shared_version()  # a shared memory is copied, never taken over
        if src.requires_grad:
            result = Copy()(src)
            result._version = version
    return assign(self, result, op)


class Copy(Node):
    """What is copied from a tensor has a history of its own: the two may be modified independently."""

    def forward(self, x: Any) -> Any:
        return x

    def backward(self, g: Tensor) -> Tensor:
        return g


def _no_fit(self: Tensor, src: Tensor, op: str) -> RuntimeError:
    return RuntimeError(takes(op, "src", f"what broadcasts to shape {tuple(self.shape)}", f"shape {tuple(src.shape)}"))


def _expands(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    if len(shape) > len(target):
        return False
    return all(s in (1, t) for s, t in zip(reversed(shape), reversed(target), strict=False))


@method
def fill_(self: Tensor, value: Any) -> Tensor:
    """All elements ``value``, a number or a 0-d tensor."""
    if not isinstance(value, Tensor):
        value = self.new_full((), fitting(number(value), self._data.dtype, "fill_", "value"))
    elif value._data.ndim:
        raise RuntimeError(takes("fill_", "value", "a number or a 0-d tensor", f"shape {tuple(value.shape)}"))
    return copy_into(self, value, "fill_")


@method
def zero_(self: Tensor) -> Tensor:
    """All elements 0."""
    return copy_into(self, self.new_zeros(()), "zero_")


@method
def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Uniform in [from_, to)."""
    if not from_ <= to:
        raise RuntimeError(takes("uniform_", "to", f"at least `from_` = {from_}", to))
    drawn = rand(*self.shape, dtype=self.dtype, device=self.device, generator=generator)
    return assign(self, drawn.mul_(to - from_).add_(from_), "uniform_")


@method
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Normal with the given mean and standard deviation."""
    if std < 0:
        raise RuntimeError(takes("normal_", "std", "a number that is not negative", std))
    drawn = randn(*self.shape, dtype=self.dtype, device=self.device, generator=generator)
    return assign(self, drawn.mul_(std).add_(mean), "normal_")


@method
def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """1 with probability ``p``, else 0."""
    if not 0 <= p <= 1:
        raise RuntimeError(takes("bernoulli_", "p", "a probability in [0, 1]", p))
    drawn = rand(*self.shape, device=self.device, generator=generator)
    return assign(self, (drawn < p).to(self.dtype), "bernoulli_")


@method
def random_(self: Tensor, from_: int = 0, to: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Uniform integers in [from_, to), by default all that the dtype holds exactly; ``random_(to)`` starts at 0."""
    if to is None and from_:
        from_, to = 0, from_
    if to is None:
        d = self.dtype
        if d.is_floating_point:
            to = round(2 / dtypes.finfo(d).eps) + 1
        else:
            to = 2 if d is dtypes.bool else dtypes.iinfo(d).max
    if from_ >= to:
        raise RuntimeError(takes("random_", "to", f"more than `from_` = {from_}", to))
    return assign(self, randint(from_, to, tuple(self.shape), generator=generator).to(self), "random_")


@method
def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Exponentially distributed with the rate ``lambd``."""
    if lambd <= 0:
        raise RuntimeError(takes("exponential_", "lambd", "a positive number", lambd))
    drawn = rand(*self.shape, dtype=self.dtype, device=self.device, generator=generator)
    return assign(self, (-drawn).log1p() / -lambd, "exponential_")


@method
def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """The exponential of normal numbers."""
    drawn = randn(*self.shape, dtype=self.dtype, device=self.device, generator=generator)
    return assign(self, (drawn * std + mean).exp(), "log_normal_")


@method
def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Distributed as Cauchy's."""
    drawn = rand(*self.shape, dtype=self.dtype, device=self.device, generator=generator)
    return assign(self, ((drawn - 0.5) * math.pi).tan() * sigma + median, "cauchy_")


@method
def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """The number of trials up to the first success of probability ``p``."""
    if not 0 < p < 1:
        raise RuntimeError(takes("geometric_", "p", "a probability in (0, 1)", p))
    drawn = rand(*self.shape, dtype=dtypes.float64, device=self.device, generator=generator)
    return assign(self, ((-drawn).log1p() / math.log1p(-p)).ceil().clamp(min=1).to(self.dtype), "geometric_")


@method
def detach_(self: Tensor) -> Tensor:
    """Leave the graph, in place: the tensor becomes a leaf that requires no grad."""
    if self._view is not None:
        raise RuntimeError("`detach_`: a view cannot leave the graph of its base; use `detach()`")
    self._node, self._output, self.requires_grad, self._view = None, 0, False, None
    return self


@method
def set_(self: Tensor, source: Tensor) -> Tensor:
    """Hold the memory of ``source``."""
    self._data, self._backend = source._data, source._backend
    return self
