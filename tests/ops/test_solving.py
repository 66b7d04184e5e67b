"""Equations, pseudo-inverses and ranks against PyTorch's."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, OpEntry, OpTests, Sample
from tests.ops.test_decomposition import any_matrix, entry, library, no_matrix, refusal, spread

DTYPES = ("float64", "float32", "float16", "int64")


def pinv(x, **options):
    return library(x).linalg.pinv(spread(x), **options)


def solve(a, b, **options):
    return library(a).linalg.solve(spread(a), b, **options)


def solve_triangular(a, b, **options):
    return library(a).linalg.solve_triangular(spread(a), b, **options)


def lstsq(a, b, **options):
    return library(a).linalg.lstsq(spread(a), b, **options).solution


def equations(make):
    for a, b in [((3, 3), (3, 2)), ((3, 3), (3,)), ((2, 3, 3), (2, 3)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 1))]:
        yield Sample(make(*a), make(*b))
    yield Sample(make(3, 3), make(2, 3), left=False)
    yield Sample(make(0, 0), make(0, 2))
    yield Sample(make(3, 3), make(3, 0))


def triangles(make):
    for options in ({"upper": True}, {"upper": False, "unitriangular": True}):
        yield Sample(make(3, 3), make(3, 2), **options)
    yield Sample(make(2, 3, 3), make(2, 2, 3), upper=True, left=False)


def overdetermined(make):
    for a, b in [((4, 2), (4, 3)), ((2, 4), (2, 1)), ((2, 3, 3), (2, 3, 2))]:
        yield Sample(make(*a), make(*b))
    yield Sample(make(4, 2), make(4, 1), driver="gelsd")


def wrong_equations(make):
    yield Failure(Sample(make(3, 3), make(2, 2)), "rows")
    yield Failure(Sample(make(2, 3), make(2, 2)), "square")


ENTRIES = [
    entry("pinv", any_matrix, pinv),
    entry("solve", equations, solve),
    entry("solve_triangular", triangles, solve_triangular),
    entry("lstsq", overdetermined, lstsq),
    OpEntry(
        "matrix_rank",
        any_matrix,
        function=dg.linalg.matrix_rank,
        reference="linalg.matrix_rank",
        dtypes=DTYPES,
        differentiable=False,
    ),
]


class TestSolving(OpTests):
    entries = ENTRIES


REFUSALS = [*[refusal(name, no_matrix) for name in ("pinv", "matrix_rank")], refusal("solve", wrong_equations)]


class TestRefusals(OpTests):
    entries = REFUSALS


def test_what_has_no_solution():
    with pytest.raises(dg.linalg.LinAlgError, match="solve"):
        dg.linalg.solve(dg.zeros(2, 2), dg.ones(2))


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3)])
def test_rank_deficient_matrices(shape):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((shape[0], 1)) @ rng.standard_normal((1, shape[1]))
    a, t = dg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    assert dg.linalg.matrix_rank(a).item() == 1
    np.testing.assert_allclose(dg.linalg.pinv(a).detach().numpy(), torch.linalg.pinv(t).detach().numpy(), atol=1e-12)
    b = rng.standard_normal((shape[0], 2))
    ours, theirs = dg.linalg.lstsq(a, dg.tensor(b)), torch.linalg.lstsq(t, torch.tensor(b))
    np.testing.assert_allclose(ours.solution.detach().numpy(), theirs.solution.detach().numpy(), atol=1e-10)
    assert ours.rank.item() == theirs.rank.item() == 1


@pytest.mark.parametrize("driver", [None, "gels", "gelsy", "gelsd", "gelss"])
@pytest.mark.parametrize("shape", [(2, 4, 2), (2, 4), (3, 3)])
def test_what_lstsq_gives_beside_the_solution(driver, shape):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(shape), rng.standard_normal((*shape[:-1], 3))
    ours = dg.linalg.lstsq(dg.tensor(a), dg.tensor(b), driver=driver)
    theirs = torch.linalg.lstsq(torch.tensor(a), torch.tensor(b), driver=driver)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=1e-12)
