"""Linear algebra: ``torch.linalg``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.errors import LinAlgError, takes
from deepgpu.ops import linear_algebra, vector_norm as norms
from deepgpu.ops.cast import cast
from deepgpu.ops.decomposition import (
    cholesky,
    eigh,
    eigvalsh,
    qr,
    svd,
    svdvals,
)
from deepgpu.ops.dims import dimension
from deepgpu.ops.matmul import matmul
from deepgpu.ops.solving import lstsq, matrix_rank, pinv, solve, solve_triangular
from deepgpu.tensor import Tensor


def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """The p-norm over dimensions, of the elements taken as a vector; ``inf``, ``-inf`` and 0 as in :func:`norm`."""
    return norms.norm(x, ord, dim, keepdim, dtype=dtype)


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """A norm of matrices.

    Parameters
    ----------
    ord
        ``"fro"``; 1, -1, ``inf``, -``inf``: the largest or smallest sum of the absolute values of a column or row; 2,
        -2, ``"nuc"``: the largest or smallest singular value, or the sum of all.
    """
    A = A if dtype is None else cast(A, dtype)
    if not isinstance(dim, Sequence) or len(dim) != 2:
        raise RuntimeError(takes("matrix_norm", "dim", "two dimensions", dim))
    rows, cols = (dimension(d, A._data.ndim, "matrix_norm") for d in dim)
    if ord == "fro":
        return norms.norm(A, 2, (rows, cols), keepdim)
    if ord in (2, -2, "nuc"):
        values = svdvals(A.movedim((rows, cols), (-2, -1)))
        found = values.sum(-1) if ord == "nuc" else values.amax(-1) if ord == 2 else values.amin(-1)
        if not keepdim:
            return found
        for d in sorted((rows % A._data.ndim, cols % A._data.ndim)):
            found = found.unsqueeze(d)
        return found
    if ord not in (1, -1, float("inf"), float("-inf")):
        raise RuntimeError(takes("matrix_norm", "ord", "'fro', 'nuc', 1, -1, 2, -2, inf or -inf", repr(ord)))
    summed, chosen = (rows, cols) if abs(ord) == 1 else (cols, rows)
    sums = A.abs().sum(summed, keepdim=True)
    found = sums.amax(chosen, True) if ord > 0 else sums.amin(chosen, True)
    return found if keepdim else found.squeeze((rows, cols))


def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """:func:`vector_norm`, or :func:`matrix_norm` where two dimensions or a matrix and an order are given."""
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    two = len(dim) == 2 if isinstance(dim, Sequence) else dim is None and A._data.ndim == 2
    if two:
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if dim is None and A._data.ndim > 2:
        raise RuntimeError(takes("norm", "A", "a vector or a matrix, if `dim` is None", f"shape {tuple(A.shape)}"))
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices, in the order that takes the fewest multiplications."""
    return linear_algebra.chain_matmul(*tensors)


def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices."""
    return linear_algebra.inverse(A)


def det(A: Tensor) -> Tensor:
    """The determinants of square matrices."""
    return linear_algebra.det(A)


def slogdet(A: Tensor) -> tuple[Tensor, Tensor]:
    """The sign and the logarithm of the absolute value of the determinants of square matrices."""
    return linear_algebra.slogdet(A)


def matrix_power(A: Tensor, n: int) -> Tensor:
    """Square matrices multiplied by themselves."""
    return linear_algebra.matrix_power(A, n)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """How much a matrix can magnify errors: its norm times its inverse's; None, 2 and -2 take any matrix."""
    if p in (None, 2, -2):
        values = svdvals(A)
        large, small = values.amax(-1), values.amin(-1)
        return small / large if p == -2 else large / small
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner products of vectors along a dimension."""
    return (x * y).sum(dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices."""
    return A.diagonal(offset, dim1, dim2)


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors along a dimension of size 3."""
    return linear_algebra.cross(input, other, dim)


__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "vecdot",
    "vector_norm",
]
