"""deepgpu.ops.reduction against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import reduction, reduction_of_one


def with_empty(make: Maker) -> Iterator[Sample]:
    yield from reduction(make)
    yield Sample(make(0))
    yield Sample(make(2, 0, 3), dim=1)
    yield Sample(make(2, 0, 3), dim=0)
    yield Sample(make(2, 3), dim=())
    yield Sample(make(2, 3), dim=[0, 1])
    yield Sample(make(2, 3), dim=None)
    yield Sample(make.special()).forward_only()


def with_dtype(make: Maker) -> Iterator[Sample]:
    yield from with_empty(make)
    yield Sample(make(3, 4), dim=1, dtype=dg.float64)
    yield Sample(make(3, 4), dtype=dg.float32).forward_only()
    yield Sample(make(3, 4), 0, True)


def means(make: Maker) -> Iterator[Sample]:
    yield from with_dtype(make)


def spread(make: Maker) -> Iterator[Sample]:
    for sample in reduction(make):
        shape, dim = sample.args[0].shape, sample.kwargs.get("dim")
        dims = range(len(shape)) if dim is None else [dim] if isinstance(dim, int) else dim
        n = int(np.prod([shape[d] for d in dims])) if shape else 1
        if n > 1:
            yield sample
            yield Sample(*sample.args, **sample.kwargs, correction=0)
            yield Sample(*sample.args, **sample.kwargs, correction=0.5)
    yield Sample(make(3, 4), unbiased=False)
    yield Sample(make(3, 4), False)
    yield Sample(make(3, 4), 1, True)
    yield Sample(make(3, 4), 1, False, True)
    yield Sample(make(3, 4), dim=1, unbiased=True)


def products(make: Maker) -> Iterator[Sample]:
    yield from reduction_of_one(make)
    yield Sample(make(0))
    yield Sample(make(2, 0, 3), dim=1)
    yield Sample(make.values([[1, 0, 2], [0, 3, 0]]), dim=1)
    yield Sample(make.values([[1, 0, 2], [1, 3, 2]]))
    yield Sample(make(3, 4), dim=1, dtype=dg.float64)


def running(make: Maker) -> Iterator[Sample]:
    for dim in (0, 1, -1):
        yield Sample(make(2, 3, 4), dim)
    yield Sample(make(), 0)
    yield Sample(make(2, 0, 3), 1)
    yield Sample(make(2, 3, 4, 5), dim=1)
    yield Sample(make(3, 4), 1, dtype=dg.float64)


def no_such_dim(name: str, twice: bool = True) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(2, 3), dim=2), rf"`{name}`.*`dim`.*-2, 1.*2")
        yield Failure(Sample(make(2, 3), dim=-3), rf"`{name}`.*`dim`.*-3")
        if twice:
            yield Failure(Sample(make(2, 3), dim=(0, 0)), rf"`{name}`.*twice")

    return errors


def mean_errors(make: Maker) -> Iterator[Failure]:
    yield from no_such_dim("mean")(make)
    yield Failure(Sample(np.arange(3)), "`mean`.*floating.*int64")


ENTRIES = [
    OpEntry("sum", with_dtype, no_such_dim("sum")),
    OpEntry("mean", means, mean_errors),
    OpEntry("var", spread, no_such_dim("var")),
    OpEntry("std", spread, no_such_dim("std")),
    OpEntry("prod", products, no_such_dim("prod", twice=False), domain=(0.3, 1.5)),
    OpEntry("any", with_empty, no_such_dim("any"), differentiable=False),
    OpEntry("all", with_empty, no_such_dim("all"), differentiable=False),
    OpEntry("cumsum", running, skip={"inplace:bool": "PyTorch takes 0-d and empty bool tensors only"}),
    OpEntry(
        "count_nonzero",
        lambda make: (
            Sample(*s.args, **{k: v for k, v in s.kwargs.items() if k != "keepdim"}) for s in reduction(make)
        ),
        differentiable=False,
    ),
]


class TestReduction(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("dtype", [dg.float16, dg.bfloat16])
def test_half_sums_accumulate_in_float32(dtype: dg.dtype) -> None:
    x = dg.ones(5000, dtype=dtype)  # in the dtype itself, the sum would stop growing at 2048 or 256
    assert x.sum().item() == dg.tensor(5000.0).to(dtype).item()
    assert x.mean().item() == 1
    assert x.reshape(50, 100).mean(0).tolist() == [1] * 100
    assert x.norm().item() == dg.tensor(5000.0**0.5).to(dtype).item()
    assert x.var().item() == 0


def test_mean_of_large_half_numbers() -> None:
    x = dg.full((100,), 60000.0, dtype=dg.float16)  # their sum overflows float16, their mean does not
    assert x.mean().item() == 60000


def test_sum_of_uint8_does_not_wrap() -> None:
    assert dg.full((10,), 200, dtype=dg.uint8).sum().item() == 2000


def test_product_gradient_is_exact_with_zeros() -> None:
    """The judge multiplies out: the gradient is the product of the others."""
    for data in ([2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [2.0, 5.0, 3.0]):
        x = dg.tensor(data, dtype=dg.float64, requires_grad=True)
        x.prod().backward()
        expected = [np.prod([v for j, v in enumerate(data) if j != i]) for i in range(3)]
        np.testing.assert_allclose(x.grad.numpy(), expected)


def test_reductions_of_float32_use_the_whole_precision() -> None:
    """Pairwise sums: the error of a million additions stays far below that of adding one by one."""
    x = np.random.default_rng(0).uniform(0, 1, 1_000_000).astype(np.float32)
    exact = x.astype(np.float64).sum()
    assert abs(dg.from_numpy(x).sum().item() - exact) / exact < 1e-6
