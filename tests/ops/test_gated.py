"""deepgpu.ops.gated against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import SHAPES, unary
from tests.ops.test_activation import bent_at, far_out


def with_approximation(make: Maker) -> Iterator[Sample]:
    yield from unary(make)
    for shape in SHAPES:
        yield Sample(make(*shape), approximate="tanh")
    yield Sample(make.values([-30, -6, 6, 30]))
    yield Sample(make.values([-30, -6, 6, 30]), approximate="tanh")


def approximation_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), approximate="no"), "`gelu`: `approximate` takes 'none' or 'tanh', but got 'no'")


ENTRIES = [
    OpEntry("gelu", with_approximation, approximation_errors, keeps_layout=True),
    OpEntry("silu", far_out, dtypes=FLOATING, keeps_layout=True),
    OpEntry("hardswish", bent_at(-3, 3), domain=(-4, 4), keeps_layout=True),
]


class TestGated(OpTests):
    entries = ENTRIES
