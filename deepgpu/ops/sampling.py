"""Random tensors: uniform, normal, integers, permutations, coin flips."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.creation import backend_for, finish, in_format
from deepgpu.ops.dims import new_shape, one_by_one
from deepgpu.ops.op import op
from deepgpu.random import Generator, default_generator
from deepgpu.tensor import Tensor


def _draw(kind: str, shape: Any, dtype: dtypes.dtype, generator: Generator | None) -> np.ndarray:
    """Numbers on the host: float32 is drawn as such, normal half numbers from float64."""
    g = (generator or default_generator).numpy
    if kind == "uniform" and dtype.itemsize == 2:
        # as many steps as the dtype tells apart below 1: rounding a finer number could give 1 itself
        steps = round(1 / dtypes.finfo(dtype).eps) * 2
        return (g.integers(0, steps, shape) / steps).astype(dtype.numpy)
    draw = g.standard_normal if kind == "normal" else g.random
    if dtype is dtypes.float32:
        return draw(shape, dtype=np.float32)
    return draw(shape).astype(dtype.numpy)


def _floating(dtype: dtypes.dtype | None, op: str) -> dtypes.dtype:
    d = dtype or dtypes.get_default_dtype()
    if not d.is_floating_point:
        raise NotImplementedError(takes(op, "dtype", "a floating-point dtype (`randint` draws integers)", d))
    return d


@op(differentiable=False)
@one_by_one
def rand(
    size: Any,
    *,
    generator: Generator | None = None,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform in [0, 1)."""
    b = backend_for(device)
    drawn = _draw("uniform", new_shape(size, "rand"), _floating(dtype, "rand"), generator)
    return finish(b.from_numpy(drawn), b, requires_grad)


@op(differentiable=False)
@one_by_one
def randn(
    size: Any,
    *,
    generator: Generator | None = None,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal with mean 0 and variance 1."""
    b = backend_for(device)
    drawn = _draw("normal", new_shape(size, "randn"), _floating(dtype, "randn"), generator)
    return finish(b.from_numpy(drawn), b, requires_grad)


@op(differentiable=False)
def randint(
    low: int = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform integers in [low, high), as int64 by default. ``randint(high, size)`` starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    if low >= high:
        raise RuntimeError(takes("randint", "high", f"more than `low` = {low}", high))
    b = backend_for(device)
    g = (generator or default_generator).numpy
    drawn = g.integers(low, high, new_shape(size, "randint")).astype((dtype or dtypes.int64).numpy)
    return finish(b.from_numpy(drawn), b, requires_grad)


@op(differentiable=False)
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers 0..n-1 in random order, as int64 by default."""
    b = backend_for(device)
    g = (generator or default_generator).numpy
    return finish(b.from_numpy(g.permutation(n).astype((dtype or dtypes.int64).numpy)), b, requires_grad)


@op(differentiable=False)
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Uniform in [0, 1), in the shape and dtype of ``input``."""
    made = rand(input.shape, dtype=dtype or input.dtype, device=device or input.device, generator=generator)
    return in_format(made, memory_format, requires_grad)


@op(differentiable=False)
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Standard normal, in the shape and dtype of ``input``."""
    made = randn(input.shape, dtype=dtype or input.dtype, device=device or input.device, generator=generator)
    return in_format(made, memory_format, requires_grad)


@op(method=True, differentiable=False)
def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element gives, else 0."""
    p = input._data
    if input._backend.type == "cpu" and not bool(((p >= 0) & (p <= 1)).all()):
        raise RuntimeError(takes("bernoulli", "input", "probabilities in [0, 1]", f"{p.min()} to {p.max()}"))
    drawn = rand(input.shape, dtype=dtypes.float64, generator=generator).to(input.device)
    return (drawn < input.detach().double()).to(input.dtype)
