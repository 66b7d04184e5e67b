"""deepgpu.ops.rearrangement against PyTorch."""

from collections.abc import Iterator

import numpy as np
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import calls, failures

FEW = ("float64", "float32", "int64")


def interleaved(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3), 2)
    yield Sample(make(2, 3), 2)
    yield Sample(make(2, 3), 2, 1)
    yield Sample(make(2, 3), np.array([2, 0, 3]), -1)
    yield Sample(make(2, 3), np.array([2]), dim=0)
    yield Sample(make(2, 3), np.array([1, 2]), dim=0, output_size=3)
    yield Sample(make(), 3)
    yield Sample(np.array([2, 0, 1])).forward_only()


def interleave_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), -1), "`repeat_interleave`: `repeats` takes.*-1")
    yield Failure(Sample(make(3), np.array([1, 2])), r"`repeat_interleave`: `repeats` takes.*3 integers.*\(2,\)")


def windows(make: Maker) -> Iterator[Sample]:
    yield Sample(make(7), 0, 3, 2)
    yield Sample(make(4, 5), 1, 2, 1)
    yield Sample(make(4, 5), -2, 3, 1)
    yield Sample(make(2, 6, 2), 1, 2, 2)
    yield Sample(make(5), 0, 5, 3)


def window_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), 0, 4, 1), r"`unfold`: `size` takes 0 to 3.*4")
    yield Failure(Sample(make(3), 1, 2, 1), "`unfold`: `dimension`.*1")


ENTRIES = [
    OpEntry(
        "repeat",
        calls(((2, 3), (2, 2)), ((3,), (2, 1, 2)), ((), (3,)), ((2, 3), (0, 1)), ((2, 0), (2, 2)), ((2,), (1,))),
        failures("repeat", (r"`repeats`.*2.*\(2,\)", (2, 3), (2,)), ("`repeats`.*-1", (2,), (-1,))),
    ),
    OpEntry(
        "flip",
        calls(((2, 3), (0,)), ((2, 3), [0, 1]), ((2, 3, 4), (-1, 0)), ((), ()), ((2, 0), (1,)), ((2, 3), ())),
        failures("flip", ("`dims`.*2", (2, 3), (2,)), ("twice", (2, 3), (0, 0))),
    ),
    OpEntry(
        "roll",
        calls(
            ((5,), 2),
            ((2, 3), 1),
            ((2, 3), 1, 0),
            ((2, 3), -1, -1),
            ((2, 3, 4), (1, 2), (0, 2)),
            ((2, 3), (1, 1), (0, 0)),
            ((0, 2), 1, 0),
            ((), 3),
        ),
        failures("roll", ("`shifts`.*`dims`", (2, 3), (1, 2), (0,)), ("`dims`.*2", (2, 3), 1, 2)),
    ),
    OpEntry(
        "tril",
        calls(((3, 4),), ((3, 4), 1), ((3, 4), -1), ((2, 3, 3), 0), ((0, 3),), ((3, 3), 5)),
        failures("tril", (r"`input`.*\(3,\)", (3,))),
    ),
    OpEntry(
        "triu",
        calls(((3, 4),), ((3, 4), 1), ((3, 4), -1), ((2, 3, 3), 0), ((0, 3),), ((3, 3), -5)),
        failures("triu", (r"`input`.*\(3,\)", (3,))),
    ),
    OpEntry(
        "diagonal",
        calls(((3, 4),), ((3, 4), 1), ((3, 4), -2), ((2, 3, 4), 0, 1, 2), ((2, 3, 4), 1, -1, 0), ((2, 3), 5)),
        failures("diagonal", ("`dim1`.*`dim2`", (3, 4), 0, 1, 1), ("`dim2`.*1", (3,))),
    ),
    OpEntry(
        "diag",
        calls(((3,),), ((3,), 1), ((3,), -2), ((3, 4),), ((3, 4), 1), ((3, 4), -1), ((0,),)),
        failures("diag", (r"\(2, 2, 2\)", (2, 2, 2))),
    ),
    OpEntry(
        "tile",
        calls(((3,), (2,)), ((2, 3), (2,)), ((2, 3), (2, 1, 3)), ((), (2,)), ((2, 3), (0,))),
        failures("tile", ("`dims`.*-1", (3,), (-1,))),
        dtypes=FEW,
    ),
    OpEntry("fliplr", calls(((2, 3),), ((2, 3, 2),)), failures("fliplr", (r"\(3,\)", (3,))), dtypes=FEW),
    OpEntry("flipud", calls(((3,),), ((2, 3),)), failures("flipud", ("0-d", ())), dtypes=FEW),
    OpEntry(
        "rot90",
        calls(*[((2, 3), k) for k in range(-1, 5)], ((2, 3, 4), 1, (1, 2)), ((2, 3, 4), 3, (0, -1))),
        failures("rot90", ("`dims`", (2, 3), 1, (0, 0)), ("`dims`", (3,))),
        dtypes=FEW,
    ),
    OpEntry(
        "diag_embed",
        calls(((3,),), ((2, 3),), ((2, 3), 1), ((2, 3), -2, 0, 2), ((2, 3), 0, 1, 0), ((0,),)),
        failures("diag_embed", ("`dim1`.*`dim2`", (3,), 0, 1, 1)),
        dtypes=FEW,
    ),
    OpEntry("diagflat", calls(((3,),), ((2, 2),), ((2,), 1), ((), -1)), dtypes=FEW),
    OpEntry("repeat_interleave", interleaved, interleave_errors, dtypes=FEW),
    OpEntry(  # the method; the function of that name is nn.functional's
        "unfold", windows, window_errors, dtypes=FEW, function=dg.Tensor.unfold, reference=torch.Tensor.unfold
    ),
]


class TestRearrangement(OpTests):
    entries = ENTRIES
