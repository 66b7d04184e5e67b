"""deepgpu.ops.pad against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def pads(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3, 4, 5), [1, 2, 3, 0])


ENTRIES = [OpEntry("pad", pads)]


class TestPad(OpTests):
    entries = ENTRIES
