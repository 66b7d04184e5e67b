"""Decompositions against PyTorch's. Signs of vectors are free, so what does not depend on them is compared."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, OpEntry, OpTests, Sample

SHAPES = [(3, 3), (1, 1), (2, 4, 4), (0, 3, 3), (2, 1, 2, 2)]
WIDE = [(3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 1, 2, 3), (0, 3, 2)]
LOOSE = {"float64": (1e-7, 1e-8), "float32": (2e-3, 2e-4)}


def definite(t, x):
    """A symmetric positive-definite matrix made of any square one."""
    return x @ x.transpose(-1, -2) + t.eye(x.shape[-1], dtype=x.dtype, device=x.device)


def library(x):
    return dg if isinstance(x, dg.Tensor) else torch


def spread(x):
    """A matrix with well-separated singular values, whatever `x` is."""
    t = library(x)
    n = min(x.shape[-2:])
    weights = 3.0 * t.arange(1, n + 1, dtype=x.dtype, device=x.device).diag_embed()
    rows, cols = x.shape[-2:]
    if rows > n:
        weights = t.cat([weights, t.zeros(rows - n, n, dtype=x.dtype, device=x.device)], -2)
    if cols > n:
        weights = t.cat([weights, t.zeros(n, cols - n, dtype=x.dtype, device=x.device)], -1)
    return x * 0.3 + weights


def cholesky(x, **options):
    return library(x).linalg.cholesky(definite(library(x), x), **options)


def eigh(x, **options):
    values, vectors = library(x).linalg.eigh(spread(x) + spread(x).transpose(-1, -2), **options)
    return values, vectors.abs(), (vectors * values.unsqueeze(-2).sin()) @ vectors.transpose(-1, -2)


def eigvalsh(x):
    return library(x).linalg.eigvalsh(spread(x) + spread(x).transpose(-1, -2))


def svd(x, **options):
    u, s, vh = library(x).linalg.svd(spread(x), **options)
    k = s.shape[-1]
    return u[..., :k].abs(), s, vh[..., :k, :].abs(), (u[..., :k] * s.unsqueeze(-2).sin()) @ vh[..., :k, :]


def legacy_svd(x, **options):
    u, s, v = library(x).svd(spread(x), **options)
    return u.abs(), s, v.abs()


def svdvals(x):
    return library(x).linalg.svdvals(spread(x))


def qr(x, **options):
    q, r = library(x).linalg.qr(spread(x), **options)
    return q.abs(), r.abs(), q @ (r + 0 * r)


def squares(make):
    yield from (Sample(make(*s)) for s in SHAPES)


def any_matrix(make):
    yield from (Sample(make(*s)) for s in WIDE)


def one_argument(**options):
    def samples(make):
        yield Sample(make(3, 3), **options)

    return samples


def no_square(make):
    yield Failure(Sample(make(2, 3)), "square")
    yield Failure(Sample(make(3)), "matrices")


def no_matrix(make):
    yield Failure(Sample(make(3)), "matrices")


def entry(name, samples, function, *dtypes, variant=""):
    dtypes = dtypes or ("float64", "float32")
    layouts = ("transposed", "sliced")  # PyTorch's lstsq does not get on with memory that `expand` made
    options = {"variant": variant, "dtypes": dtypes, "tolerances": LOOSE, "layouts": layouts}
    return OpEntry(name, samples, function=function, reference=function, **options)


def complete(make):
    yield from (Sample(make(*s), mode="complete") for s in ((2, 3), (3, 3)))


def reduced(make):
    yield Sample(make(3, 2), full_matrices=False)


ENTRIES = [
    entry("cholesky", squares, cholesky),
    entry("cholesky", one_argument(upper=True), cholesky, "float64", variant="upper"),
    entry("eigh", squares, eigh),
    entry("eigh", one_argument(UPLO="U"), eigh, "float64", variant="upper"),
    entry("eigvalsh", squares, eigvalsh),
    entry("svd", any_matrix, svd),
    entry("svd", reduced, svd, "float64", variant="reduced"),
    entry("svd", any_matrix, legacy_svd, "float64", variant="legacy"),
    entry("svdvals", any_matrix, svdvals),
    entry("qr", any_matrix, qr),
    entry("qr", complete, qr, "float64", variant="complete"),
]


class TestDecompositions(OpTests):
    entries = ENTRIES


def refusal(name, errors):
    options = {"variant": "refusals", "reference": f"linalg.{name}", "dtypes": ("float64",), "differentiable": False}
    return OpEntry(name, lambda make: [], errors, function=getattr(dg.linalg, name), **options)


REFUSALS = [
    *[refusal(name, no_square) for name in ("cholesky", "eigh", "eigvalsh")],
    *[refusal(name, no_matrix) for name in ("svd", "qr")],
]


class TestRefusals(OpTests):
    entries = REFUSALS


def test_what_is_not_positive_definite():
    with pytest.raises(dg.linalg.LinAlgError, match="positive definite"):
        dg.linalg.cholesky(-dg.eye(2))
    assert issubclass(dg.linalg.LinAlgError, RuntimeError)


def test_qr_without_q():
    x = dg.randn(3, 2)
    q, r = dg.linalg.qr(x, mode="r")
    assert q.numel() == 0
    np.testing.assert_allclose(r.numpy(), dg.linalg.qr(x).R.numpy())
    with pytest.raises(RuntimeError, match="no gradient"):
        dg.linalg.qr(x.requires_grad_(), mode="r")


@pytest.mark.parametrize("ord", ["nuc", 2, -2])
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [(-2, -1), (0, 2)])
def test_norms_by_singular_values(ord, keepdim, dim):
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    ours = dg.linalg.matrix_norm(dg.tensor(x), ord, dim, keepdim)
    theirs = torch.linalg.matrix_norm(torch.tensor(x), ord, dim, keepdim)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("p", [None, 2, -2, 1, "fro"])
def test_condition_numbers(p):
    x = np.random.default_rng(0).standard_normal((2, 3, 3))
    np.testing.assert_allclose(dg.linalg.cond(dg.tensor(x), p).numpy(), torch.linalg.cond(torch.tensor(x), p).numpy())


def test_the_older_names():
    x = np.random.default_rng(0).standard_normal((3, 3))
    a, t = dg.tensor(x @ x.T + np.eye(3)), torch.tensor(x @ x.T + np.eye(3))
    lower = dg.cholesky(a)
    np.testing.assert_allclose(lower.numpy(), torch.linalg.cholesky(t).numpy())
    np.testing.assert_allclose(a.cholesky(upper=True).numpy(), lower.T.numpy())
    b = dg.tensor(x[:, :2].copy())
    solution = torch.cholesky_solve(torch.tensor(x[:, :2].copy()), torch.tensor(lower.numpy()))
    np.testing.assert_allclose(dg.cholesky_solve(b, lower).numpy(), solution.numpy())
    np.testing.assert_allclose(dg.cholesky_inverse(lower).numpy(), np.linalg.inv(a.numpy()))
    np.testing.assert_allclose(dg.pinverse(b).numpy(), np.linalg.pinv(b.numpy()))
    q, r = dg.qr(b)
    np.testing.assert_allclose((q @ r).numpy(), b.numpy())
    np.testing.assert_allclose(dg.linalg.vecdot(a, a).numpy(), (a.numpy() ** 2).sum(-1))
    assert dg.linalg.diagonal(a).tolist() == a.diagonal().tolist()
