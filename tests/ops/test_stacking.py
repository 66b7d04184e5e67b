"""deepgpu.ops.stacking against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample

DTYPES = ("float64", "float32", "int64")


def several(make: Maker) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (2, 3, 2)):
        yield Sample([make(*shape), make(*shape)])


def one_by_one(make: Maker) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (2, 3, 2), (0,)):
        yield Sample(make(*shape))
    yield Sample(make(), make(3))
    yield Sample((make(), make(2, 2)))


def columns(make: Maker) -> Iterator[Sample]:
    yield Sample([make(3), make(3, 2), make(3)])
    yield Sample([make(), make()])


def parts(make: Maker) -> Iterator[Sample]:
    yield Sample(make(7, 2), 3)
    yield Sample(make(2, 7), 3, dim=1)
    yield Sample(make(2, 7), (2, 5), -1)
    yield Sample(make(5), [3, 1, -1, 9])
    yield Sample(make(2), 4)


def part_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), 0), "`tensor_split`: `indices_or_sections` takes.*0")
    yield Failure(Sample(make(), 2), "`tensor_split`: `input` takes.*0-d")


def even(make: Maker) -> Iterator[Sample]:
    yield Sample(make(4, 6, 2), 2)
    yield Sample(make(4, 6, 3), (1, 2))


def even_errors(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(4, 4, 4), 3), f"`{name}`: `indices_or_sections` takes a divisor.*3")

    return errors


def blocks(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3), make(), make(4), make(1, 2))
    yield Sample(make(2, 2))


def axes(make: Maker) -> Iterator[Sample]:
    for indexing in ("ij", "xy"):
        yield Sample(make(2), make(3), indexing=indexing)
        yield Sample([make(2), make(), make(4)], indexing=indexing)
        yield Sample(make(2), indexing=indexing)


def vectors(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2), make(3))
    yield Sample(make(3))
    yield Sample(make(2), make(1), make(3))


def choices(make: Maker) -> Iterator[Sample]:
    yield Sample(make(4))
    yield Sample(make(4), 3)
    yield Sample(make(3), 2, True)
    yield Sample(make(2), 3)


def triangles(make: Maker) -> Iterator[Sample]:
    yield Sample(3, 4)
    yield Sample(4, 3, -1)
    yield Sample(2, 2, offset=1)


def vector_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 2)), r"`combinations`: `input` takes a vector.*\(2, 2\)")


ENTRIES = [
    *[OpEntry(name, one_by_one, dtypes=DTYPES) for name in ("atleast_1d", "atleast_2d", "atleast_3d")],
    *[OpEntry(name, several, dtypes=DTYPES) for name in ("hstack", "vstack", "dstack")],
    OpEntry("column_stack", columns, dtypes=DTYPES),
    OpEntry("tensor_split", parts, part_errors, dtypes=DTYPES),
    *[OpEntry(name, even, even_errors(name), dtypes=DTYPES) for name in ("hsplit", "vsplit", "dsplit")],
    OpEntry("block_diag", blocks, dtypes=DTYPES),
    OpEntry("meshgrid", axes, dtypes=DTYPES),
    OpEntry("cartesian_prod", vectors, dtypes=DTYPES),
    OpEntry("combinations", choices, vector_errors, dtypes=DTYPES),
    OpEntry("tril_indices", triangles, dtypes=("int64",), differentiable=False),
    OpEntry("triu_indices", triangles, dtypes=("int64",), differentiable=False),
]


class TestStacking(OpTests):
    entries = ENTRIES


def test_broadcast_shapes() -> None:
    assert dg.broadcast_shapes((2, 1), 3, (1, 1, 3)) == tuple(torch.broadcast_shapes((2, 1), 3, (1, 1, 3)))
    with pytest.raises(RuntimeError, match=r"`broadcast_shapes`.*\(2,\).*\(3,\)"):
        dg.broadcast_shapes((2,), (3,))


def test_meshgrid_is_a_view() -> None:
    x = dg.arange(3)
    grid = dg.meshgrid(x, x, indexing="ij")[0]
    assert np.shares_memory(grid.numpy(), x.numpy())
