"""deepgpu.ops.pool against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def windows(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3, 6, 7), 2)


ENTRIES = [OpEntry("avg_pool2d", windows, dtypes=("float64", "float32"))]


class TestPool(OpTests):
    entries = ENTRIES
