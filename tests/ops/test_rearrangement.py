"""deepgpu.ops.rearrangement against PyTorch."""

from deepgpu.testing import OpEntry, OpTests
from deepgpu.testing.families import calls, failures

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
]


class TestRearrangement(OpTests):
    entries = ENTRIES
