"""deepgpu.ops.arithmetic against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import binary, binary_tensors, unary


def with_alpha(make: Maker) -> Iterator[Sample]:
    yield from binary(make)
    yield Sample(make(3, 4), make(4), alpha=3)
    yield Sample(make(3, 4), 2, alpha=-1)
    yield Sample(make(3, 4), make(3, 4), alpha=0)
    yield Sample(make(3, 4), make(4), alpha=0.5)
    yield Sample(make(3, 4), make(4), alpha=True).forward_only()


def differences(make: Maker) -> Iterator[Sample]:
    for sample in with_alpha(make):  # PyTorch subtracts no bools, not even True
        yield sample.forward_only() if sample.args[1] is True else sample


def nonzero_divisor(make: Maker) -> Iterator[Sample]:
    """Away from 0, where quotients jump."""
    for sample in binary_tensors(make):
        a, b = sample.args
        if sample.smooth:
            yield Sample(a, np.where(b == 0, b.dtype.type(1), b))
        elif make.is_floating:
            # the largest numbers are left out: PyTorch's vectorised remainder of them is NaN
            moderate = make.special()[:-2]
            yield Sample(moderate[:, None], moderate[None, :]).forward_only()
    for number in (2, 1.5, -3, True):
        yield Sample(make(3, 2), number)


def modes(make: Maker) -> Iterator[Sample]:
    yield from nonzero_divisor(make)
    for mode in ("floor", "trunc"):
        for sample in nonzero_divisor(make):
            # a rounded quotient is flat, and jumps where finite differences would step over an edge
            sample.kwargs["rounding_mode"] = mode
            yield sample.at_kink()


def remainders(make: Maker) -> Iterator[Sample]:
    for sample in nonzero_divisor(make):
        yield sample
        a, b = sample.args
        if isinstance(b, (int, float)):
            # PyTorch has no derivative of this form
            yield Sample(b, a if not make.is_floating else np.abs(a) + a.dtype.type(0.3)).forward_only()


def powers(make: Maker) -> Iterator[Sample]:
    exponents = (0, 1, 2, 3) if not make.is_floating else (0, 1, 2, 3, -1, -2, 0.5, -0.5, 2.5, 1.0)
    for exponent in exponents:
        yield Sample(make(3, 4, low=0.2), exponent)
        yield Sample(make(low=0.2), exponent)
    yield Sample(make(0, 2), 2)
    yield Sample(make(2, 3, 4, 5), 2)
    low = 0.1 if make.is_floating else 0
    for a, b in (((3, 4), (3, 4)), ((2, 3, 4), (3, 1)), ((4,), (2, 3, 4)), ((), (2,)), ((2, 3), ()), ((0, 3), (1, 3))):
        yield Sample(make(*a, low=0.2), make(*b, low=low))
    yield Sample(2, make(3, 4, low=low))
    yield Sample(2.5, make(3, 4))
    if make.is_floating:
        yield Sample(make.values([0.0, 0.0, 0.0, 2.0, -2.0]), make.values([0.0, 1.0, 2.0, 0.0, 2.0])).gradient_only()
        yield Sample(make.values([0.0, 1.0, -1.0]), 2).at_kink()
        yield Sample(make.values([0.0, 1.0, -1.0]), 0).at_kink()
        yield Sample(make.values([-2.0, -1.5]), 3)
        yield Sample(0, make.values([0.0, 1.0, 2.0])).at_kink()
        special = make.special()
        yield Sample(special[:, None], special[None, :]).forward_only()


def power_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(np.array([1, 2]), -1), "negative")
    yield Failure(Sample(make(3), make(4)), r"`pow`.*\(3,\).*\(4,\)")


def unequal(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(2, 3), make(4)), rf"`{name}`.*\(2, 3\).*\(4,\)")
        yield Failure(Sample(make(2, 3), "x"), rf"`{name}`.*str")
        yield Failure(Sample(make(2, 3), None), rf"`{name}`.*None")

    return errors


def bool_subtraction(make: Maker) -> Iterator[Failure]:
    yield from unequal("sub")(make)
    yield Failure(Sample(make.mask(3), make.mask(3)), "logical_xor")
    yield Failure(Sample(np.arange(3), np.arange(3), alpha=0.5), "`alpha`")


def division_errors(make: Maker) -> Iterator[Failure]:
    yield from unequal("div")(make)
    yield Failure(Sample(make(3), 2, rounding_mode="up"), "`rounding_mode`")
    yield Failure(Sample(np.arange(3), 0, rounding_mode="trunc"), "ZeroDivisionError")
    yield Failure(Sample(np.arange(3), 0, rounding_mode="floor"), "ZeroDivisionError")


def zero_division(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield from unequal(name)(make)
        yield Failure(Sample(np.arange(3), 0), "ZeroDivisionError")
        yield Failure(Sample(np.arange(3), np.array([1, 0, 2])), "ZeroDivisionError")

    return errors


def bool_negation(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make.mask(3)), "`neg`.*bool")


ENTRIES = [
    OpEntry("add", with_alpha, unequal("add"), keeps_layout=True),
    OpEntry("sub", differences, bool_subtraction, keeps_layout=True),
    OpEntry("mul", binary, unequal("mul"), keeps_layout=True),
    OpEntry("div", modes, division_errors, keeps_layout=True),
    OpEntry("pow", powers, power_errors, keeps_layout=True),
    OpEntry("remainder", remainders, zero_division("remainder")),
    OpEntry("floor_divide", nonzero_divisor, zero_division("floor_divide"), differentiable=False),
    OpEntry("neg", unary, bool_negation, keeps_layout=True),
    OpEntry("rsub", differences),
]


class TestArithmetic(OpTests):
    entries = ENTRIES


OPERATORS = ["__add__", "__sub__", "__mul__", "__truediv__", "__pow__", "__mod__", "__floordiv__"]
REFLECTED = [f"__r{name[2:]}" for name in OPERATORS]


@pytest.mark.parametrize("name", OPERATORS + REFLECTED)
@pytest.mark.parametrize("number", [2, 1.5, np.float32(2), np.float64(1.5), np.int64(3), np.int32(3), np.bool_(True)])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8"])
def test_operator_with_a_number(name: str, number: Any, dtype: str) -> None:
    data = np.array([[1, 2, 3], [4, 5, 7]]).astype(dtype)
    plain = number.item() if isinstance(number, np.generic) else number
    if plain is True and "sub" in name:
        pytest.skip("PyTorch subtracts no bools")
    theirs = getattr(torch.from_numpy(data), name)(plain)
    ours = getattr(dg.tensor(data), name)(number)
    assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)


@pytest.mark.parametrize("number", [np.float32(2), np.float64(1.5), np.int64(3)])
def test_numpy_scalar_on_the_left(number: Any) -> None:
    x = dg.tensor([1.0, 2.0])
    for ours, expected in [
        (number + x, [1 + number, 2 + number]),
        (number - x, [number - 1, number - 2]),
        (number * x, [number, 2 * number]),
        (number / x, [number, number / 2]),
        (number**x, [number, number**2]),
        (number > x, [number > 1, number > 2]),
    ]:
        assert type(ours) is dg.Tensor
        np.testing.assert_allclose(ours.numpy(), expected)
    assert (number * x).dtype is dg.float32


def test_numpy_array_as_operand() -> None:
    x = dg.tensor([1.0, 2.0, 3.0])
    a = np.array([4.0, 5.0, 6.0])
    for ours, expected in [(x + a, [5, 7, 9]), (a + x, [5, 7, 9]), (a - x, [3, 3, 3]), (x - a, [-3, -3, -3])]:
        assert type(ours) is dg.Tensor
        assert ours.dtype is dg.float64  # the array's: an array ranks as a tensor does
        np.testing.assert_array_equal(ours.numpy(), expected)
    y = x.clone()
    y += a.astype(np.float32)
    np.testing.assert_array_equal(y.numpy(), [5, 7, 9])


def test_unknown_operands_are_left_to_their_class() -> None:
    class Other:
        def __radd__(self, other: Any) -> str:
            return "mine"

        def __rmatmul__(self, other: Any) -> str:
            return "mine"

        def __lt__(self, other: Any) -> str:
            return "mine"

    x = dg.ones(2)
    assert x + Other() == "mine"
    assert x @ Other() == "mine"
    assert (x > Other()) == "mine"
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "a"


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 300), ("uint8", -1), ("int8", 200), ("int32", 2**40), ("int64", -(2**63))]
)
def test_python_int_out_of_range_wraps(dtype: str, value: int) -> None:
    data = np.array([0, 1, 100]).astype(dtype)
    for name in ("__add__", "__mul__", "__sub__", "__lt__", "__eq__", "__ge__"):
        theirs = getattr(torch.from_numpy(data), name)(value)
        np.testing.assert_array_equal(getattr(dg.tensor(data), name)(value).numpy(), theirs.numpy())


def test_python_int_larger_than_int64() -> None:
    for value in (2**70, -(2**64)):
        with pytest.raises(OverflowError):
            torch.tensor([1]) + value
        with pytest.raises(OverflowError):
            dg.tensor([1]) + value


def test_bool_arithmetic() -> None:
    a = np.array([True, True, False])
    b = np.array([True, False, False])
    for name in ("__add__", "__mul__", "__truediv__"):
        theirs = getattr(torch.from_numpy(a), name)(torch.from_numpy(b))
        ours = getattr(dg.tensor(a), name)(dg.tensor(b))
        assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    for name in ("__sub__", "__floordiv__", "__mod__", "__pow__", "__neg__"):
        rest = () if name == "__neg__" else (torch.from_numpy(b),)
        with pytest.raises(RuntimeError):
            getattr(torch.from_numpy(a), name)(*rest)
        with pytest.raises(RuntimeError):
            getattr(dg.tensor(a), name)(*[dg.tensor(b) for _ in rest])
