"""deepgpu.ops.conv against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def images(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3, 6, 7), make(4, 3, 3, 3), make(4), padding=1)


ENTRIES = [OpEntry("conv2d", images, dtypes=("float64", "float32"))]


class TestConv(OpTests):
    entries = ENTRIES
