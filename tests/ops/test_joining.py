"""deepgpu.ops.joining against PyTorch."""

from collections.abc import Iterator

import numpy as np

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample


def cats(make: Maker) -> Iterator[Sample]:
    yield Sample([make(2, 3), make(4, 3)])
    yield Sample((make(2, 3), make(2, 1), make(2, 0)), 1)
    yield Sample([make(2, 3), make(2, 3)], dim=-1)
    yield Sample([make(2, 3)], 0)
    yield Sample([make(3), make(0)], 0)
    yield Sample([make(0), make(2, 3)], 0)
    yield Sample([make(0), make(0)], 0)
    yield Sample([make(2, 3, 4, 5), make(2, 1, 4, 5)], 1)
    yield Sample([make(2), np.array([1, 2])], 0)
    yield Sample([np.array([1, 2], np.uint8), make(2), np.array([True])], 0)
    yield Sample([make(0), np.array([[1, 2]])], 0).forward_only()
    x = make(2, 2)
    yield Sample([x, x, x], 1)


def cat_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample([make(2, 3), make(2, 4)], 0), r"`cat`.*tensors\[1\].*\(2, 3\).*\(2, 4\)")
    yield Failure(Sample([make(2, 3), make(3)], 0), r"`cat`.*tensors\[1\].*\(3,\)")
    yield Failure(Sample([make(), make()], 0), "`cat`.*0-d")
    yield Failure(Sample([make(2, 3)], 2), "`cat`.*`dim`.*2")
    yield Failure(Sample([make(2), 3], 0), r"`cat`.*tensors\[1\].*int")


def stacks(make: Maker) -> Iterator[Sample]:
    yield Sample([make(2, 3), make(2, 3)])
    for dim in (0, 1, 2, -1, -3):
        yield Sample([make(2, 3), make(2, 3), make(2, 3)], dim)
    yield Sample([make(), make()], 0)
    yield Sample([make(0), make(0)], 1)
    yield Sample((make(2), np.array([1, 2])))


def stack_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample([make(2, 3), make(3, 2)]), r"`stack`.*tensors\[1\].*\(2, 3\).*\(3, 2\)")
    yield Failure(Sample([make(2, 3), make(2, 3)], 3), "`stack`.*`dim`.*3")


ENTRIES = [
    OpEntry("cat", cats, cat_errors, keeps_layout=True),
    OpEntry("stack", stacks, stack_errors),
]


class TestJoining(OpTests):
    entries = ENTRIES


def test_cat_of_channels_last_images() -> None:
    a = dg.randn(2, 3, 4, 5).contiguous(memory_format=dg.channels_last)
    b = dg.randn(2, 2, 4, 5).contiguous(memory_format=dg.channels_last)
    both = dg.cat([a, b], 1)
    assert both.is_contiguous(memory_format=dg.channels_last)
