"""deepgpu.ops.rounding against PyTorch."""

from collections.abc import Iterator

import numpy as np

from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample
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


def frac_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(np.arange(3)), "`frac`: `input` takes.*int64")


def replaced(make: Maker) -> Iterator[Sample]:
    yield from unary(make)
    yield Sample(make.special(), 1.0, 2.0, -3.0).forward_only()
    yield Sample(make.special(), posinf=7.0).forward_only()
    if make.is_floating:
        yield Sample(make.values([np.nan, np.inf, -np.inf, 1])).at_kink()


ENTRIES = [
    OpEntry("floor", flat),
    OpEntry("ceil", flat),
    OpEntry("trunc", flat),
    OpEntry("round", decimals),
    OpEntry("sign", flat),
    OpEntry("sgn", flat),
    OpEntry("frac", flat, frac_errors, dtypes=FLOATING),
    OpEntry("signbit", unary, differentiable=False),
    OpEntry("positive", unary),
    OpEntry("nan_to_num", replaced),
]


class TestRounding(OpTests):
    entries = ENTRIES
