"""deepgpu.ops.embedding against PyTorch."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample

ROWS = np.array([[0, 2, 2], [4, 1, 0]])


def lookups(make: Maker) -> Iterator[Sample]:
    yield Sample(ROWS, make(5, 3))
    yield Sample(np.array(3), make(5, 3))
    yield Sample(ROWS, make(5, 3), 2).at_kink()  # the gradient leaves out the padding's row
    yield Sample(ROWS, make(5, 3), padding_idx=-1).at_kink()
    yield Sample(ROWS, make(5, 3), scale_grad_by_freq=True).gradient_only()
    yield Sample(np.zeros((0, 2), np.int64), make(5, 3)).gradient_only()


def lookup_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(np.array([5]), make(5, 3)), r"`embedding`: `index` takes positions 0\.\.4.*5")
    yield Failure(Sample(np.array([0.5]), make(5, 3)), "`embedding`: `index` takes.*float64")


def bags(make: Maker) -> Iterator[Sample]:
    for mode in ("sum", "mean", "max"):
        yield Sample(ROWS, make.distinct(5, 3), mode=mode).gradient_only()
        flat = ROWS.reshape(-1)
        yield Sample(flat, make.distinct(5, 3), np.array([0, 2, 2, 5]), mode=mode).gradient_only()
        ends = np.array([0, 2, 6])
        yield Sample(flat, make.distinct(5, 3), ends, mode=mode, include_last_offset=True).gradient_only()
        yield Sample(ROWS, make.distinct(5, 3), mode=mode, padding_idx=2).gradient_only()
    yield Sample(ROWS, make(5, 3), mode="sum", per_sample_weights=make(2, 3)).gradient_only()


PRECISE = ("float64", "float32")
ENTRIES = [
    OpEntry("embedding", lookups, lookup_errors, dtypes=PRECISE, layouts=("transposed",)),
    OpEntry("embedding_bag", bags, dtypes=PRECISE, layouts=(), double_backward=False),
]


class TestEmbedding(OpTests):
    entries = ENTRIES


def test_rows_are_limited_in_place() -> None:
    table = np.random.default_rng(0).standard_normal((5, 3)) * 3
    ours, theirs = dg.tensor(table), torch.tensor(table)
    mine = F.embedding(dg.tensor([1, 3, 1]), ours, max_norm=1.5)
    other = torch.nn.functional.embedding(torch.tensor([1, 3, 1]), theirs, max_norm=1.5)
    np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-6)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"sparse": True}, NotImplementedError, "`sparse` takes False"),
        ({"padding_idx": 7}, AssertionError, r"`padding_idx` takes a row in -5\.\.4.*7"),
    ],
)
def test_what_is_refused(options: dict, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"`embedding`: {message}"):
        F.embedding(dg.tensor([0]), dg.zeros(5, 3), **options)
