"""deepgpu.ops.strided against PyTorch."""

from collections.abc import Iterator

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample


def seen(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), (2, 3), (4, 1))
    yield Sample(make(3, 4), (4, 3), (1, 4), 0)
    yield Sample(make(13), (5, 4), (2, 1), 1)  # windows that overlap
    yield Sample(make(2, 2, 3, 2), [3, 2], [0, 5], storage_offset=3)
    yield Sample(make(4), (), ())
    yield Sample(make(), (1, 1), (1, 1))
    yield Sample(make(3, 4), (0, 3), (4, 1))


def errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 4), (2, 3), (4,)), "`as_strided`: `stride` takes 2 numbers")
    yield Failure(Sample(make(3, 4), (2, 3), (-1, 1)), "`as_strided`: `stride` takes.*not negative")
    yield Failure(Sample(make(3, 4), (2,), (1,), -1), "`as_strided`: `storage_offset` takes.*-1")
    yield Failure(Sample(make(3, 4), (4, 4), (4, 1)), "`as_strided`: `size` takes.*12 elements.*needs 16")
    yield Failure(Sample(make(3, 4), (-1, 4), (4, 1)), "`as_strided`: `size` takes.*not negative")


ENTRIES = [
    OpEntry("as_strided", seen, errors, dtypes=("float64", "float32", "int64"), layouts=("transposed", "channels_last"))
]


class TestStrided(OpTests):
    entries = ENTRIES


def test_it_is_a_view_on_the_cpu() -> None:
    x = dg.zeros(2, 3).requires_grad_()
    y = x.clone()
    y.as_strided((2,), (3,), 1).fill_(5.0)
    np.testing.assert_array_equal(y.detach().numpy(), [[0, 5, 0], [0, 5, 0]])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[1, 0, 1], [1, 0, 1]])


def test_a_tensor_with_gaps_is_refused() -> None:
    with pytest.raises(RuntimeError, match="`as_strided`: `input` takes memory without gaps"):
        dg.zeros(4, 4)[:, :2].as_strided((2,), (1,))
