"""deepgpu.ops.dropout against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def kept(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), training=False)


ENTRIES = [OpEntry("dropout", kept, dtypes=("float64", "float32"))]


class TestDropout(OpTests):
    entries = ENTRIES
