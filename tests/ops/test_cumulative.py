"""deepgpu.ops.cumulative against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample

DTYPES = ("float64", "float32", "int64", "bool")
PRECISE = ("float64", "float32")
BOOL_TWIN = {"inplace:bool": "PyTorch takes only bool tensors of one element or none"}


def along(make: Maker) -> Iterator[Sample]:
    for shape, dim in (
        ((5,), 0),
        ((3, 4), 1),
        ((3, 4), -2),
        ((2, 3, 4), 1),
        ((), 0),
        ((0, 3), 0),
        ((2, 0), 1),
        ((1,), -1),
    ):
        yield Sample(make(*shape), dim)


def products(make: Maker) -> Iterator[Sample]:
    yield from along(make)
    yield Sample(make.values([2, 0, 3, 4, 0, 1]), 0)
    yield Sample(make.values([[1, 2], [0, 3], [4, 0]]), 0)


def sums(make: Maker) -> Iterator[Sample]:
    yield from along(make)
    yield Sample(make.values([-1000, 0, 1000, -5]), 0).forward_only()  # PyTorch's gradient is inexact here
    yield Sample(make.special(), 0).forward_only()


def extremes(make: Maker) -> Iterator[Sample]:
    for sample in along(make):
        yield Sample(make.distinct(*sample.args[0].shape), sample.args[1])
    yield Sample(make.values([1, 3, 3, 2, 5]), 0).at_kink()
    yield Sample(make.values([[1, np.nan, 3, np.nan, 0]]) if make.is_floating else make(1, 2), 1).forward_only()


def differences(make: Maker) -> Iterator[Sample]:
    yield Sample(make(5))
    yield Sample(make(3, 4), 2)
    yield Sample(make(3, 4), 1, 0)
    yield Sample(make(3, 4), n=0)
    yield Sample(make(3, 4), 7)
    yield Sample(make(3, 2), 1, -1, make(3, 1), make(3, 2))
    yield Sample(make(0))


def areas(make: Maker) -> Iterator[Sample]:
    yield Sample(make(5))
    yield Sample(make(3, 4), dx=0.5)
    yield Sample(make(3, 4), make(4))
    yield Sample(make(3, 4), make(3, 4), dim=0)
    yield Sample(make(3, 4), make(3), dim=0)


def dim_error(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(2, 3), 2), rf"`{name}`: `dim` takes.*2")

    return errors


def difference_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make()), "`diff`: `input` takes.*0-d")
    yield Failure(Sample(make(3), -1), "`diff`: `n` takes.*-1")


ENTRIES = [
    OpEntry("cumprod", products, dim_error("cumprod"), dtypes=DTYPES, skip=BOOL_TWIN),
    OpEntry("logcumsumexp", sums, dim_error("logcumsumexp"), dtypes=PRECISE),
    OpEntry("cummax", extremes, dim_error("cummax"), dtypes=DTYPES),
    OpEntry("cummin", extremes, dim_error("cummin"), dtypes=DTYPES),
    OpEntry("diff", differences, difference_errors, dtypes=DTYPES),
    OpEntry("trapezoid", areas, dtypes=PRECISE),
    OpEntry("cumulative_trapezoid", areas, dtypes=PRECISE),
]


class TestCumulative(OpTests):
    entries = ENTRIES
