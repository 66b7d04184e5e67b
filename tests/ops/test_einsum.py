"""deepgpu.ops.einsum against PyTorch."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample


def equations(make: Maker) -> Iterator[Sample]:
    a, b = (3, 4), (4, 5)
    yield Sample("ij,jk->ik", make(*a), make(*b))
    yield Sample("ij,jk", make(*a), make(*b))
    yield Sample("ij,jk->ki", make(*a), make(*b))
    yield Sample("ij->ji", make(*a))
    yield Sample("ij->", make(*a))
    yield Sample("ii", make(3, 3))
    yield Sample("ii->i", make(3, 3))
    yield Sample("i,j->ij", make(3), make(2))
    yield Sample("i,i", make(3), make(3))
    yield Sample("bij,bjk->bik", make(2, 3, 4), make(2, 4, 3))
    yield Sample("bij,bj->bi", make(2, 3, 4), make(1, 4))
    yield Sample("...ij,...jk->...ik", make(2, 3, 4), make(4, 3))
    yield Sample("...ij,jk", make(2, 2, 3, 4), make(4, 3))
    yield Sample("b...,b...->...", make(2, 3), make(2, 3))
    yield Sample("ijk,jl,kl->il", make(2, 3, 2), make(3, 2), make(2, 2))
    yield Sample("ab,bc,cd,de->ae", make(2, 3), make(3, 2), make(2, 4), make(4, 2))
    yield Sample("iij,j->i", make(3, 3, 2), make(2))
    yield Sample("i,->i", make(3), make())
    yield Sample("ij,ij->ij", make(2, 3), make(2, 3))
    yield Sample("ij,jk->ik", make(0, 4), make(4, 2))
    yield Sample(make(2, 3), [0, 1], make(3, 2), [1, 2], [0, 2])
    yield Sample(make(2, 3), [0, 1], make(3, 2), [1, 2])


def equation_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample("ij,jk->ik", make(3, 4)), "`einsum`: `equation` takes 1 operands.*2")
    yield Failure(Sample("ij->ik", make(3, 4)), "`einsum`: `equation` takes indices of the operands.*'k'")
    yield Failure(Sample("ijk->i", make(3, 4)), r"`einsum`: `equation` takes 2 indices.*operands\[0\].*'ijk'")
    yield Failure(Sample("ij,jk->ik", make(3, 4), make(5, 2)), r"`einsum`: `operands` takes one size.*'j'.*\(5, 2\)")
    yield Failure(Sample("i1->i", make(3, 4)), "`einsum`: `equation` takes letters.*'1'")


def dots(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3, 4), make(3, 4, 2))
    yield Sample(make(2, 3), make(3, 2), 1)
    yield Sample(make(2), make(3), 0)
    yield Sample(make(2, 3, 4), make(4, 2, 3), ([0, 2], [1, 0]))
    yield Sample(make(2, 3), make(2, 3), dims=[[0, -1], [0, -1]])


def dot_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 3), make(2, 3), 1), r"`tensordot`: `dims` takes.*\(2, 3\)")


DTYPES = ("float64", "float32")
ENTRIES = [
    OpEntry("einsum", equations, equation_errors, dtypes=DTYPES, layouts=("transposed",)),
    OpEntry("tensordot", dots, dot_errors, dtypes=DTYPES, layouts=("transposed",)),
]


class TestEinsum(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize(
    "equation",
    ["abc,cd,de,ef,bg->afg", "ab,bc,cd,de,ef,fg->ag", "a,b,c,d->abcd", "abcd,bd,ac->", "ab,ab,ab,ab->b"],
)
def test_many_operands(equation: str) -> None:
    rng = np.random.default_rng(0)
    sizes = dict(zip("abcdefg", (2, 3, 4, 2, 3, 2, 3), strict=True))
    arrays = [rng.standard_normal([sizes[c] for c in t]) for t in equation.split("->")[0].split(",")]
    ours = dg.einsum(equation, *[dg.tensor(x) for x in arrays])
    theirs = torch.einsum(equation, *[torch.tensor(x) for x in arrays])
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12)
