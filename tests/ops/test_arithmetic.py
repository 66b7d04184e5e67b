"""deepgpu.ops.arithmetic against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def binary(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make(3, 4))
    yield Sample(make(2, 3, 4), make(3, 1))
    yield Sample(make(4), make(2, 3, 4))
    yield Sample(make(), make())
    yield Sample(make(2, 3), make())
    yield Sample(make(0, 3), make(1, 3))
    yield Sample(make(2, 3, 4, 5), make(2, 3, 4, 5))
    yield Sample(make(2, 3, 4, 5), make(1, 3, 1, 1))
    yield Sample(make(3, 2), 2)
    yield Sample(make(3, 2), 1.5)
    yield Sample(make(3, 2), True)
    yield Sample(make.special(), make.special()).forward_only()


ENTRIES = [OpEntry("add", binary), OpEntry("mul", binary)]


class TestArithmetic(OpTests):
    entries = ENTRIES
