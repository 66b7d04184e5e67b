"""Products of vectors and matrices beyond matmul, distances, traces, determinants, inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.einsum import LETTERS, einsum, tensordot
from deepgpu.ops.extrema import amax
from deepgpu.ops.matmul import bmm, mv, outer
from deepgpu.ops.op import op
from deepgpu.ops.reduction import Root
from deepgpu.ops.vector_norm import norm
from deepgpu.tensor import Tensor, wrap


@op(method=True)
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input._data.ndim != 2:
        raise RuntimeError(takes("trace", "input", "a matrix", f"shape {tuple(input.shape)}"))
    return input.diagonal().sum()


@op(method=True)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products over the last dimensions; a 0-d tensor multiplies all elements."""
    if not input._data.ndim or not other._data.ndim:
        return input * other
    if input._data.shape[-1] != other._data.shape[-1]:
        expected = f"{input._data.shape[-1]} elements in the last dimension, as `input` has"
        raise RuntimeError(takes("inner", "other", expected, f"shape {tuple(other.shape)}"))
    return tensordot(input, other, ([-1], [-1]))


@op(method=True)
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors."""
    if (input._data.ndim, other._data.ndim) != (1, 1) or input.shape != other.shape:
        shapes = f"{tuple(input.shape)} and {tuple(other.shape)}"
        raise RuntimeError(takes("vdot", "other", "two vectors of one size", shapes))
    return input.dot(other)


@op(method=True)
def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """As :func:`outer`."""
    return outer(input, vec2)


@op(method=True, inplace=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``."""
    return _added(input, mv(mat, vec), beta, alpha)


@op(method=True, inplace=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    return _added(input, outer(vec1, vec2), beta, alpha)


@op(method=True, inplace=True)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * sum of batch1[i] @ batch2[i]``."""
    return _added(input, bmm(batch1, batch2).sum(0), beta, alpha)


def _added(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """With ``beta`` 0 the input is not read: a NaN in it does not count."""
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:
        return scaled.expand(*input.shape) if input.shape != scaled.shape and scaled._data.size == 1 else scaled
    return (input if beta == 1 else input * beta) + scaled


@op(method=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker's product: every element of ``input`` times ``other``, in blocks."""
    ndim = max(input._data.ndim, other._data.ndim)
    a = input.reshape(*[1] * (ndim - input._data.ndim), *input.shape)
    b = other.reshape(*[1] * (ndim - other._data.ndim), *other.shape)
    blocks = a.reshape([n for s in a.shape for n in (s, 1)]) * b.reshape([n for s in b.shape for n in (1, s)])
    return blocks.reshape([m * n for m, n in zip(a.shape, b.shape, strict=True)])


@op(method=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors along a dimension of size 3: ``dim``, by default the first such."""
    if input._data.ndim != other._data.ndim:
        raise RuntimeError(takes("cross", "other", f"{input._data.ndim} dimensions", f"shape {tuple(other.shape)}"))
    if dim is None:
        found = [d for d, n in enumerate(input._data.shape) if n == 3]
        if not found:
            raise RuntimeError(takes("cross", "input", "a dimension of size 3", f"shape {tuple(input.shape)}"))
        dim = found[0]
    if input._data.shape[dim] != 3 or other._data.shape[dim] != 3:
        shapes = f"{tuple(input.shape)} and {tuple(other.shape)}"
        raise RuntimeError(takes("cross", "dim", "a dimension of size 3 of both tensors", f"{dim} of {shapes}"))
    return input.roll(-1, dim) * other.roll(-2, dim) - input.roll(-2, dim) * other.roll(-1, dim)


@op
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, in the order that takes the fewest multiplications."""
    terms = ",".join(LETTERS[i : i + 2] for i in range(len(matrices)))
    return einsum(f"{terms}->{LETTERS[0]}{LETTERS[len(matrices)]}", *matrices)


@op(method=True)
def matrix_power(input: Tensor, n: int) -> Tensor:
    """A square matrix, or a batch of them, multiplied by itself; its inverse for negative ``n``."""
    if input._data.ndim < 2 or input._data.shape[-1] != input._data.shape[-2]:
        raise RuntimeError(takes("matrix_power", "input", "square matrices", f"shape {tuple(input.shape)}"))
    base = inverse(input) if n < 0 else input
    result = None
    for bit in f"{abs(n):b}"[::-1]:
        if bit == "1":
            result = base if result is None else result @ base
        base = base @ base
    if result is None:
        eye = input._backend.xp.eye(input._data.shape[-1], dtype=input._data.dtype)
        return wrap(eye, input._backend).expand(*input.shape).clone()
    return result


# --- distances --------------------------------------------------------------------------------------------------------


@op(method=True)
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference."""
    return norm(input - other, p)


@op
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The distances between two sets of points.

    Parameters
    ----------
    x1, x2
        ``(..., P, M)`` and ``(..., R, M)``; leading sizes broadcast.
    p
        Of the p-norm.
    compute_mode
        Whether Euclidean distances may come from a matrix product, which is faster and rounds more:
        ``"use_mm_for_euclid_dist_if_necessary"`` does so for more than 25 points, ``"use_mm_for_euclid_dist"`` always,
        ``"donot_use_mm_for_euclid_dist"`` never.

    Returns
    -------
    Tensor
        ``(..., P, R)``
    """
    if x1._data.ndim < 2 or x2._data.ndim < 2 or x1._data.shape[-1] != x2._data.shape[-1]:
        shapes = f"{tuple(x1.shape)} and {tuple(x2.shape)}"
        raise RuntimeError(takes("cdist", "x2", "points (..., R, M) with the M coordinates of `x1`", shapes))
    if p < 0:
        raise RuntimeError(takes("cdist", "p", "a number that is not negative", p))
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(takes("cdist", "compute_mode", f"one of {', '.join(modes)}", repr(compute_mode)))
    many = max(x1._data.shape[-2], x2._data.shape[-2]) > 25
    if p == 2 and (compute_mode == modes[1] or (many and compute_mode == modes[0])):
        squares = (x1 * x1).sum(-1, keepdim=True) + (x2 * x2).sum(-1, keepdim=True).transpose(-1, -2)
        return Root()((squares - 2 * (x1 @ x2.transpose(-1, -2))).clamp(min=0))
    return _distances(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


def _distances(difference: Tensor, p: float) -> Tensor:
    """The norms of the last dimension; without coordinates all are 0."""
    if not difference._data.shape[-1]:
        return difference.sum(-1)
    if p in (math.inf, 0.0, 1.0, 2.0):
        return norm(difference, p, -1)
    size = difference.abs()
    top = amax(size.detach(), -1, True)
    zero = top == 0
    scaled = size / top.masked_fill(zero, 1.0)
    total = (scaled.masked_fill(size == 0, 1.0) ** p).masked_fill(size == 0, 0.0).sum(-1, keepdim=True)
    return (total.masked_fill(zero, 1.0) ** (1 / p) * top).squeeze(-1)


@op
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The distances between all pairs of rows ``(N, M)``: ``(N (N - 1) / 2,)``."""
    if input._data.ndim != 2:
        raise RuntimeError(takes("pdist", "input", "a matrix (N, M)", f"shape {tuple(input.shape)}"))
    backend, n = input._backend, input._data.shape[0]
    rows, cols = (wrap(backend.from_numpy(i), backend) for i in np.triu_indices(n, 1))
    return _distances(input.index_select(0, rows) - input.index_select(0, cols), p)


# --- square matrices --------------------------------------------------------------------------------------------------


class Inverse(Node):
    """``Y = A^-1``, with ``gA = -Y^T gY Y^T``."""

    keep_outputs = (0,)

    def forward(self, a: Any) -> Any:
        return self.xp.linalg.inv(a)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        t = y.transpose(-1, -2)
        return -(t @ g @ t)


class Slogdet(Node):
    """The sign of the determinant, and the logarithm of its absolute value."""

    keep_inputs = (0,)
    non_differentiable = (0,)

    def forward(self, a: Any) -> Any:
        sign, log = self.xp.linalg.slogdet(a)
        return self.xp.asarray(sign, a.dtype), self.xp.asarray(log, a.dtype)

    def backward(self, _: Tensor, g: Tensor) -> Tensor:
        (a,) = self.saved
        return g.unsqueeze(-1).unsqueeze(-1) * inverse(a).transpose(-1, -2)


def _square(name: str, x: Tensor) -> None:
    if x._data.ndim < 2 or x._data.shape[-1] != x._data.shape[-2]:
        raise RuntimeError(takes(name, "input", "square matrices (..., N, N)", f"shape {tuple(x.shape)}"))
    if not x.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", x.dtype))


@op(method=True)
def inverse(input: Tensor) -> Tensor:
    """The inverses of square matrices ``(..., N, N)``.

    Raises
    ------
    RuntimeError
        If a matrix has none.
    """
    _square("inverse", input)
    try:
        return Inverse()(input)
    except np.linalg.LinAlgError as error:
        raise RuntimeError(takes("inverse", "input", "matrices that have an inverse", str(error))) from None


@op(method=True)
def slogdet(input: Tensor) -> tuple[Tensor, Tensor]:
    """The sign and the logarithm of the absolute value of the determinants of square matrices."""
    _square("slogdet", input)
    return Slogdet()(input)


@op(method=True)
def det(input: Tensor) -> Tensor:
    """The determinants of square matrices; their gradient needs matrices that have an inverse."""
    _square("det", input)
    sign, log = Slogdet()(input)
    return sign * log.exp()


@op(method=True)
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinants of square matrices: NaN for negative ones."""
    _square("logdet", input)
    sign, log = Slogdet()(input)
    return log.masked_fill(sign < 0, float("nan"))
