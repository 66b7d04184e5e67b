"""deepgpu.ops.norm against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def batches(make: Maker) -> Iterator[Sample]:
    yield Sample(make(4, 3, 2, 5), None, None, make(3), make(3), training=True)


ENTRIES = [OpEntry("batch_norm", batches, dtypes=("float64", "float32"))]


class TestNorm(OpTests):
    entries = ENTRIES
