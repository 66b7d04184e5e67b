"""deepgpu.ops.binary against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import deepgpu as dg
from deepgpu.testing import FLOATING, INTEGRAL, Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import BROADCASTS, binary_tensors

Samples = Callable[[Maker], Iterator[Sample]]


def with_numbers(*numbers: float) -> Samples:
    def samples(make: Maker) -> Iterator[Sample]:
        yield from binary_tensors(make)
        for number in numbers:
            yield Sample(make(3, 2), number)
            yield Sample(make(), number)

    return samples


def without_zeros(make: Maker) -> Iterator[Sample]:
    for a, b in BROADCASTS:
        divisor = make(*b)
        yield Sample(make(*a), np.where(divisor == 0, divisor.dtype.type(1), divisor))
    if make.is_floating:
        special = make.special()[:-2]  # PyTorch's vectorised fmod of the largest numbers is NaN
        yield Sample(special[:, None], special[None, :]).forward_only()
    for number in (2, 1.5, -3):
        yield Sample(make(3, 2), number)


def positive_second(make: Maker) -> Iterator[Sample]:
    low = 0.2 if make.is_floating else 1
    for a, b in BROADCASTS:
        yield Sample(make(*a), make(*b, low=low))
    special = make.special()
    yield Sample(special[:, None], special[None, :]).forward_only()
    yield Sample(make.values([0, 0, 1, 0]), make.values([0, 1, 1, 3])).forward_only()
    yield Sample(make(3), 2.5)
    yield Sample(2.0, make(3, low=low))


def powers(make: Maker) -> Iterator[Sample]:
    low = 0.2 if make.is_floating else 1
    yield Sample(make(3, 4, low=low), make(4))
    yield Sample(make(3, low=low), 2)
    yield Sample(make(3, low=low), -0.5)
    yield Sample(2, make(3))
    yield Sample(make(0, 2), 2)


def exponents(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), np.arange(4))
    yield Sample(make(3, 4), np.arange(4) - 2).forward_only()
    yield Sample(make(3, 4), make(3, 1))
    yield Sample(make(), np.array(3))
    yield Sample(make(0), np.array([2]))


def lerps(make: Maker) -> Iterator[Sample]:
    for shape, end in (((3, 4), (3, 4)), ((2, 3, 4), (3, 1)), ((), ()), ((0, 3), (3,)), ((4,), (2, 4))):
        for weight in (0, 0.3, 0.5, 1, 1.5):
            yield Sample(make(*shape), make(*end), weight)
        yield Sample(make(*shape), make(*end), make(*shape, low=-0.2, high=1.2))
    yield Sample(make(3), make(3), make(low=0, high=1))


def lerp_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), np.ones(3, np.float32), 0.5), "`lerp`: `end` takes.*float64.*float32")
    yield Failure(Sample(np.arange(3), np.arange(3), 0.5), "`lerp`: `input` takes.*int64")
    yield Failure(Sample(make(3), make(4), 0.5), r"\(4,\).*\(3,\)")


def products(make: Maker) -> Iterator[Sample]:
    low = None if make.is_floating else 1
    for a, b, c in (((3, 4),) * 3, ((2, 3, 4), (3, 1), (4,)), ((), (), ()), ((0, 3), (3,), (1,)), ((2,), (2,), ())):
        yield Sample(make(*a), make(*b), make(*c, low=low))
        yield Sample(make(*a), make(*b), make(*c, low=low), value=2)
        yield Sample(make(*a), make(*b), make(*c, low=low), value=-0.5)


def quotient_errors(make: Maker) -> Iterator[Failure]:
    whole = np.arange(3) + 1
    yield Failure(Sample(whole, whole, whole), "`addcdiv`: `tensor1` takes.*int64")


def steps(make: Maker) -> Iterator[Sample]:
    yield Sample(make.values([-1, 0, 2, 0]), make.values([5, 6, 7, 1]))
    yield Sample(make(2, 3), make(3))
    yield Sample(make.values([[0, 1]]), make(2, 1))
    special = make.special()
    yield Sample(special[:, None], special[None, :])


def integers(make: Maker) -> Iterator[Sample]:
    for a, b in BROADCASTS:
        yield Sample(make(*a), make(*b))
    yield Sample(make(3), np.array([3, 5, 0], np.int16))


def shifts(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3), make(3, low=0, high=1))
    yield Sample(make(2, 3), 2)


def other_kind(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(3), 2.0), f"`{name}`: `other` takes a tensor")
        yield Failure(Sample(make(3), make(4)), rf"`{name}`.*\(3,\).*\(4,\)")

    return errors


def fmod_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(np.arange(3), np.zeros(3, np.int64)), "`fmod`: `other` takes integers other than 0")


def integer_errors(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(np.ones(3), np.ones(3)), f"`{name}`: `input` takes integer tensors.*float64")

    return errors


PRECISE = ("float64", "float32")
KINDS = (*PRECISE, "bfloat16", "int64", "uint8", "bool")
LAYOUTS = ("transposed", "expanded")
INTEGERS = {"dtypes": INTEGRAL, "differentiable": False, "layouts": LAYOUTS}
HALF = {"float16": (4e-3, 2e-3), "bfloat16": (3e-2, 1.6e-2)}

ENTRIES = [
    OpEntry("fmod", without_zeros, fmod_errors, dtypes=KINDS, layouts=LAYOUTS),
    OpEntry("hypot", binary_tensors, other_kind("hypot"), dtypes=FLOATING, tolerances=HALF, layouts=LAYOUTS),
    OpEntry("atan2", binary_tensors, dtypes=KINDS, layouts=LAYOUTS),
    OpEntry("logaddexp", binary_tensors, other_kind("logaddexp"), dtypes=PRECISE, layouts=LAYOUTS),
    OpEntry("logaddexp2", binary_tensors, other_kind("logaddexp2"), dtypes=PRECISE, layouts=LAYOUTS),
    OpEntry("xlogy", positive_second, tolerances=HALF, dtypes=KINDS, layouts=LAYOUTS),
    OpEntry("copysign", with_numbers(-1.5, 2), domain=(-2.0, 2.0), double_backward=False, layouts=LAYOUTS),
    OpEntry("fmax", binary_tensors, other_kind("fmax"), dtypes=KINDS, layouts=LAYOUTS),
    OpEntry("fmin", binary_tensors, other_kind("fmin"), dtypes=KINDS, layouts=LAYOUTS),
    OpEntry("float_power", powers, dtypes=(*PRECISE, "int64"), layouts=LAYOUTS),
    OpEntry("ldexp", exponents, dtypes=(*PRECISE, "int64"), constants=(1,), layouts=LAYOUTS),
    OpEntry("lerp", lerps, lerp_errors, dtypes=FLOATING, tolerances=HALF, layouts=LAYOUTS),
    OpEntry("addcmul", products, dtypes=(*PRECISE, "int64"), layouts=LAYOUTS),
    OpEntry("addcdiv", products, quotient_errors, dtypes=(*PRECISE, "int64"), domain=(0.3, 2.0), layouts=LAYOUTS),
    OpEntry("heaviside", steps, differentiable=False, dtypes=KINDS, layouts=LAYOUTS),
    OpEntry("nextafter", binary_tensors, differentiable=False, dtypes=PRECISE, layouts=LAYOUTS),
    OpEntry("gcd", integers, integer_errors("gcd"), **INTEGERS),
    OpEntry("lcm", integers, integer_errors("lcm"), dtypes=INTEGRAL[:3], differentiable=False, layouts=LAYOUTS),
    OpEntry(
        "bitwise_left_shift",
        shifts,
        integer_errors("bitwise_left_shift"),
        dtypes=INTEGRAL,
        differentiable=False,
        layouts=LAYOUTS,
    ),
    OpEntry("bitwise_right_shift", shifts, **INTEGERS),
]


class TestBinary(OpTests):
    entries = ENTRIES


def test_shifts_are_operators() -> None:
    x = dg.tensor([1, -4])
    assert (x << 2).tolist() == [4, -16]
    assert (x >> 1).tolist() == [0, -2]
