"""deepgpu.ops.trigonometry against PyTorch."""

from deepgpu.testing import OpEntry, OpTests
from deepgpu.testing.families import unary

INSIDE_ONE = (-0.95, 0.95)


ENTRIES = [
    OpEntry("sin", unary),
    OpEntry("cos", unary),
    OpEntry("tan", unary, domain=(-1.2, 1.2)),
    OpEntry("asin", unary, domain=INSIDE_ONE),
    OpEntry("acos", unary, domain=INSIDE_ONE),
    OpEntry("atan", unary),
    OpEntry("sinh", unary),
    OpEntry("cosh", unary),
    OpEntry("tanh", unary, keeps_layout=True),
]


class TestTrigonometry(OpTests):
    entries = ENTRIES
