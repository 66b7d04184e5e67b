"""deepgpu.ops.softmax against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import reduction

NAMES = ("softmax", "log_softmax", "softmin")


def rows(make: Maker) -> Iterator[Sample]:
    yield Sample(make(), 0)
    yield Sample(make(), -1)
    for shape in ((5,), (1,), (3, 4), (1, 1), (2, 3, 4), (2, 3, 4, 5), (0,), (2, 0), (0, 3), (2, 0, 3)):
        for dim in range(len(shape)):
            yield Sample(make(*shape), dim)
    yield Sample(make(2, 3, 4), dim=-2)
    yield Sample(make(37, 130), dim=1)
    yield Sample(make(130, 37), dim=0)
    yield Sample(make(3, 4), 1, dtype=dg.float64)
    if make.dtype != "float64":
        yield Sample(make(3, 4), 1, dtype=dg.float32)
    yield Sample(np.arange(6).reshape(2, 3), 0, dtype=dg.float32).forward_only()


def extremes(make: Maker) -> Iterator[Sample]:
    """Values whose exponentials overflow or vanish; rows with infinities and NaN."""
    yield Sample(make.values([[1000, 999, 0], [-1000, -1001, -2000], [80, -80, 0]]), 1)
    inf, nan = float("inf"), float("nan")
    yield Sample(
        make.values([[-inf, 0, 1], [-inf, -inf, -inf], [inf, 0, 1], [inf, inf, 0], [nan, 0, 1], [inf, -inf, 0]]), 1
    ).forward_only()
    yield Sample(make.values([[-inf, 0, 1], [-inf, -inf, 2]]), 1).at_kink()
    for value in (inf, -inf, nan):
        yield Sample(make.values(value), 0).forward_only()


def exponentials(make: Maker) -> Iterator[Sample]:
    for sample in reduction(make):
        if "dim" in sample.kwargs:
            yield sample
    yield Sample(make(2, 0, 3), dim=1).gradient_only()
    yield Sample(make.values([[100, 101], [-100, -101]]), 1)
    if make.is_floating:
        yield Sample(make.values([[np.inf, 1], [-np.inf, -np.inf], [np.nan, 1]]), 1).forward_only()
        yield Sample(make.values([[-np.inf, 1], [2, -np.inf]]), 1).at_kink()


def failures(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(2, 3), 2), rf"`{name}`: `dim` takes.*\[-2, 1\], but got 2")
        yield Failure(Sample(make(), 1), rf"`{name}`: `dim`.*1")
        yield Failure(Sample(np.arange(3), 0), rf"`{name}`: `input` takes a floating-point type, but got deepgpu.int64")
        yield Failure(Sample(make(3), 0, dtype=dg.int32), rf"`{name}`: `dtype` takes a floating-point type")

    return errors


ENTRIES = [
    OpEntry("logsumexp", exponentials),
    *[OpEntry(name, rows, failures(name), dtypes=FLOATING, reference=f"nn.functional.{name}") for name in NAMES],
    *[
        OpEntry(
            name,
            extremes,
            variant="extreme",
            dtypes=FLOATING,
            reference=f"nn.functional.{name}",
            layouts=("transposed", "sliced"),
        )
        for name in NAMES
    ],
]


class TestSoftmax(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (2, 3, 4), (2, 3, 4, 5)])
def test_without_a_dimension(name: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name}"):
        theirs = getattr(torch.nn.functional, name)(torch.tensor(x))
    with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name}") as caught:
        ours = getattr(F, name)(dg.tensor(x))
    assert caught[0].filename == __file__
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12)


@pytest.mark.parametrize("dtype", [dg.float16, dg.bfloat16])
def test_half_rows_are_summed_in_float32(dtype: dg.dtype) -> None:
    """4096 equal numbers: a sum in float16 would stop at 2048, in bfloat16 at 256."""
    x = dg.zeros(2, 4096, dtype=dtype)
    np.testing.assert_array_equal(F.softmax(x, 1).float().numpy(), np.full((2, 4096), 1 / 4096))


def test_third_derivative() -> None:
    x = dg.tensor(np.random.default_rng(0).standard_normal((2, 3)), requires_grad=True)
    for name in NAMES:

        def second(x: dg.Tensor, name: str = name) -> Any:
            (first,) = dg.autograd.grad(getattr(F, name)(x, 1).square().sum(), x, create_graph=True)
            return dg.autograd.grad(first.square().sum(), x, create_graph=True)[0]

        assert dg.autograd.gradcheck(second, [x], fast_mode=True)
