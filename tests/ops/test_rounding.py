"""deepgpu.ops.rounding against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import unary


def decimals(make: Maker) -> Iterator[Sample]:
    for sample in unary(make):
        yield sample.at_kink() if sample.smooth else sample
    if make.is_floating:
        yield Sample(make.values([0.5, 1.5, 2.5, -0.5, -1.5])).at_kink()
        yield Sample(make.values([1.25, 15.5, -123.456]), decimals=1).at_kink()
        yield Sample(make.values([125.0, 15.5, -1234.5]), decimals=-1).at_kink()


def flat(make: Maker) -> Iterator[Sample]:
    """Piecewise constant functions: finite differences would step over an edge."""
    for sample in unary(make):
        yield sample.at_kink() if sample.smooth else sample


ENTRIES = [
    OpEntry("floor", flat),
    OpEntry("ceil", flat),
    OpEntry("trunc", flat),
    OpEntry("round", decimals),
    OpEntry("sign", flat),
]


class TestRounding(OpTests):
    entries = ENTRIES
