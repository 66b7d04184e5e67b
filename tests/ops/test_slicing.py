"""deepgpu.ops.slicing against PyTorch."""

from deepgpu.testing import OpEntry, OpTests
from deepgpu.testing.families import calls, failures

ENTRIES = [
    OpEntry(
        "narrow",
        calls(((4, 3), 0, 1, 2), ((4, 3), 1, 0, 3), ((4, 3), -1, -2, 2), ((4, 3), 0, 4, 0), ((2, 3, 4, 5), 1, 1, 2)),
        failures(
            "narrow",
            ("3 .* 2.*size 4", (4, 3), 0, 3, 2),
            ("`dim`.*2", (4, 3), 2, 0, 1),
            ("-1", (4, 3), 0, 0, -1),
            ("-5", (4, 3), 0, -5, 1),
        ),
    ),
    OpEntry(
        "select",
        calls(((4, 3), 0, 1), ((4, 3), 1, -1), ((4,), 0, 2), ((2, 3, 4, 5), 1, 2)),
        failures("select", ("`index`.*4", (4, 3), 0, 4), ("`index`.*-5", (4, 3), 0, -5), ("`dim`.*2", (4, 3), 2, 0)),
    ),
    OpEntry(
        "split",
        calls(((5, 2), 2), ((5, 2), [1, 4]), ((5, 2), 1, 1), ((2, 6), (2, 0, 4), -1), ((0, 2), 2), ((5,), 7)),
        failures("split", ("`split_size`.*-1", (5,), -1), ("`split_sizes`.*5", (5,), [2, 2]), ("`dim`.*1", (5,), 2, 1)),
    ),
    OpEntry(
        "chunk",
        calls(((5, 2), 2), ((5, 2), 3), ((6, 2), 4), ((2, 6), 4, 1), ((2, 3), 7, -1), ((0,), 2)),
        failures("chunk", ("`chunks`.*0", (5,), 0)),
    ),
    OpEntry(
        "unbind", calls(((2, 3),), ((2, 3), 1), ((3,), 0), ((2, 3, 4), -1), ((2, 0), 0)), failures("unbind", ("", ()))
    ),
]


class TestSlicing(OpTests):
    entries = ENTRIES
