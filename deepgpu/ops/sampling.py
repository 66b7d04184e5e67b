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
from deepgpu.tensor import Tensor, wrap


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


@op(differentiable=False)
def randint_like(
    input: Tensor,
    low: int = 0,
    high: Any = None,
    *,
    generator: Generator | None = None,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Uniform integers in [low, high), in the shape and dtype of ``input``. ``randint_like(x, high)`` starts at 0."""
    if high is None:
        low, high = 0, low
    kind = dtype or input.dtype
    made = randint(low, high, tuple(input.shape), dtype=kind, device=device or input.device, generator=generator)
    return in_format(made, memory_format, requires_grad)


@op(differentiable=False)
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers.

    Parameters
    ----------
    mean, std
        Numbers, or tensors with one for each element of the result.
    size
        The shape, where both are numbers.
    """
    if isinstance(std, Tensor):
        lowest = float(std._data.min()) if std._data.size else 0.0
    else:
        lowest = std
    if lowest < 0:
        raise RuntimeError(takes("normal", "std", "numbers that are not negative", lowest))
    given = [t for t in (mean, std) if isinstance(t, Tensor)]
    if given:
        shape = np.broadcast_shapes(*[t._data.shape for t in given])
        drawn = randn(shape, dtype=given[0].dtype, device=given[0].device, generator=generator)
        return drawn * (std.detach() if isinstance(std, Tensor) else std) + (
            mean.detach() if isinstance(mean, Tensor) else mean
        )
    if size is None:
        raise TypeError(takes("normal", "size", "a shape, where `mean` and `std` are numbers", None))
    made = randn(size, dtype=dtype, device=device, generator=generator) * std + mean
    return made.requires_grad_() if requires_grad else made


@op(method=True, differentiable=False)
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Positions drawn with probabilities in proportion to a row of weights.

    Parameters
    ----------
    input
        ``(N,)`` or ``(M, N)``: weights that are not negative and not all 0.
    num_samples
        How many are drawn from each row.
    replacement
        Whether a position may be drawn again.

    Returns
    -------
    Tensor
        ``(num_samples,)`` or ``(M, num_samples)``, int64

    Notes
    -----
    With replacement by the inverse of the distribution; without it the largest of ``log(weight) + Gumbel noise`` are
    taken, which is drawing one after the other (Efraimidis & Spirakis 2006).
    """
    name = "multinomial"
    if input._data.ndim not in (1, 2) or not input.dtype.is_floating_point:
        got = f"{input.dtype} of shape {tuple(input.shape)}"
        raise RuntimeError(takes(name, "input", "floating-point weights (N,) or (M, N)", got))
    backend = input._backend
    w = np.atleast_2d(backend.to_numpy(input._data).astype(np.float64))
    positive = int((w > 0).sum(axis=1).min(initial=w.shape[1]))
    if num_samples < 1 or (not replacement and num_samples > w.shape[1]):
        most = "a positive number" if replacement else f"1..{w.shape[1]} without replacement"
        raise RuntimeError(takes(name, "num_samples", most, num_samples))
    if not np.isfinite(w).all() or (w < 0).any() or positive == 0:
        raise RuntimeError(takes(name, "input", "weights that are finite, not negative and not all 0", w.tolist()))
    if not replacement and num_samples > positive:
        expected = f"at most {positive} without replacement, the number of weights above 0"
        raise RuntimeError(takes(name, "num_samples", expected, num_samples))
    g = (generator or default_generator).numpy
    if replacement:
        edges = np.cumsum(w, axis=1)
        drawn = g.random((w.shape[0], num_samples)) * edges[:, -1:]
        found = np.stack([np.searchsorted(e, d, side="right") for e, d in zip(edges, drawn, strict=True)])
    else:
        with np.errstate(divide="ignore"):
            keys = np.log(w) - np.log(-np.log1p(-g.random(w.shape)))
        found = np.argsort(-keys, axis=1, kind="stable")[:, :num_samples]
    found = found.astype(np.int64)
    return wrap(backend.from_numpy(found if input._data.ndim == 2 else found[0]), backend)


@op(differentiable=False)
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers from Poisson's distribution with the rate that each element gives."""
    rates = input._backend.to_numpy(input._data)
    if not bool((rates >= 0).all()):
        raise RuntimeError(takes("poisson", "input", "rates that are not negative", float(rates.min())))
    drawn = (generator or default_generator).numpy.poisson(rates.astype(np.float64))
    return wrap(input._backend.from_numpy(np.asarray(drawn).astype(rates.dtype)), input._backend)
