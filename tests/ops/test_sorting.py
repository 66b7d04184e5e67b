"""deepgpu.ops.sorting against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import reduction_of_one

KINDS = ("float64", "float32", "bfloat16", "int64", "uint8", "bool")
PRECISE = ("float64", "float32")
NAN = float("nan")


def orders(make: Maker) -> Iterator[Sample]:
    """Sorting keeps the order of equal elements, as PyTorch's does if it is asked to."""
    for shape, dim in (((5,), 0), ((3, 4), 1), ((3, 4), -2), ((2, 3, 4), 1), ((), 0), ((0, 3), 0), ((2, 0), 1)):
        for descending in (False, True):
            yield Sample(make.distinct(*shape), dim, descending)
    yield Sample(make.values([[2, 1, 2, 1, 0, 2]]), descending=True, stable=True).at_kink()
    yield Sample(make.values([2, 1, 2, 1, 0, 2]), stable=True).at_kink()
    if make.is_floating:
        yield Sample(make.values([1, NAN, -np.inf, 2, np.inf]), stable=True).forward_only()
        yield Sample(make.values([1, NAN, -np.inf, 2, np.inf]), descending=True, stable=True).forward_only()


def dim_errors(name: str, *rest: Any) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(2, 3), *rest, dim=2), rf"`{name}`: `dim` takes.*2")

    return errors


def largest(make: Maker) -> Iterator[Sample]:
    for shape, dim in (((5,), 0), ((3, 4), 1), ((4, 3), -2), ((2, 3, 4), 1)):
        for k in (0, 1, 3):
            yield Sample(make.distinct(*shape), k, dim)
            yield Sample(make.distinct(*shape), k, dim, largest=False)
    yield Sample(make(), 1)
    if make.is_floating:
        yield Sample(make.values([1, NAN, -np.inf, 2]), 2).forward_only()


def largest_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 3), 4), r"`topk`: `k` takes.*0\.\.3.*4")
    yield Failure(Sample(make(2, 3), 1, 5), "`topk`: `dim`.*5")


def kth(make: Maker) -> Iterator[Sample]:
    for k in (1, 2, 4):
        yield Sample(make.distinct(3, 4), k)
        yield Sample(make.distinct(4, 3, 2), k, 0, True)
    yield Sample(make(), 1)


def kth_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 3), 4), r"`kthvalue`: `k` takes.*1\.\.3.*4")
    yield Failure(Sample(make(2, 3), 0), r"`kthvalue`: `k` takes.*1\.\.3.*0")
    yield Failure(Sample(make(2, 0), 1), r"`kthvalue`.*\(2, 0\)")


def medians(make: Maker) -> Iterator[Sample]:
    for sample in reduction_of_one(make):
        yield Sample(make.distinct(*sample.args[0].shape), **sample.kwargs)
    yield Sample(make.distinct(5))
    yield Sample(make.values([1, 2, 2, 3])).at_kink()
    if make.is_floating:
        yield Sample(make(0)).forward_only()
        table = make.values([[1, NAN, 3, 0], [4, 2, 6, 5], [NAN, NAN, NAN, NAN]])
        yield Sample(table).forward_only()
        yield Sample(table[:2]).forward_only()


def median_of_rows(make: Maker) -> Iterator[Sample]:
    yield Sample(make.values([[1, NAN, 3, 0], [4, 2, 6, 5], [7, 8, 9, NAN]]), 1).forward_only()


def frequent(make: Maker) -> Iterator[Sample]:
    yield Sample(make.values([[1, 2, 2, 3, 3], [0, 5, 5, 5, 1]])).at_kink()
    yield Sample(make.values([[1, 2], [1, 3], [0, 3]]), 0, True).at_kink()
    yield Sample(make.distinct(2, 3, 2), 1)
    yield Sample(make())


def quantiles(make: Maker) -> Iterator[Sample]:
    for how in ("linear", "lower", "higher", "midpoint", "nearest"):
        yield Sample(make.distinct(7), 0.3, interpolation=how)
        yield Sample(make.distinct(3, 4), make.values([0, 0.25, 0.6, 1]), 1, interpolation=how)
        yield Sample(make.distinct(3, 4), make.values([0.4]), 0, True, interpolation=how)
    yield Sample(make.distinct(2, 3), make.values([0.1, 0.9]))
    yield Sample(make.distinct(2, 3), 0.5, keepdim=True)
    yield Sample(make.distinct(2, 3), make.values([0.1, 0.9]), keepdim=True)
    yield Sample(make(), 0.5)
    yield Sample(make.values([[1, NAN, 2, 5], [3, 1, 4, 2]]), make.values([0.2, 1]), 1).forward_only()


def quantile_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), 1.5), r"`quantile`: `q` takes.*\[0, 1\].*1.5")
    yield Failure(Sample(make(3), 0.5, interpolation="cubic"), "`quantile`: `interpolation` takes.*'cubic'")
    yield Failure(Sample(np.arange(3), 0.5), "`quantile`: `input` takes.*int64")
    yield Failure(Sample(make(0), 0.5), r"`quantile`: `input` takes.*\(0,\)")
    yield Failure(Sample(make(3), np.ones(1, np.float32)), "`quantile`: `q` takes.*float64.*float32")


def repeated(make: Maker) -> Iterator[Sample]:
    for x in (make.values([3, 1, 1, 2, 3, 3]), make.values([[1, 0], [1, 0], [0, 1], [1, 0]]), make(0)):
        yield Sample(x)
        yield Sample(x, return_inverse=True, return_counts=True)
        yield Sample(x, return_counts=True)
    yield Sample(make.values([[1, 0], [1, 0], [0, 1]]), dim=0, return_inverse=True, return_counts=True)
    yield Sample(make.values([[1, 1, 0], [2, 2, 0]]), dim=1)


def places(make: Maker) -> Iterator[Sample]:
    ordered = make.values([0, 1, 1, 3])
    for right in (False, True):
        yield Sample(ordered, make.values([[0, 1], [2, 5]]), right=right)
        yield Sample(make.values([[0, 1, 2], [1, 2, 3]]), make.values([[1, 5], [1, 0]]), right=right)
    yield Sample(ordered, make.values([1]), side="right", out_int32=True)
    yield Sample(make.values([3, 0, 1]), make.values([2]), sorter=np.array([1, 2, 0]))
    yield Sample(ordered, 2)


def place_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), make(2), side="middle"), "`searchsorted`: `side`.*'middle'")
    yield Failure(Sample(make(2, 3), make(3, 3)), r"`searchsorted`: `values` takes.*\(2,\).*\(3, 3\)")


def buckets(make: Maker) -> Iterator[Sample]:
    yield Sample(make.values([[0, 1], [2, 5]]), make.values([0, 1, 3]))
    yield Sample(make.values([1, 3]), make.values([0, 1, 3]), right=True, out_int32=True)


def bucket_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), make(2, 2)), r"`bucketize`: `boundaries` takes a vector.*\(2, 2\)")


def members(make: Maker) -> Iterator[Sample]:
    yield Sample(make.values([[1, 2], [3, 4]]), make.values([2, 4, 7]))
    yield Sample(make.values([1, 2]), make.values([2]), invert=True)
    yield Sample(make.values([1, 2]), 2)
    yield Sample(2, make.values([1, 2]))


def counted(make: Maker) -> Iterator[Sample]:
    yield Sample(make.values([[1, 0], [0, 2]]))
    yield Sample(make.values(3))
    yield Sample(make(0))


def entry(name: str, samples: Callable[[Maker], Iterator[Sample]], errors: Any = None, **kwargs: Any) -> OpEntry:
    return OpEntry(name, samples, errors, **{"dtypes": KINDS, "layouts": ("transposed",), **kwargs})


ENTRIES = [
    entry("sort", orders, dim_errors("sort")),
    entry("argsort", orders, dim_errors("argsort"), differentiable=False),
    entry("msort", lambda make: iter([Sample(make.distinct(3, 4)), Sample(make.distinct(5))])),
    entry("topk", largest, largest_errors, dtypes=("float64", "float32", "int64")),
    entry("kthvalue", kth, kth_errors, dtypes=("float64", "float32", "int64")),
    entry("median", medians, dim_errors("median"), dtypes=("float64", "float32", "int64")),
    entry("median", median_of_rows, variant="nan", dtypes=PRECISE, differentiable=False),
    entry("nanmedian", medians, dtypes=("float64", "float32", "int64")),
    entry("nanmedian", median_of_rows, variant="nan", dtypes=PRECISE, differentiable=False),
    entry("mode", frequent, dim_errors("mode"), dtypes=("float64", "float32", "int64")),
    entry("quantile", quantiles, quantile_errors, dtypes=PRECISE, constants=(1,)),
    entry("nanquantile", quantiles, dtypes=PRECISE, constants=(1,)),
    entry("unique", repeated, differentiable=False),
    entry("unique_consecutive", repeated, differentiable=False),
    entry("searchsorted", places, place_errors, differentiable=False, dtypes=("float64", "int64"), layouts=()),
    entry("bucketize", buckets, bucket_errors, differentiable=False, dtypes=("float64", "int64"), layouts=()),
    entry("isin", members, differentiable=False, dtypes=("float64", "float32", "int64")),
    entry("argwhere", counted, differentiable=False, dtypes=(*FLOATING, "int64", "bool")),
]


class TestSorting(OpTests):
    entries = ENTRIES


def test_results_are_named() -> None:
    x = dg.tensor([2.0, 1.0])
    for found in (x.sort(), x.topk(1), x.kthvalue(1), x.median(0), x.mode()):
        assert found.values is found[0]
        assert found.indices is found[1]


def test_large_and_random() -> None:
    x = np.random.default_rng(0).standard_normal((40, 300)).astype(np.float32)
    ours, theirs = dg.tensor(x), torch.tensor(x)
    for a, b in zip(ours.topk(7), theirs.topk(7), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(ours.sort(0, True), theirs.sort(0, True), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("dim", [None, 0])
def test_all_nan_has_no_median(dim: int | None) -> None:
    x = dg.full((3,), NAN)
    found = x.nanmedian() if dim is None else x.nanmedian(dim)[0]
    assert np.isnan(found.item())


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
def test_topk_of_many(dtype: str, dim: int, largest: bool) -> None:
    """A few of many are selected before they are sorted."""
    values = np.random.default_rng(0).permutation(60 * 70 * 50).reshape(60, 70, 50) % 2000
    values = values.astype(np.float32)
    if dtype.startswith("float"):
        values[3, 4, 5:9], values[7, 8, 9], values[10, 11, 12] = np.nan, np.inf, -np.inf
    ours, theirs = dg.tensor(values).to(getattr(dg, dtype)), torch.tensor(values).to(getattr(torch, dtype))
    (found, places), (judge, _) = ours.topk(4, dim, largest), theirs.topk(4, dim, largest)
    np.testing.assert_array_equal(found.tolist(), judge.tolist())
    np.testing.assert_array_equal(ours.gather(dim, places).tolist(), judge.tolist())
    ordered = np.sort(places.numpy(), axis=dim)
    assert (np.diff(ordered, axis=dim) > 0).all()  # no element twice
