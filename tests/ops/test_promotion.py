"""Type promotion: every pair of dtypes and kinds of operands against PyTorch's table."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import dtypes

NAMES = [d.name for d in dtypes.ALL]
NUMBERS: list[Any] = [True, 2, 1.5]


def name_of(d: Any) -> str:
    return str(d).split(".")[-1]


def operands(name: str) -> list[tuple[Any, Any]]:
    """A tensor with dimensions and a 0-d one, in both libraries."""
    ours, theirs = getattr(dg, name), getattr(torch, name)
    return [
        (dg.ones(2, dtype=ours), torch.ones(2, dtype=theirs)),
        (dg.ones((), dtype=ours), torch.ones((), dtype=theirs)),
    ]


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", NAMES)
def test_pairs(first: str, second: str) -> None:
    assert name_of(dg.promote_types(getattr(dg, first), getattr(dg, second))) == name_of(
        torch.promote_types(getattr(torch, first), getattr(torch, second))
    )
    for (a, ta), (b, tb) in itertools.product(operands(first), operands(second)):
        expected = name_of(torch.result_type(ta, tb))
        assert name_of(dg.result_type(a, b)) == expected, (first, second, a.ndim, b.ndim)
        assert name_of((a * b).dtype) == expected
        assert name_of((a / b).dtype) == name_of((ta / tb).dtype)
        assert dg.can_cast(a.dtype, b.dtype) == torch.can_cast(ta.dtype, tb.dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers(name: str, number: Any) -> None:
    for a, ta in operands(name):
        expected = name_of(torch.result_type(ta, number))
        assert name_of(dg.result_type(a, number)) == expected
        assert name_of(dg.result_type(number, a)) == expected
        assert name_of((a * number).dtype) == expected
        assert name_of((number * a).dtype) == expected
        assert name_of((a / number).dtype) == name_of((ta / number).dtype)
        for scalar in (np.asarray(number)[()], np.float32(number) if isinstance(number, float) else number):
            assert name_of((a * scalar).dtype) == expected


@pytest.mark.parametrize("name", NAMES)
def test_three_ranks(name: str) -> None:
    """A tensor, a 0-d tensor and a number together."""
    for other in NAMES:
        for number in NUMBERS:
            a, ta = operands(name)[0]
            b, tb = operands(other)[1]
            assert name_of((a * b * number).dtype) == name_of((ta * tb * number).dtype)
            ours = dg.where(a > 0, b, number)
            theirs = torch.where(ta > 0, tb, number)
            assert name_of(ours.dtype) == name_of(theirs.dtype)


@pytest.mark.parametrize("name", NAMES)
def test_limits(name: str) -> None:
    ours, theirs = getattr(dg, name), getattr(torch, name)
    assert ours.itemsize == theirs.itemsize
    assert ours.is_floating_point == theirs.is_floating_point
    assert ours.is_signed == theirs.is_signed
    assert ours.is_complex == theirs.is_complex
    if theirs.is_floating_point:
        a, b = dg.finfo(ours), torch.finfo(theirs)
        for field in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
            assert getattr(a, field) == getattr(b, field), field
    elif name != "bool":
        c, d = dg.iinfo(ours), torch.iinfo(theirs)
        for field in ("bits", "max", "min", "dtype"):
            assert getattr(c, field) == getattr(d, field), field


def test_default_dtype_decides_for_python_floats() -> None:
    dg.set_default_dtype(dg.float64)
    torch.set_default_dtype(torch.float64)
    try:
        for name in NAMES:
            for a, ta in operands(name):
                assert name_of(dg.result_type(a, 1.5)) == name_of(torch.result_type(ta, 1.5))
                assert name_of((a / 2).dtype) == name_of((ta / 2).dtype)
    finally:
        dg.set_default_dtype(dg.float32)
        torch.set_default_dtype(torch.float32)


def test_unknown_dtypes_are_named() -> None:
    with pytest.raises(TypeError, match="no tensor dtype for numpy's complex64"):
        dg.tensor(np.ones(2, np.complex64))
    with pytest.raises(TypeError, match=r"set_default_dtype.*floating.*int64"):
        dg.set_default_dtype(dg.int64)
    with pytest.raises(TypeError, match=r"finfo.*floating.*int64.*iinfo"):
        dg.finfo(dg.int64)
    with pytest.raises(TypeError, match=r"iinfo.*integer.*float32.*finfo"):
        dg.iinfo(dg.float32)
