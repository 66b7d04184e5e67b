"""deepgpu.ops.matmul against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def products(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make(4, 5))


ENTRIES = [OpEntry("matmul", products)]


class TestMatmul(OpTests):
    entries = ENTRIES
