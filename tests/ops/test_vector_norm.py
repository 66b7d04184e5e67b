"""deepgpu.ops.vector_norm against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample
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


ENTRIES = [
    OpEntry("norm", norms, reference="Tensor.norm"),
]


class TestVectorNorm(OpTests):
    entries = ENTRIES
