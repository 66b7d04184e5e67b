"""deepgpu.ops.vector_norm against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import reduction


def norms(make: Maker) -> Iterator[Sample]:
    for sample in reduction(make):
        if sample.kwargs.get("dim") != (0, 1, 2):  # PyTorch takes "fro" of three dimensions for a matrix norm
            yield sample
    for p in ("fro", 1, 2, 3, 0, 0.5, float("inf"), float("-inf")):
        for kwargs in ({}, {"dim": 1}, {"dim": (0, 2), "keepdim": True}):
            sample = Sample(make(2, 3, 4), p, **kwargs)
            yield sample.forward_only() if p == 0 else sample
    yield Sample(make.values([[0, 0], [1, 0]]), 2, 1).gradient_only()
    yield Sample(make.values([[0, 0], [1, 0]]), 1, 1).gradient_only()
    yield Sample(make(3, 4), "fro", 0)


def bounded(make: Maker) -> Iterator[Sample]:
    for p in (1, 2, 2.5, float("inf")):
        yield Sample(make(3, 4), p, 0, 2.0)
        yield Sample(make(2, 3, 4), p, -2, 3.0)
    yield Sample(make(3, 4), 2, 1, 100.0)
    yield Sample(make(3, 4), 2, 1, maxnorm=0.0)
    yield Sample(make(2, 0), 2, 0, 1.0)
    yield Sample(make(0, 3), 1, 0, 1.0)


def bound_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), 2, 0, 1.0), r"`renorm`: `input` takes at least 2 dimensions.*\(3,\)")
    yield Failure(Sample(make(3, 4), 0, 0, 1.0), "`renorm`: `p` takes a positive number, but got 0")
    yield Failure(Sample(make(3, 4), 2, 0, -1.0), "`renorm`: `maxnorm` takes.*-1.0")
    yield Failure(Sample(make(3, 4), 2, 2, 1.0), "`renorm`.*2")


ENTRIES = [
    OpEntry("norm", norms, reference="Tensor.norm"),
    OpEntry("renorm", bounded, bound_errors, dtypes=("float64", "float32")),
]


class TestVectorNorm(OpTests):
    entries = ENTRIES
