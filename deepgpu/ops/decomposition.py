"""Decompositions of matrices and the equations that they solve, under the names of ``torch.linalg``.

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


def _transposed(x: Tensor) -> Tensor:
    return x.transpose(-1, -2)


def _check(name: str, A: Any, square: bool = False) -> None:
    if not isinstance(A, Tensor):
        raise TypeError(takes(name, "A", "a tensor", type(A).__name__))
    if A._data.ndim < 2:
        raise RuntimeError(takes(name, "A", "matrices (..., M, N)", f"shape {tuple(A.shape)}"))
    if square and A._data.shape[-1] != A._data.shape[-2]:
        raise RuntimeError(takes(name, "A", "square matrices (..., N, N)", f"shape {tuple(A.shape)}"))
    if A.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(takes(name, "A", "float32 or float64", A.dtype))


def _applied(name: str, node: Node, *inputs: Any) -> Any:
    """Call a node; what LAPACK cannot do is an error of ours."""
    try:
        return node(*inputs)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"`{name}`: {error}") from None


# --- Cholesky --------------------------------------------------------------------------------------------------------


class Cholesky(Node):
    keep_outputs = (0,)

    def forward(self, a: Any) -> Any:
        lower = self.xp.tril(a)
        strict = self.xp.tril(a, -1)
        return self.xp.linalg.cholesky(lower + strict.swapaxes(-1, -2))  # only the lower triangle counts

    def backward(self, g: Tensor) -> Tensor:
        (lower,) = self.saved
        inv = inverse(lower)
        phi = (_transposed(lower) @ g).tril()
        phi = phi - 0.5 * _diagonal(phi)
        s = _transposed(inv) @ phi @ inv
        return 0.5 * (s + _transposed(s))


def _diagonal(x: Tensor) -> Tensor:
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
    _check("cholesky", A, square=True)
    lower = _applied("cholesky", Cholesky(), _transposed(A) if upper else A)
    return _transposed(lower) if upper else lower


# --- eigenvalues of symmetric matrices -------------------------------------------------------------------------------


class Eigh(Node):
    keep_outputs = (0, 1)

    def __init__(self, uplo: str) -> None:
        self.uplo = uplo

    def forward(self, a: Any) -> Any:
        values, vectors = self.xp.linalg.eigh(a, UPLO=self.uplo)
        return values, vectors

    def backward(self, g_values: Tensor, g_vectors: Tensor) -> Tensor:
        values, vectors = self.saved
        t = _transposed(vectors)
        gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
        gaps = gaps + _ones_on_diagonal(gaps)
        inner = t @ g_vectors / gaps
        inner = inner - _diagonal(inner) + g_values.diag_embed()
        return vectors @ inner @ t


def _ones_on_diagonal(like: Tensor) -> Tensor:
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
    _check("eigh", A, square=True)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(takes("eigh", "UPLO", "'L' or 'U'", repr(UPLO)))
    return EighResult(*_applied("eigh", Eigh(UPLO.upper()), A))


@casts
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues, ascending, of symmetric matrices; see :func:`eigh`."""
    return eigh(A, UPLO).eigenvalues


# --- singular values -------------------------------------------------------------------------------------------------


class Svd(Node):
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
        ut, v = _transposed(u), _transposed(vh)
        squares = s * s
        gaps = squares.unsqueeze(-2) - squares.unsqueeze(-1)
        gaps = gaps + _ones_on_diagonal(gaps)
        row, column = s.unsqueeze(-2), s.unsqueeze(-1)
        from_u, from_v = ut @ gu, _transposed(gvh @ v)
        inner = (from_u - _transposed(from_u)) / gaps * row + column * ((from_v - _transposed(from_v)) / gaps)
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
    _check("svd", A)
    return SvdResult(*_applied("svd", Svd(full_matrices), A))


@casts
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, descending."""
    return svd(A, full_matrices=False).S


# --- QR --------------------------------------------------------------------------------------------------------------


class Qr(Node):
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
        gq = gq + a[..., m:] @ _transposed(gv)
        return cat([_qr_backward(q, r[..., :m], gq, gr[..., :m]), q @ gv], -1)


def _qr_backward(q: Tensor, r: Tensor, gq: Tensor, gr: Tensor) -> Tensor:
    inner = r @ _transposed(gr) - _transposed(gq) @ q
    symmetric = inner.tril() + _transposed(inner.tril(-1))
    return (gq + q @ symmetric) @ _transposed(inverse(r))


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
    _check("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(takes("qr", "mode", "'reduced', 'complete' or 'r'", repr(mode)))
    if mode == "r":
        if A.requires_grad:
            raise RuntimeError("`qr`: mode 'r' has no gradient; use 'reduced'")
        return QrResult(A.new_empty(0), Qr("reduced")(A)[1])
    return QrResult(*_applied("qr", Qr(mode), A))


# --- equations -------------------------------------------------------------------------------------------------------


class Solve(Node):
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
        gb = Solve()(_transposed(a), g)
        ga = -(gb @ _transposed(x)) if self.needs_input_grad[0] else None
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
    _check("solve", A, square=True)
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
        return _transposed(_applied("solve", Solve(), _transposed(A), _transposed(b)))
    x = _applied("solve", Solve(), A, b)
    return x.squeeze(-1) if vector else x


@casts
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """:func:`solve` for triangular matrices, of which the other triangle is not read.

    Parameters
    ----------
    unitriangular
        Take the diagonal as 1.
    """
    _check("solve_triangular", A, square=True)
    triangle = A.triu() if upper else A.tril()
    if unitriangular:
        triangle = triangle - _diagonal(triangle) + _ones_on_diagonal(triangle)
    return solve(triangle, B, left=left)


class Pinv(Node):
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
        pt, gt = _transposed(p), _transposed(g)
        if a._data.shape[-2] <= a._data.shape[-1]:
            k = gt @ p
            kp = k @ pt
            return -_transposed(p @ k) + kp - (a @ p) @ kp + (pt @ p) @ (gt - k @ a)
        k = p @ gt
        pk = pt @ k
        return -_transposed(k @ p) + (gt - a @ k) @ p @ pt + pk - (pk @ p) @ a


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
    _check("pinv", A)
    if rtol is None:
        rtol = max(A._data.shape[-2:]) * dtypes.finfo(A.dtype).eps
    return _applied("pinv", Pinv(float(rtol)), A)


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
    _check("lstsq", A)
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
    _check("matrix_rank", A, square=hermitian)
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


# --- the older names of torch ----------------------------------------------------------------------------------------


@method(name="svd")
def legacy_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """``torch.svd``: ``(U, S, V)`` with ``input = U diag(S) V^T``; rather use :func:`deepgpu.linalg.svd`."""
    u, s, vh = svd(input, full_matrices=not some)
    if not compute_uv:
        m, n = input._data.shape[-2:]
        return u.new_zeros(*s.shape[:-1], m, m), s, vh.new_zeros(*s.shape[:-1], n, n)
    return u, s, _transposed(vh)


@method(name="qr")
def legacy_qr(input: Tensor, some: bool = True) -> QrResult:
    """``torch.qr``; rather use :func:`deepgpu.linalg.qr`."""
    return qr(input, "reduced" if some else "complete")


@method(name="cholesky")
def legacy_cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """``torch.cholesky``; rather use :func:`deepgpu.linalg.cholesky`."""
    return cholesky(input, upper=upper)


@method
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """``torch.pinverse``; rather use :func:`deepgpu.linalg.pinv`."""
    return pinv(input, rcond)


@method
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """``X`` with ``A X = input``, given the Cholesky factor of ``A``."""
    _check("cholesky_solve", L, square=True)
    lower = _transposed(L) if upper else L
    half = solve_triangular(lower, input, upper=False)
    return solve_triangular(_transposed(lower), half, upper=True)


@method
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of ``A``, given its Cholesky factor."""
    _check("cholesky_inverse", L, square=True)
    inv = inverse((_transposed(L) if upper else L).tril())
    return _transposed(inv) @ inv
