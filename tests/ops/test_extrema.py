"""deepgpu.ops.extrema against PyTorch."""

from collections.abc import Iterator
from typing import Any

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import reduction, reduction_of_one


def extrema(make: Maker) -> Iterator[Sample]:
    for sample in reduction(make):
        yield Sample(make.distinct(*sample.args[0].shape), **sample.kwargs)
    yield Sample(make.values([[1, 2, 2], [3, 3, 3]])).at_kink()
    yield Sample(make.values([[1, 2, 2], [3, 3, 3]]), dim=1).at_kink()
    yield Sample(make(2, 0, 3), dim=0)
    yield Sample(make.special()).forward_only()


def extrema_of_one(make: Maker) -> Iterator[Sample]:
    for sample in reduction_of_one(make):
        yield Sample(make.distinct(*sample.args[0].shape), **sample.kwargs)
    yield Sample(make.values([[1, 2, 2], [3, 3, 3]])).at_kink()
    yield Sample(make.values([[1, 2, 2], [3, 3, 3]]), dim=1).at_kink()
    yield Sample(make.values([[1, 2, 2], [3, 3, 3]]), 0, True).at_kink()
    yield Sample(make(2, 0, 3), dim=0)
    yield Sample(make.special()).forward_only()
    yield Sample(make.special(), dim=0).forward_only()


def extrema_and_pairs(make: Maker) -> Iterator[Sample]:
    yield from extrema_of_one(make)
    yield Sample(make(3, 4), make(4))


def empty_extremum(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(2, 0, 3), dim=1), rf"`{name}`.*\(2, 0, 3\)")
        yield Failure(Sample(make(2, 3), dim=2), rf"`{name}`.*`dim`.*2")

    return errors


ENTRIES = [
    OpEntry("amax", extrema, empty_extremum("amax")),
    OpEntry("amin", extrema, empty_extremum("amin")),
    OpEntry("max", extrema_and_pairs, empty_extremum("max")),
    OpEntry("min", extrema_and_pairs, empty_extremum("min")),
    OpEntry("argmax", extrema_of_one, empty_extremum("argmax"), differentiable=False),
    OpEntry("argmin", extrema_of_one, empty_extremum("argmin"), differentiable=False),
]


class TestExtrema(OpTests):
    entries = ENTRIES


def test_max_gives_a_named_tuple() -> None:
    x = dg.tensor([[1.0, 3.0], [4.0, 2.0]])
    for name in ("max", "min"):
        found = getattr(x, name)(dim=1)
        values, indices = found
        assert found.values is values
        assert found.indices is indices
        assert indices.dtype is dg.int64
        assert tuple(found) == (values, indices)
