"""deepgpu.ops.placement against PyTorch."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample

DTYPES = ("float64", "float32", "int64")


def taken(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), np.array([[0, 5], [-1, 5]]))
    yield Sample(make(), np.array([0, 0]))
    yield Sample(make(3), np.array(2))
    yield Sample(make(3), np.array([], np.int64))


def take_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), np.array([3])), r"`take`: `index` takes positions in -3\.\.2.*3")


def stored(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), np.array([0, 5, -1]), make(3))
    yield Sample(make(3, 4), np.array([[1], [1]]), make(2), accumulate=True)
    yield Sample(make(3), np.array(2), make())


def store_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), np.array([0, 1]), make(3)), "`put`: `source` takes 2 elements.*3")
    yield Failure(Sample(make(3), np.array([0]), np.ones(1, np.float32)), "`put`: `source` takes.*float32")


def copied(make: Maker) -> Iterator[Sample]:
    yield Sample(make(4, 3), 0, np.array([2, 0]), make(2, 3))
    yield Sample(make(2, 3, 4), -1, np.array([3, 1]), make(2, 3, 2))
    yield Sample(make(3), 0, np.array([1]), make(1))
    yield Sample(make(), 0, np.array([0]), make(1))


def copy_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(4, 3), 0, np.array([4]), make(1, 3)), r"`index_copy`: `index` takes positions 0\.\.3")
    yield Failure(Sample(make(4, 3), 0, np.array([0]), make(1, 2)), r"`index_copy`: `source` takes shape \(1, 3\)")


def filled(make: Maker) -> Iterator[Sample]:
    yield Sample(make(4, 3), 0, np.array([2, 0]), 5)
    yield Sample(make(4, 3), 1, np.array([2]), make())
    yield Sample(make(), 0, np.array([0]), -1)


def fill_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), 0, np.array([0]), make(2)), r"`index_fill`: `value` takes.*\(2,\)")


def masked(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make.mask(3, 4), make(3, 4))
    yield Sample(make(3, 4), make.mask(4), make(20))
    yield Sample(make(3), make.mask(2, 3), make(2, 3)).forward_only()
    yield Sample(make(), np.array(True), make(1))


def mask_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), np.ones(3, bool), make(2)), "`masked_scatter`: `source` takes at least 3.*2")
    yield Failure(Sample(make(3), np.ones(3), make(3)), "`masked_scatter`: `mask` takes a bool")


def reduced(make: Maker) -> Iterator[Sample]:
    index = np.array([[0, 1, 0], [2, 1, 0]])
    for how in ("sum", "prod", "mean", "amax", "amin"):
        for include in (True, False):
            yield Sample(
                make.values(make.distinct(3, 3) + 0.1), 0, index, make.distinct(2, 3) * 2, how, include_self=include
            )
            yield Sample(
                make.values(make.distinct(3) + 0.1), 0, np.array([1, 1]), make.distinct(2), how, include_self=include
            )
        yield Sample(make.values(make.distinct(2, 4) + 0.1), -1, index, make.distinct(2, 3) * 2, reduce=how)
    ones = make.values([1, 0, 0, 2])
    yield Sample(ones, 0, np.array([0, 1, 2, 2]), make.values([0, 3, 0, 5]), "prod").gradient_only()
    yield Sample(ones, 0, np.array([0, 0, 2, 2]), make.values([1, 1, 0, 5]), "amax").at_kink()


def reduction_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), 0, np.array([0]), make(1), "median"), "`scatter_reduce`: `reduce` takes.*'median'")
    yield Failure(
        Sample(make(3), 0, np.array([0]), np.ones(1, np.float32), "sum"), "`scatter_reduce`: `src` takes.*float32"
    )


def rows_reduced(make: Maker) -> Iterator[Sample]:
    index = np.array([2, 0, 2])
    for how in ("prod", "mean", "amax", "amin"):
        for include in (True, False):
            x = make.values(make.distinct(4, 2) + 0.1)
            yield Sample(x, 0, index, make.values(make.distinct(3, 2) * 2 + 3.05), how, include_self=include)
        x = make.values(make.distinct(2, 4) + 0.1)
        yield Sample(x, -1, np.array([1], np.int32), make.distinct(2, 1) * 2, reduce=how)
        yield Sample(x, 0, np.zeros(0, np.int64), make(0, 4), how)


def row_errors(make: Maker) -> Iterator[Failure]:
    x, two = make(3, 2), np.array([0, 1])
    yield Failure(Sample(x, 0, two, make(2, 2), "sum"), "`index_reduce`: `reduce` takes.*'sum'")
    yield Failure(Sample(x, 0, two[None], make(2, 2), "mean"), "`index_reduce`: `index` takes a vector")
    yield Failure(Sample(x, 0, two, make(3, 2), "mean"), r"`index_reduce`: `source` takes shape \(2, 2\)")
    yield Failure(Sample(x, 0, two + 2, make(2, 2), "mean"), "`index_reduce`: `index` takes positions 0..2")
    yield Failure(Sample(x, 0, two, np.ones((2, 2), np.float32), "amax"), "`index_reduce`: `source` takes.*float32")


def their_index_reduce(*args: Any, **kwargs: Any) -> Any:
    """PyTorch's, without its warning that it is a beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.index_reduce(*args, **kwargs)


def selected(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make(4), 0, 1)
    yield Sample(make(3, 4), make(3), -1, -2)


def sliced(make: Maker) -> Iterator[Sample]:
    yield Sample(make(5, 2), make(2, 2), 0, 1, 4, 2)
    yield Sample(make(2, 5), make(2, 3), 1, 2)


def on_diagonal(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make(3))
    yield Sample(make(3, 4), make(2), -1)
    yield Sample(make(2, 3, 3), make(2, 3), 0, 1, 2)


ENTRIES = [
    OpEntry("take", taken, take_errors, dtypes=DTYPES, layouts=("transposed",)),
    OpEntry("put", stored, store_errors, dtypes=DTYPES, layouts=("transposed",)),
    OpEntry("index_copy", copied, copy_errors, dtypes=DTYPES, layouts=("transposed",)),
    OpEntry("index_fill", filled, fill_errors, dtypes=DTYPES, layouts=("transposed",)),
    OpEntry("masked_scatter", masked, mask_errors, dtypes=DTYPES, layouts=("transposed",)),
    OpEntry(
        "scatter_reduce",
        reduced,
        reduction_errors,
        dtypes=DTYPES[:2],
        layouts=(),
        domain=(0.5, 2.0),
        skip={"inplace": "the result of a reduction is tested out of place"},
    ),
    OpEntry(
        "index_reduce",
        rows_reduced,
        row_errors,
        reference=their_index_reduce,
        dtypes=DTYPES[:2],
        layouts=("transposed",),
        skip={"inplace": "tested below: PyTorch's warns that it is a beta"},
    ),
    OpEntry("select_scatter", selected, dtypes=DTYPES, layouts=("transposed",)),
    OpEntry("slice_scatter", sliced, dtypes=DTYPES, layouts=("transposed",)),
    OpEntry("diagonal_scatter", on_diagonal, dtypes=DTYPES, layouts=("transposed",)),
]


class TestPlacement(OpTests):
    entries = ENTRIES


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("how", ["prod", "mean", "amax"])
def test_index_reduce_in_place(how: str) -> None:
    grads = []
    for lib in (torch, dg):
        x = lib.tensor([[1.0, 2.5], [3.0, -1.0]], dtype=lib.float64).requires_grad_()
        source = lib.tensor([[2.0, 0.5], [4.0, 3.0]], dtype=lib.float64).requires_grad_()
        y = x.clone()
        assert y.index_reduce_(0, lib.tensor([1, 1]), source, how) is y
        (y * y).sum().backward()
        grads.append([t.detach().numpy() for t in (y, x.grad, source.grad)])
    for expected, actual in zip(*grads, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (7, 3), (2, 2, 2)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal(shape: tuple[int, ...], wrap: bool) -> None:
    ours, theirs = dg.zeros(*shape), torch.zeros(*shape)
    assert ours.fill_diagonal_(2.5, wrap) is ours
    np.testing.assert_array_equal(ours.numpy(), theirs.fill_diagonal_(2.5, wrap).numpy())
