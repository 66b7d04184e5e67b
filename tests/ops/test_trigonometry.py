"""deepgpu.ops.trigonometry against PyTorch."""

from deepgpu.testing import OpEntry, OpTests
from deepgpu.testing.families import unary

INSIDE_ONE = (-0.95, 0.95)
NO_TWIN = {"inplace": "PyTorch has no derivative of the in-place version"}


ENTRIES = [
    OpEntry("sin", unary),
    OpEntry("cos", unary),
    OpEntry("tan", unary, domain=(-1.2, 1.2)),
    OpEntry("asin", unary, domain=INSIDE_ONE),
    OpEntry("acos", unary, domain=INSIDE_ONE),
    OpEntry("atan", unary),
    OpEntry("sinh", unary),
    OpEntry("cosh", unary),
    OpEntry("asinh", unary, skip=NO_TWIN),
    OpEntry("acosh", unary, domain=(1.1, 4.0), skip=NO_TWIN),
    OpEntry("atanh", unary, domain=INSIDE_ONE, skip=NO_TWIN),
    OpEntry("sinc", unary, domain=(0.2, 3.0), tolerances={"float64": (1e-9, 1e-9)}),
    OpEntry("deg2rad", unary),
    OpEntry("rad2deg", unary),
    OpEntry("tanh", unary, keeps_layout=True),
]


class TestTrigonometry(OpTests):
    entries = ENTRIES
