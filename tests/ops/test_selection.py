"""deepgpu.ops.selection against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import binary_tensors


def limits(make: Maker) -> Iterator[Sample]:
    for shape in ((3, 4), (), (0, 2), (2, 3, 4, 5)):
        yield Sample(make(*shape), -1, 1)
        yield Sample(make(*shape), min=-0.5)
        yield Sample(make(*shape), max=0.7)
        yield Sample(make(*shape), 1, -1)
    yield Sample(make(3, 4), -0.5, 1)
    yield Sample(make(3, 4), make(4, high=-0.5), make(3, 1, low=0.5))
    yield Sample(make(3, 4), make(4))
    yield Sample(make(3, 4), max=make(2, 3, 1))
    yield Sample(make(3, 4), make(4, low=1), make(4, high=0.5))
    yield Sample(make.values([-2, -1, 0, 1, 2]), -1, 1).at_kink()
    yield Sample(make.values([-2, -1, 0, 1, 2]), make.values([-1] * 5), make.values([1] * 5)).at_kink()
    yield Sample(make.special(), -1, 1).forward_only()
    yield Sample(make.special(), min=float("nan")).forward_only()


def limit_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3)), "`clamp`.*`min`.*`max`")
    yield Failure(Sample(make(3), make(4)), r"`clamp`.*\(3,\).*\(4,\)")


def extrema(make: Maker) -> Iterator[Sample]:
    yield from binary_tensors(make)
    yield Sample(make.values([1, 2, 3, 0]), make.values([1, 3, 2, 0])).at_kink()


def extremum_errors(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(3), make(4)), rf"`{name}`.*\(3,\).*\(4,\)")
        yield Failure(Sample(make(3), 2), rf"`{name}`.*`other`.*int")

    return errors


def choices(make: Maker) -> Iterator[Sample]:
    yield Sample(make.mask(3, 4), make(3, 4), make(3, 4))
    yield Sample(make.mask(3, 1), make(4), make(2, 1, 1))
    yield Sample(make.mask(2, 3, 4), make(), make(3, 1))
    yield Sample(make.mask(), make(), make())
    yield Sample(make.mask(0, 3), make(1, 3), make(3))
    yield Sample(make.mask(3, 4), make(3, 4), 1)
    yield Sample(make.mask(3, 4), 0.5, make(3, 4))
    yield Sample(make.mask(3, 4), make(3, 4), 0.1)
    yield Sample(make.mask(2, 3, 4, 5), make(2, 3, 4, 5), make(1, 3, 1, 1))
    yield Sample(make.mask(3), 1, 2).forward_only()
    yield Sample(make.mask(3), 1.5, 2).forward_only()
    yield Sample(make.mask(3), True, False).forward_only()
    yield Sample(make.mask(2, 3)).forward_only()
    special = make.special()
    yield Sample(make.mask(*special.shape), special, make.full(special.shape, 1)).forward_only()


def choice_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), make(3), make(3)), "`where`.*`condition`")
    yield Failure(Sample(make.mask(3), make(4), make(4)), r"`where`.*\(3,\).*\(4,\)")


def fills(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make.mask(3, 4), 1)
    yield Sample(make(3, 4), make.mask(4), make())
    yield Sample(make(3, 1), make.mask(2, 1, 4), 1)
    yield Sample(make(), make.mask(), 0)
    yield Sample(make(), make.mask(2), 0)
    yield Sample(make(0, 2), make.mask(2), 0)
    yield Sample(make(2, 3, 4, 5), make.mask(2, 3, 4, 5), 1)
    yield Sample(make(3, 4), make.mask(3, 4), float("-inf")).at_kink()
    yield Sample(make(3, 4), make.mask(3, 4), 0.5)
    yield Sample(make(3, 4), make.mask(3, 4), True)


def fill_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), make(3), 1), "`masked_fill`.*`mask`.*bool")
    yield Failure(Sample(make(3), make.mask(4), 1), r"`masked_fill`.*\(3,\).*\(4,\)")
    yield Failure(Sample(make(3), make.mask(3), make(3)), r"`masked_fill`.*`value`.*0-d")
    yield Failure(Sample(np.arange(3).astype(np.uint8), make.mask(3), 300), "`masked_fill`.*`value`.*uint8.*300")


ENTRIES = [
    OpEntry("clamp", limits, limit_errors),
    OpEntry("clamp_min", lambda make: iter([Sample(make(3, 4), 0.5), Sample(make(3, 4), make(4))])),
    OpEntry("clamp_max", lambda make: iter([Sample(make(3, 4), 0.5), Sample(make(3, 4), make(4))])),
    OpEntry("maximum", extrema, extremum_errors("maximum"), keeps_layout=True),
    OpEntry("minimum", extrema, extremum_errors("minimum")),
    OpEntry("where", choices, choice_errors, inplace=False, skip={"method": "the method takes the condition second"}),
    OpEntry("masked_fill", fills, fill_errors),
]


class TestSelection(OpTests):
    entries = ENTRIES


def test_method_where_takes_the_condition_second() -> None:
    x = dg.tensor([1.0, -2.0])
    assert x.where(x > 0, 0.0).tolist() == [1.0, 0.0]
    assert torch.tensor([1.0, -2.0]).where(torch.tensor([True, False]), 0.0).tolist() == [1.0, 0.0]


BOUNDS = ((-0.5, 0.5), (None, 0.5), (-0.5, None), (0.5, -0.5), (float("nan"), 1.0), (1, None))


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_clamp_of_many_elements(bounds: tuple[Any, Any], dtype: str) -> None:
    """Large arrays go to another kernel."""
    values = np.random.default_rng(0).standard_normal((70, 90))
    values[0, :4] = np.nan, np.inf, -np.inf, -0.0
    ours = dg.tensor(values).to(getattr(dg, dtype)).requires_grad_()
    theirs = torch.tensor(values).to(getattr(torch, dtype)).requires_grad_()
    for x in (ours, theirs):
        x.clamp(*bounds).sum().backward()
    np.testing.assert_array_equal(ours.clamp(*bounds).tolist(), theirs.clamp(*bounds).tolist())
    np.testing.assert_array_equal(ours.grad.tolist(), theirs.grad.tolist())
