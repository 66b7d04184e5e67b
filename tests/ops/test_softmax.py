"""deepgpu.ops.softmax against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def rows(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), dim=-1)


ENTRIES = [OpEntry("softmax", rows, dtypes=("float64", "float32"))]


class TestSoftmax(OpTests):
    entries = ENTRIES
