"""deepgpu.ops.special_functions against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import unary

PRECISE = ("float64", "float32", "int64")


def inside(make: Maker) -> Iterator[Sample]:
    if not make.is_floating:
        yield Sample(make.values([0, 1]))
        return
    for shape in ((), (5,), (2, 3, 4), (0, 2)):
        yield Sample(make(*shape, low=0.05, high=0.95))
    yield Sample(make.values([-1, -0.5, 0, 0.5, 1, 1.5])).forward_only()


def limited(make: Maker) -> Iterator[Sample]:
    yield from inside(make)
    yield Sample(make(3, 4, low=-0.5, high=1.5), 0.1)
    yield Sample(make(3, 4, low=0.3, high=0.7), eps=1e-6)


def orders(make: Maker) -> Iterator[Sample]:
    for n in range(4):
        yield Sample(n, make(3, 4, low=0.3, high=3))
        yield Sample(n, make(low=0.3, high=3))


ENTRIES = [
    OpEntry("erfc", unary, dtypes=PRECISE, domain=(-4.0, 4.0)),
    OpEntry("erfinv", inside, dtypes=PRECISE),
    OpEntry("logit", limited, dtypes=PRECISE, skip={"inplace": "PyTorch has no derivative of it in place"}),
    # PyTorch's trigamma, and with it these gradients, is right to 1e-9 only
    OpEntry("lgamma", unary, dtypes=PRECISE, domain=(0.2, 5.0), tolerances={"float64": (1e-8, 1e-9)}),
    OpEntry("digamma", unary, dtypes=PRECISE, domain=(0.2, 5.0), tolerances={"float64": (1e-8, 1e-9)}),
    OpEntry(
        "polygamma",
        orders,
        dtypes=("float64", "float32"),
        tolerances={"float64": (1e-8, 1e-9), "float32": (1e-5, 1e-5)},
        skip={"method": "the method takes the order second"},
    ),
]


class TestSpecialFunctions(OpTests):
    entries = ENTRIES
