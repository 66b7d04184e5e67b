"""Decompositions of matrices, under the names of ``torch.linalg``.

LAPACK computes on the CPU (through NumPy), cuSOLVER on a GPU (through CuPy). Batches of matrices are in the leading
dimensions. The derivatives are those of Giles (2008), "Collected matrix derivative results for forward and reverse mode
algorithmic differentiation", and Walter & Lehmann (arXiv 1001.1654) for QR.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import LinAlgError, takes
from deepgpu.ops.autocast import autocast
from deepgpu.ops.joining import cat
from deepgpu.ops.linear_algebra import inverse
from deepgpu.tensor import Tensor, method, wrap

F = TypeVar("F", bound=Callable[..., Any])


def casts(function: F) -> F:
    """Under autocast they want float32. They are no registered ops: PyTorch has them in ``linalg`` only."""
    return autocast(function, function.__name__)  # type: ignore[return-value]


def transposed(x: Tensor) -> Tensor:
    """The matrices' transposes."""
    return x.transpose(-1, -2)


def checked_matrix(name: str, A: Any, square: bool = False) -> None:
    """Refuse what is no matrix of float32 or float64."""
    if not isinstance(A, Tensor):
        raise TypeError(takes(name, "A", "a tensor", type(A).__name__))
    if A._data.ndim < 2:
        raise RuntimeError(takes(name, "A", "matrices (..., M, N)", f"shape {tuple(A.shape)}"))
    if square and A._data.shape[-1] != A._data.shape[-2]:
        raise RuntimeError(takes(name, "A", "square matrices (..., N, N)", f"shape {tuple(A.shape)}"))
    if A.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(takes(name, "A", "float32 or float64", A.dtype))


def applied(name: str, node: Node, *inputs: Any) -> Any:
    """Call a node; what LAPACK cannot do is an error of ours."""
    try:
        return node(*inputs)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"`{name}`: {error}") from None


# --- Cholesky --------------------------------------------------------------------------------------------------------


class Cholesky(Node):
    """``A = L L^T``; the derivative is that of Giles (2008), section 3."""

    keep_outputs = (0,)

    def forward(self, a: Any) -> Any:
        lower = self.xp.tril(a)
        strict = self.xp.tril(a, -1)
        return self.xp.linalg.cholesky(lower + strict.swapaxes(-1, -2))  # only the lower triangle counts

    def backward(self, g: Tensor) -> Tensor:
        (lower,) = self.saved
        inv = inverse(lower)
        phi = (transposed(lower) @ g).tril()
        phi = phi - 0.5 * diagonal_part(phi)
        s = transposed(inv) @ phi @ inv
        return 0.5 * (s + transposed(s))


def diagonal_part(x: Tensor) -> Tensor:
    """A matrix with everything but its diagonal 0."""
    return x.diagonal(dim1=-2, dim2=-1).diag_embed()


@casts
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The triangular ``L`` with ``A = L L^T`` of symmetric positive-definite matrices, or ``U = L^T``.

    Raises
    ------
    LinAlgError
        If a matrix is not positive-definite.
    """
    checked_matrix("cholesky", A, square=True)
    lower = applied("cholesky", Cholesky(), transposed(A) if upper else A)
    return transposed(lower) if upper else lower


# --- eigenvalues of symmetric matrices -------------------------------------------------------------------------------


class Eigh(Node):
    """``A = V diag(w) V^T`` of a symmetric matrix; the derivative divides by the gaps between eigenvalues."""

    keep_outputs = (0, 1)

    def __init__(self, uplo: str) -> None:
        self.uplo = uplo

    def forward(self, a: Any) -> Any:
        values, vectors = self.xp.linalg.eigh(a, UPLO=self.uplo)
        return values, vectors

    def backward(self, g_values: Tensor, g_vectors: Tensor) -> Tensor:
        values, vectors = self.saved
        t = transposed(vectors)
        gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
        gaps = gaps + identity_like(gaps)
        inner = t @ g_vectors / gaps
        inner = inner - diagonal_part(inner) + g_values.diag_embed()
        return vectors @ inner @ t


def identity_like(like: Tensor) -> Tensor:
    """The identity matrix of this size, dtype and device."""
    return wrap(like._backend.xp.eye(like._data.shape[-1], dtype=like._data.dtype), like._backend)


class EighResult(NamedTuple):
    """What :func:`eigh` gives."""

    eigenvalues: Tensor
    eigenvectors: Tensor


@casts
def eigh(A: Tensor, UPLO: str = "L") -> EighResult:
    """The eigenvalues, ascending, and eigenvectors, in columns, of symmetric matrices.

    Parameters
    ----------
    UPLO
        Which triangle is read: ``"L"`` or ``"U"``.
    """
    checked_matrix("eigh", A, square=True)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(takes("eigh", "UPLO", "'L' or 'U'", repr(UPLO)))
    return EighResult(*applied("eigh", Eigh(UPLO.upper()), A))


@casts
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues, ascending, of symmetric matrices; see :func:`eigh`."""
    return eigh(A, UPLO).eigenvalues


# --- singular values -------------------------------------------------------------------------------------------------


class Svd(Node):
    """``A = U diag(S) V^T``; the derivative divides by the gaps between squared singular values."""

    keep_outputs = (0, 1, 2)

    def __init__(self, full_matrices: bool) -> None:
        self.full = full_matrices

    def forward(self, a: Any) -> Any:
        u, s, vh = self.xp.linalg.svd(a, full_matrices=self.full)
        return u, s, vh

    def backward(self, gu: Tensor, gs: Tensor, gvh: Tensor) -> Tensor:
        u, s, vh = self.saved
        m, n, k = u._data.shape[-2], vh._data.shape[-1], s._data.shape[-1]
        u, gu, vh, gvh = u[..., :k], gu[..., :k], vh[..., :k, :], gvh[..., :k, :]
        ut, v = transposed(u), transposed(vh)
        squares = s * s
        gaps = squares.unsqueeze(-2) - squares.unsqueeze(-1)
        gaps = gaps + identity_like(gaps)
        row, column = s.unsqueeze(-2), s.unsqueeze(-1)
        from_u, from_v = ut @ gu, transposed(gvh @ v)
        inner = (from_u - transposed(from_u)) / gaps * row + column * ((from_v - transposed(from_v)) / gaps)
        total = u @ (inner + gs.diag_embed()) @ vh
        if m > k:
            total = total + (gu - u @ from_u) / row @ vh
        if n > k:
            total = total + u @ ((gvh - (gvh @ v) @ vh) / column)
        return total


class SvdResult(NamedTuple):
    """What :func:`svd` gives."""

    U: Tensor
    S: Tensor
    Vh: Tensor


@casts
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SvdResult:
    """``A = U diag(S) Vh`` with orthonormal columns of ``U`` and rows of ``Vh``, and ``S`` descending.

    The gradient wants distinct singular values, and looks at the first ``min(M, N)`` singular vectors only.

    Parameters
    ----------
    full_matrices
        Whether ``U`` and ``Vh`` are square.
    driver
        Accepted for PyTorch's sake.
    """
    checked_matrix("svd", A)
    return SvdResult(*applied("svd", Svd(full_matrices), A))


@casts
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, descending."""
    return svd(A, full_matrices=False).S


# --- QR --------------------------------------------------------------------------------------------------------------


class Qr(Node):
    """``A = Q R``; the derivative is that of Walter & Lehmann (arXiv 1001.1654)."""

    keep_inputs = (0,)
    keep_outputs = (0, 1)

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def forward(self, a: Any) -> Any:
        if not a.size:
            return self._of_nothing(a)
        q, r = self.xp.linalg.qr(a, mode=self.mode)
        return q, r

    def _of_nothing(self, a: Any) -> Any:
        *batch, m, n = a.shape
        k = min(m, n) if self.mode == "reduced" else m
        q = self.xp.broadcast_to(self.xp.eye(m, k, dtype=a.dtype), (*batch, m, k)).copy()
        return q, self.xp.zeros((*batch, k, n), a.dtype)

    def backward(self, gq: Tensor, gr: Tensor) -> Tensor:
        a, q, r = self.saved
        m, n = a._data.shape[-2:]
        if self.mode == "complete" and m > n:
            raise RuntimeError("`qr`: mode 'complete' has no gradient for matrices with more rows than columns")
        if m >= n:
            return _qr_backward(q, r, gq, gr)
        gv = gr[..., m:]
        gq = gq + a[..., m:] @ transposed(gv)
        return cat([_qr_backward(q, r[..., :m], gq, gr[..., :m]), q @ gv], -1)


def _qr_backward(q: Tensor, r: Tensor, gq: Tensor, gr: Tensor) -> Tensor:
    inner = r @ transposed(gr) - transposed(gq) @ q
    symmetric = inner.tril() + transposed(inner.tril(-1))
    return (gq + q @ symmetric) @ transposed(inverse(r))


class QrResult(NamedTuple):
    """What :func:`qr` gives."""

    Q: Tensor
    R: Tensor


@casts
def qr(A: Tensor, mode: str = "reduced") -> QrResult:
    """``A = Q R`` with orthonormal columns of ``Q`` and upper triangular ``R``.

    Parameters
    ----------
    mode
        ``"reduced"``: ``Q`` has ``min(M, N)`` columns; ``"complete"``: it is square; ``"r"``: it is empty, and there is
        no gradient.
    """
    checked_matrix("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(takes("qr", "mode", "'reduced', 'complete' or 'r'", repr(mode)))
    if mode == "r":
        if A.requires_grad:
            raise RuntimeError("`qr`: mode 'r' has no gradient; use 'reduced'")
        return QrResult(A.new_empty(0), Qr("reduced")(A)[1])
    return QrResult(*applied("qr", Qr(mode), A))


# --- the older names of torch ----------------------------------------------------------------------------------------


@method(name="svd")
def legacy_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """``torch.svd``: ``(U, S, V)`` with ``input = U diag(S) V^T``; rather use :func:`deepgpu.linalg.svd`."""
    u, s, vh = svd(input, full_matrices=not some)
    if not compute_uv:
        m, n = input._data.shape[-2:]
        return u.new_zeros(*s.shape[:-1], m, m), s, vh.new_zeros(*s.shape[:-1], n, n)
    return u, s, transposed(vh)


@method(name="qr")
def legacy_qr(input: Tensor, some: bool = True) -> QrResult:
    """``torch.qr``; rather use :func:`deepgpu.linalg.qr`."""
    return qr(input, "reduced" if some else "complete")


@method(name="cholesky")
def legacy_cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """``torch.cholesky``; rather use :func:`deepgpu.linalg.cholesky`."""
    return cholesky(input, upper=upper)
