"""deepgpu.ops.activation against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def kinked(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4))
    yield Sample(make.values([-1, 0, 1])).at_kink()


ENTRIES = [OpEntry("relu", kinked)]


class TestActivation(OpTests):
    entries = ENTRIES
