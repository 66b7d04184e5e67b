"""deepgpu.ops.statistics against PyTorch."""

from collections.abc import Iterator

import numpy as np

from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import reduction, reduction_of_one

PRECISE = ("float64", "float32")
NAN = float("nan")


def spreads(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4))
    yield Sample(make(3, 4), False)
    for dim in (0, -1, (0, 2)):
        yield Sample(make(2, 3, 4), dim)
        yield Sample(make(2, 3, 4), dim=dim, correction=0, keepdim=True)
    yield Sample(make(3, 4), correction=2)


def extremes(make: Maker) -> Iterator[Sample]:
    for sample in reduction_of_one(make):
        yield Sample(make.distinct(*sample.args[0].shape), **sample.kwargs)


def extreme_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(0, 2)), r"`aminmax`.*\(0, 2\)")


def with_nan(make: Maker) -> Iterator[Sample]:
    yield from reduction(make)
    if make.is_floating:
        yield Sample(make.values([[1, NAN, 3], [NAN, NAN, NAN]]), 1).forward_only()
        yield Sample(make.values([[1, NAN, 3], [4, NAN, 2]])).at_kink()


def whole_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(np.arange(3)), "`nanmean`: `input` takes.*int64")


def counts(make: Maker) -> Iterator[Sample]:
    yield Sample(make.values([1, 0, 3, 1]))
    yield Sample(make.values([1, 0, 3, 1]), np.array([0.5, 1, 2, 0.25]))
    yield Sample(make.values([1, 0]), np.array([0.5, 1], np.float32), minlength=4)
    yield Sample(make.values([1, 0]), minlength=5)
    yield Sample(make(0))


def count_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(np.array([1, -2])), "`bincount`: `input` takes.*-2")
    yield Failure(Sample(np.ones((2, 2), int)), r"`bincount`: `input` takes a vector.*\(2, 2\)")
    yield Failure(Sample(np.ones(2, int), minlength=-1), "`bincount`: `minlength` takes.*-1")
    yield Failure(Sample(np.ones(2, int), np.ones(3)), r"`bincount`: `weights` takes.*\(2,\).*\(3,\)")


def bars(make: Maker) -> Iterator[Sample]:
    x = make(50)
    yield Sample(x)
    yield Sample(x, 5)
    yield Sample(x.reshape(5, 10), bins=4, min=-1, max=1.5)
    yield Sample(make.values([1, 1, 1]), 3)
    yield Sample(make(0), 3)


def bar_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), 0), "`histc`: `bins` takes.*0")
    yield Failure(Sample(make(3), 3, 2, 1), "`histc`: `max` takes.*1")


def variables(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 6))
    yield Sample(make(6))


def weighted(make: Maker) -> Iterator[Sample]:
    yield from variables(make)
    yield Sample(make(3, 6), correction=0)
    yield Sample(make(3, 4), fweights=np.array([1, 2, 0, 3]))
    yield Sample(make(3, 4), aweights=make(4, low=0.2), correction=1)
    yield Sample(make(3, 4), fweights=np.array([1, 2, 1, 3]), aweights=make(4, low=0.2))


def shape_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 3, 4)), r"`cov`: `input` takes.*\(2, 3, 4\)")


ENTRIES = [
    OpEntry("var_mean", spreads, dtypes=PRECISE),
    OpEntry("std_mean", spreads, dtypes=PRECISE),
    OpEntry("aminmax", extremes, extreme_errors, dtypes=(*PRECISE, "int64")),
    OpEntry("nansum", with_nan, dtypes=(*PRECISE, "int64", "bool")),
    OpEntry("nanmean", with_nan, whole_errors, dtypes=PRECISE),
    OpEntry("bincount", counts, count_errors, dtypes=("int64", "uint8"), differentiable=False),
    OpEntry("histc", bars, bar_errors, dtypes=PRECISE, differentiable=False),
    OpEntry("cov", weighted, shape_errors, dtypes=PRECISE, constants=("fweights", "aweights")),
    OpEntry("corrcoef", variables, dtypes=PRECISE, tolerances={"float64": (1e-9, 1e-10), "float32": (1e-5, 2e-5)}),
]


class TestStatistics(OpTests):
    entries = ENTRIES
