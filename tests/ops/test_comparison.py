"""deepgpu.ops.comparison against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import binary, binary_tensors, unary


def compared(make: Maker) -> Iterator[Sample]:
    yield from binary(make)
    equal = make(4, 3)
    yield Sample(equal, equal.copy())
    yield Sample(make.values([0, 1, 2, 1]), 1)
    if make.is_floating:
        yield Sample(make.values([0.1, 0.2]), 0.1)


def bits(make: Maker) -> Iterator[Sample]:
    yield from binary_tensors(make)
    yield Sample(make(3, 2), 3)
    yield Sample(make(3, 2), True)
    yield Sample(make(2, 3, 4, 5), make(2, 3, 4, 5))


def closeness(make: Maker) -> Iterator[Sample]:
    a = make(3, 4)
    yield Sample(a, a.copy())
    yield Sample(a, make(3, 4))
    yield Sample(a, a + a.dtype.type(1))
    if make.is_floating:
        near = (a.astype(np.float64) * (1 + 1e-3)).astype(a.dtype)
        yield Sample(a, near)
        yield Sample(a, near, rtol=2e-2)
        yield Sample(a, near, rtol=0.0, atol=1.0)
        special = make.special()
        yield Sample(special, special.copy())
        yield Sample(special, special.copy(), equal_nan=True)
    yield Sample(make(0, 2), make(0, 2))


def same(make: Maker) -> Iterator[Sample]:
    a = make(3, 4)
    yield Sample(a, a.copy())
    yield Sample(a, make.full((3, 4), 1))
    yield Sample(a, make(4, 3))
    yield Sample(a, make(4))
    yield Sample(make(), make())
    yield Sample(make(0, 2), make(0, 2))
    yield Sample(make.special(), make.special())


def unequal(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(2, 3), make(4)), rf"`{name}`.*\(2, 3\).*\(4,\)")

    return errors


def no_bits(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(np.ones(3), np.ones(3)), rf"`{name}`.*float64")
        yield Failure(Sample(np.arange(3), np.arange(4)), rf"`{name}`.*\(3,\).*\(4,\)")

    return errors


def not_bits(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(np.ones(3)), "`bitwise_not`.*float64")


def _flat(name: str, samples: Any, errors: Any = None) -> OpEntry:
    return OpEntry(name, samples, errors, differentiable=False, keeps_layout=True)


COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")

ENTRIES = [
    *[_flat(name, compared, unequal(name)) for name in COMPARISONS],
    *[_flat(name, binary_tensors, unequal(name)) for name in ("logical_and", "logical_or", "logical_xor")],
    *[_flat(name, bits, no_bits(name)) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")],
    _flat("bitwise_not", unary, not_bits),
    _flat("logical_not", unary),
    _flat("isnan", unary),
    _flat("isinf", unary),
    _flat("isfinite", unary),
    _flat("isposinf", unary),
    _flat("isneginf", unary),
    _flat("isreal", unary),
    OpEntry("isclose", closeness, differentiable=False),
    OpEntry("allclose", closeness, differentiable=False),
    OpEntry("equal", same, differentiable=False),
]


class TestComparison(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("name", ["__and__", "__or__", "__xor__", "__rand__", "__ror__", "__rxor__"])
def test_bit_operators(name: str) -> None:
    a = np.array([1, 2, 7, -1])
    theirs = getattr(torch.from_numpy(a), name)(3)
    np.testing.assert_array_equal(getattr(dg.tensor(a), name)(3).numpy(), theirs.numpy())
    mask = dg.tensor([True, False])
    assert (mask & dg.tensor([True, True])).tolist() == [True, False]
    assert (~mask).tolist() == [False, True]


def test_in_place_bit_operators() -> None:
    x = dg.tensor([True, False, True])
    memory = x
    x &= dg.tensor([True, True, False])
    x |= dg.tensor([False, True, False])
    x ^= dg.tensor([True, True, True])
    assert x is memory
    assert x.tolist() == [False, False, True]


def test_equality_with_what_is_no_number() -> None:
    x = dg.ones(2)
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True
    with pytest.raises(TypeError, match="not supported between"):
        _ = x < "a"


def test_comparison_chains_with_numpy() -> None:
    x = dg.tensor([1.0, 2.0, 3.0])
    a = np.array([3.0, 2.0, 1.0], np.float32)
    assert (x < a).tolist() == [True, False, False]
    assert (a < x).tolist() == [False, False, True]
    assert (x == a).tolist() == [False, True, False]
    assert 2.0 in x
    assert 5 not in x
