"""Linear equations and what is computed with them: inverses of any matrix, least squares, ranks.

The names are those of ``torch.linalg``; what computes and what is differentiated is as in :mod:`.decomposition`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.decomposition import (
    applied,
    casts,
    checked_matrix,
    diagonal_part,
    eigvalsh,
    identity_like,
    svdvals,
    transposed,
)
from deepgpu.ops.linear_algebra import inverse
from deepgpu.tensor import Tensor, method


class Solve(Node):
    """``X`` with ``A X = B``: ``gB = A^-T gX``, ``gA = -gB X^T``."""

    keep_inputs = (0,)
    keep_outputs = (0,)

    def forward(self, a: Any, b: Any) -> Any:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        shape = (*batch, *b.shape[-2:])
        if not np.prod(shape):
            return self.xp.zeros(shape, b.dtype)
        a = self.xp.broadcast_to(a, (*batch, *a.shape[-2:]))
        return self.xp.linalg.solve(a, self.xp.broadcast_to(b, shape))

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, x = self.saved
        gb = Solve()(transposed(a), g)
        ga = -(gb @ transposed(x)) if self.needs_input_grad[0] else None
        shape = (*self._batch_b, *gb._data.shape[-2:])
        return None if ga is None else ga.sum_to_size(*a.shape), gb.sum_to_size(*shape)

    def __call__(self, *inputs: Any) -> Any:
        self._batch_b = inputs[1]._data.shape[:-2]
        return super().__call__(*inputs)


@casts
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """``X`` with ``A X = B``, or with ``X A = B`` unless ``left``.

    Parameters
    ----------
    A
        ``(..., N, N)``
    B
        ``(..., N, K)``, or vectors ``(..., N)``; leading sizes broadcast.

    Raises
    ------
    LinAlgError
        If a matrix is singular.
    """
    checked_matrix("solve", A, square=True)
    if not isinstance(B, Tensor):
        raise TypeError(takes("solve", "B", "a tensor", type(B).__name__))
    if B.dtype is not A.dtype:
        raise RuntimeError(takes("solve", "B", f"the dtype of `A`, {A.dtype}", B.dtype))
    vector = B._data.ndim == 1 or (A._data.ndim - 1 == B._data.ndim and B._data.shape == A._data.shape[:-1])
    if vector and not left:
        raise RuntimeError(takes("solve", "B", "matrices if `left` is False", f"vectors of shape {tuple(B.shape)}"))
    b = B.unsqueeze(-1) if vector else B
    n, given = A._data.shape[-1], b._data.shape[-2 if left else -1]
    if n != given:
        raise RuntimeError(takes("solve", "B", f"{n} {'rows' if left else 'columns'}, as `A` has", tuple(B.shape)))
    if not left:
        return transposed(applied("solve", Solve(), transposed(A), transposed(b)))
    x = applied("solve", Solve(), A, b)
    return x.squeeze(-1) if vector else x


@casts
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """:func:`solve` for triangular matrices, of which the other triangle is not read.

    Parameters
    ----------
    unitriangular
        Take the diagonal as 1.
    """
    checked_matrix("solve_triangular", A, square=True)
    triangle = A.triu() if upper else A.tril()
    if unitriangular:
        triangle = triangle - diagonal_part(triangle) + identity_like(triangle)
    return solve(triangle, B, left=left)


class Pinv(Node):
    """The pseudo-inverse; the derivative is that of Golub & Pereyra (1973)."""

    keep_inputs = (0,)
    keep_outputs = (0,)

    def __init__(self, rtol: float) -> None:
        self.rtol = rtol

    def forward(self, a: Any) -> Any:
        if not a.size:
            return self.xp.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
        u, s, vh = self.xp.linalg.svd(a, full_matrices=False)
        kept = s > self.rtol * s.max(axis=-1, keepdims=True)
        factors = self.xp.where(kept, 1 / self.xp.where(kept, s, 1), 0).astype(a.dtype)
        return (vh.swapaxes(-1, -2) * factors[..., None, :]) @ u.swapaxes(-1, -2)

    def backward(self, g: Tensor) -> Tensor:
        a, p = self.saved
        pt, gt = transposed(p), transposed(g)
        if a._data.shape[-2] <= a._data.shape[-1]:
            k = gt @ p
            kp = k @ pt
            return -transposed(p @ k) + kp - (a @ p) @ kp + (pt @ p) @ (gt - k @ a)
        k = p @ gt
        pk = pt @ k
        return -transposed(k @ p) + (gt - a @ k) @ p @ pt + pk - (pk @ p) @ a


@casts
def pinv(A: Tensor, rtol: float | None = None, *, hermitian: bool = False) -> Tensor:
    """The pseudo-inverse (Moore-Penrose). Singular values up to ``rtol`` times the largest count as 0.

    Parameters
    ----------
    rtol
        By default ``max(M, N)`` times the dtype's epsilon.
    hermitian
        Accepted for PyTorch's sake.
    """
    checked_matrix("pinv", A)
    if rtol is None:
        rtol = max(A._data.shape[-2:]) * dtypes.finfo(A.dtype).eps
    return applied("pinv", Pinv(float(rtol)), A)


class LstsqResult(NamedTuple):
    """What :func:`lstsq` gives."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


@casts
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> LstsqResult:
    """The ``X`` for which ``A X - B`` has the least norm, itself of least norm if there are several.

    Parameters
    ----------
    A
        ``(..., M, N)``
    B
        ``(..., M, K)``
    rcond
        See ``rtol`` of :func:`pinv`.
    driver
        ``"gels"``, ``"gelsy"``, ``"gelsd"``, ``"gelss"``: which of the results are given; by default those of gelsy.

    Returns
    -------
    LstsqResult
        ``solution``; ``residuals`` ``(..., K)`` if ``M > N``, all ranks are full and the driver is not gelsy, else
        empty; ``rank`` unless the driver is gels; ``singular_values`` if it is gelsd or gelss.
    """
    checked_matrix("lstsq", A)
    drivers = ("gels", "gelsy", "gelsd", "gelss")
    if driver not in (None, *drivers):
        raise RuntimeError(takes("lstsq", "driver", f"one of {', '.join(drivers)}", repr(driver)))
    if not isinstance(B, Tensor) or B.dtype is not A.dtype:
        raise RuntimeError(takes("lstsq", "B", f"a tensor of the dtype of `A`, {A.dtype}", getattr(B, "dtype", B)))
    m, n = A._data.shape[-2:]
    if B._data.ndim < 2 or B._data.shape[-2] != m:
        raise RuntimeError(takes("lstsq", "B", f"matrices with {m} rows, as `A` has", f"shape {tuple(B.shape)}"))
    solution = pinv(A, rcond) @ B
    values = svdvals(A.detach())
    rank = _rank(values, None, rcond, (m, n))
    residuals, nothing = A.new_empty(0), A.new_empty(0)
    if m > n and driver in ("gels", "gelsd", "gelss") and bool((rank == n).all()):
        difference = A @ solution - B
        residuals = (difference * difference).sum(-2)
    full = driver in ("gelsd", "gelss")
    return LstsqResult(
        solution, residuals, rank if driver != "gels" else rank.new_empty(0), values if full else nothing
    )


@casts
def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """How many singular values are larger than ``max(atol, rtol * largest)``.

    Parameters
    ----------
    tol, atol, rtol
        Numbers or tensors; ``tol`` is the older name of ``atol``. By default ``rtol`` is ``max(M, N)`` times the
        dtype's epsilon, or 0 if ``atol`` is given.
    hermitian
        Take the sizes of eigenvalues instead, for symmetric matrices.
    """
    checked_matrix("matrix_rank", A, square=hermitian)
    values = eigvalsh(A.detach()).abs() if hermitian else svdvals(A.detach())
    return _rank(values, tol if atol is None else atol, rtol, A._data.shape[-2:])


def _rank(values: Tensor, atol: Any, rtol: Any, shape: tuple[int, ...]) -> Tensor:
    if not values._data.shape[-1]:
        return values.sum(-1).long()
    if rtol is None:
        rtol = 0.0 if atol is not None else max(shape) * dtypes.finfo(values.dtype).eps
    limit = values.amax(-1) * rtol
    if atol is not None:
        limit = limit.clamp(min=atol) if not isinstance(atol, Tensor) else limit.maximum(atol)
    return (values > limit.unsqueeze(-1)).sum(-1)


@method
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """``torch.pinverse``; rather use :func:`deepgpu.linalg.pinv`."""
    return pinv(input, rcond)


@method
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """``X`` with ``A X = input``, given the Cholesky factor of ``A``."""
    checked_matrix("cholesky_solve", L, square=True)
    lower = transposed(L) if upper else L
    half = solve_triangular(lower, input, upper=False)
    return solve_triangular(transposed(lower), half, upper=True)


@method
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of ``A``, given its Cholesky factor."""
    checked_matrix("cholesky_inverse", L, square=True)
    inv = inverse((transposed(L) if upper else L).tril())
    return transposed(inv) @ inv
