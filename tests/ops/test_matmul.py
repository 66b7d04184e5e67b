"""deepgpu.ops.matmul against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample

RANKS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((1, 1), (1, 1)),
    ((3,), (2, 3, 4)),
    ((2, 4, 3), (3,)),
    ((2, 3), (4, 3, 2)),
    ((4, 2, 3), (3, 2)),
    ((2, 4, 3), (2, 3, 5)),
    ((1, 4, 3), (2, 3, 5)),
    ((2, 1, 4, 3), (5, 3, 2)),
    ((5, 3, 2), (2, 1, 2, 3)),
    ((2, 3, 4, 5), (2, 3, 5, 4)),
)
"""Every combination of ranks, batches that broadcast, sizes of 1."""

EMPTY: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((0,), (0,)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 2)),
    ((3, 2), (2, 0)),
    ((2, 3, 0), (0, 4)),
    ((0, 2, 3), (3, 4)),
    ((2, 0, 3), (3,)),
    ((0, 2, 3), (1, 3, 2)),
    ((2, 3, 0), (2, 0, 4)),
)
"""Nothing to sum, or nothing to compute."""


def products(make: Maker) -> Iterator[Sample]:
    for a, b in (*RANKS, *EMPTY):
        yield Sample(make(*a), make(*b))


def of_ranks(*ranks: int) -> Any:
    """The samples of :func:`products` whose operands have these ranks, batches of one size."""

    def samples(make: Maker) -> Iterator[Sample]:
        for a, b in (*RANKS, *EMPTY):
            if (len(a), len(b)) == ranks and (len(a) < 3 or a[0] == b[0]):
                yield Sample(make(*a), make(*b))

    return samples


def special_products(make: Maker) -> Iterator[Sample]:
    yield Sample(make.values([[np.inf, 1], [np.nan, 2]]), make(2, 3, low=0.5)).forward_only()


def outer_products(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3), make(4))
    yield Sample(make(0), make(4))
    yield Sample(make(3), make(0))
    yield Sample(make(2), np.arange(3.0, dtype=np.float64)).forward_only()


def sums(make: Maker) -> Iterator[Sample]:
    for shape in ((3, 5), (5,), (3, 1), (1, 1), ()):
        yield Sample(make(*shape), make(3, 4), make(4, 5))
    yield Sample(make(3, 5), make(3, 4), make(4, 5), beta=2, alpha=3)
    yield Sample(make(3, 5), make(3, 4), make(4, 5), beta=0)
    yield Sample(make(3, 5), make(3, 0), make(0, 5), beta=2)
    yield Sample(make(0, 5), make(0, 4), make(4, 5))
    if make.is_floating:
        yield Sample(make(5), make(3, 4), make(4, 5), beta=0.5, alpha=-1.5)
        yield Sample(make.full((3, 5), np.nan), make(3, 4), make(4, 5), beta=0)


def batched_sums(make: Maker) -> Iterator[Sample]:
    for shape in ((2, 3, 5), (3, 5), (5,), (2, 1, 1), ()):
        yield Sample(make(*shape), make(2, 3, 4), make(2, 4, 5))
    yield Sample(make(2, 3, 5), make(2, 3, 4), make(2, 4, 5), beta=2, alpha=3)
    yield Sample(make(0, 3, 5), make(0, 3, 4), make(0, 4, 5))
    yield Sample(make(2, 3, 5), make(2, 3, 0), make(2, 0, 5))
    if make.is_floating:
        yield Sample(make.full((3, 5), np.nan), make(2, 3, 4), make(2, 4, 5), beta=0)


def linear_layers(make: Maker) -> Iterator[Sample]:
    for shape in ((3,), (1, 3), (4, 3), (2, 4, 3), (2, 1, 4, 3), (0, 3), (2, 0, 3)):
        yield Sample(make(*shape), make(5, 3))
        yield Sample(make(*shape), make(5, 3), make(5))
        yield Sample(make(*shape), make(3))
    yield Sample(make(4, 3), make(5, 3), make())
    yield Sample(make(4, 3), make(5, 3), make(1))
    yield Sample(make(4, 0), make(5, 0), make(5))
    yield Sample(make(4, 3), make(0, 3), make(0))


def product_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 3), make(4, 2)), r"`matmul`: `other` takes 3 rows.*\(2, 3\).*\(4, 2\)")
    yield Failure(Sample(make(2, 3), make(2)), r"`matmul`: `other` takes 3 rows.*\(2,\)")
    yield Failure(Sample(make(2, 2, 3), make(4, 3, 2)), r"`matmul`.*\(2,\) and \(4,\)")
    yield Failure(Sample(make(), make(3)), r"`matmul`.*at least one dimension.*\(\) and \(3,\)")
    yield Failure(Sample(make(2, 3), np.ones((3, 2), np.int64)), "`matmul`: `other` takes the dtype.*float64.*int64")
    yield Failure(Sample(make(2, 3), 2), "`matmul`: `other` takes a tensor, but got 2 of type int")


def rank_errors(name: str, *shapes: tuple[int, ...]) -> Any:
    """Wrong ranks, then operands that do not fit."""

    def errors(make: Maker) -> Iterator[Failure]:
        good = [make(*[2] * len(shape)) for shape in shapes]
        yield Failure(Sample(make(2, 2, 2, 2), good[1]), rf"`{name}`.*dimensions.*\(2, 2, 2, 2\)")
        yield Failure(Sample(good[0], 2), rf"`{name}`: `\w+` takes a tensor, but got 2")
        yield Failure(Sample(*[make(*shape) for shape in shapes]), rf"`{name}`: `\w+` takes .*{shapes[1][0]}")

    return errors


def outer_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), make(3, 1)), r"`outer`.*\(3,\) and \(3, 1\)")


def sum_errors(make: Maker) -> Iterator[Failure]:
    a, b = make(2, 3), make(3, 2)
    yield Failure(Sample(make(3), a, b), r"`addmm`: `input` takes.*\(2, 2\).*\(3,\)")
    yield Failure(Sample(make(1, 2, 2), a, b), r"`addmm`: `input` takes.*\(2, 2\).*\(1, 2, 2\)")
    yield Failure(Sample(make(2), a, a), r"`addmm`: `mat2` takes 3 rows.*\(2, 3\)")
    yield Failure(Sample(make(2), a, make(3)), r"`addmm`: `mat2` takes.*\(2, 3\) and \(3,\)")
    yield Failure(Sample(np.ones(2, np.float32), a, b), "`addmm`: `input` takes the dtype.*float64.*float32")


def batched_sum_errors(make: Maker) -> Iterator[Failure]:
    a, b = make(2, 3, 4), make(2, 4, 5)
    yield Failure(Sample(make(4), a, b), r"`baddbmm`: `input` takes.*\(2, 3, 5\).*\(4,\)")
    yield Failure(Sample(make(5), a, make(3, 4, 5)), r"`baddbmm`: `batch2` takes.*2.*\(3, 4, 5\)")


def linear_errors(make: Maker) -> Iterator[Failure]:
    x, w = make(4, 3), make(5, 3)
    yield Failure(Sample(x, make(5, 4)), r"`linear`: `input` takes \(..., 4\).*\(5, 4\).*\(4, 3\)")
    yield Failure(Sample(make(), w), r"`linear`: `input` takes.*shape \(\)")
    yield Failure(Sample(x, make(2, 2, 3)), r"`linear`: `weight` takes.*\(2, 2, 3\)")
    yield Failure(Sample(x, w, make(4)), r"`linear`: `bias` takes.*\(4, 5\).*\(4,\)")
    yield Failure(Sample(x, w.astype(np.float32)), "`linear`: `weight` takes the dtype.*float64.*float32")
    yield Failure(Sample(x, w, np.ones(5, np.float32)), "`linear`: `bias` takes the dtype.*float64.*float32")


HALF = {"float16": (4e-3, 8e-3), "bfloat16": (3e-2, 6e-2)}
"""Sums of a few products near 4, and the sum rounded once more."""

NUMBERS = (*FLOATING, "int64", "int32", "uint8")
"""Bools only have empty products, and outer ones."""

ENTRIES = [
    OpEntry("matmul", products, product_errors, dtypes=NUMBERS, tolerances=HALF),
    OpEntry("matmul", special_products, variant="special", dtypes=("float64", "float32"), differentiable=False),
    OpEntry("mm", of_ranks(2, 2), rank_errors("mm", (2, 3), (4, 2)), dtypes=NUMBERS, tolerances=HALF),
    OpEntry("bmm", of_ranks(3, 3), rank_errors("bmm", (2, 3, 4), (3, 4, 2)), dtypes=NUMBERS, tolerances=HALF),
    OpEntry("mv", of_ranks(2, 1), rank_errors("mv", (2, 3), (2,)), dtypes=NUMBERS, tolerances=HALF),
    OpEntry("dot", of_ranks(1, 1), rank_errors("dot", (2,), (3,)), dtypes=NUMBERS, tolerances=HALF),
    OpEntry("outer", outer_products, outer_errors),
    OpEntry("addmm", sums, sum_errors, dtypes=NUMBERS, tolerances=HALF),
    OpEntry("baddbmm", batched_sums, batched_sum_errors, dtypes=NUMBERS, tolerances=HALF),
    OpEntry("linear", linear_layers, linear_errors, dtypes=NUMBERS, tolerances=HALF),
]


class TestMatmul(OpTests):
    entries = ENTRIES


def test_operator() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal((dg.tensor(a) @ dg.tensor(b)).numpy(), a @ b)
    np.testing.assert_array_equal((dg.tensor(a) @ b).numpy(), a @ b)
    np.testing.assert_array_equal((a @ dg.tensor(b)).numpy(), a @ b)
    with pytest.raises(TypeError, match="unsupported operand"):
        dg.tensor(a) @ 2


@pytest.mark.parametrize("name", ["matmul", "mm", "linear"])
def test_bools_are_refused(name: str) -> None:
    mask = dg.ones(2, 2, dtype=dg.bool)
    with pytest.raises(RuntimeError, match=f"`{name}`: `input` takes numbers"):
        getattr(dg.nn.functional if name == "linear" else dg, name)(mask, mask)


def test_integers_wrap_around() -> None:
    a = np.array([[100, 100], [-128, 3]], np.int8)
    np.testing.assert_array_equal((dg.tensor(a) @ dg.tensor(a)).numpy(), (torch.tensor(a) @ torch.tensor(a)).numpy())


def test_integer_sums_take_integer_factors() -> None:
    a = dg.ones(2, 2, dtype=dg.int64)
    with pytest.raises(RuntimeError, match="`addmm`: `alpha` takes an integer"):
        dg.addmm(a, a, a, alpha=0.5)


def test_only_what_a_gradient_needs_is_kept() -> None:
    """The gradient of the weight does not need the weight."""
    x, w = dg.ones(2, 3), dg.ones(3, 4, requires_grad=True)
    y = x @ w
    with dg.no_grad():
        w.add_(1)
    y.sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), np.full((3, 4), 2))
    y = x @ w
    x.add_(1)
    with pytest.raises(RuntimeError, match=r"MatmulBackward.*modified in place"):
        y.sum().backward()


@pytest.mark.parametrize("dtype", [dg.float16, dg.bfloat16])
def test_half_products_are_summed_in_float32(dtype: dg.dtype) -> None:
    """4096 products of 1 summed in float16 stop at 2048, in bfloat16 at 256."""
    ones = dg.ones(1, 4096, dtype=dtype)
    assert (ones @ ones.t()).item() == 4096


@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", [(1, 1, 1), (17, 33, 65), (64, 128, 256), (200, 1, 130), (3, 500, 2)])
def test_sizes_of_real_layers(shape: tuple[int, int, int], transposed: tuple[bool, bool]) -> None:
    """Edges of tiles, long and flat operands; against sums in float64."""
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    x, y = (
        dg.tensor(np.ascontiguousarray(z.T)).t() if flip else dg.tensor(z)
        for z, flip in zip((a, b), transposed, strict=True)
    )
    expected = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose((x @ y).numpy(), expected, rtol=1e-5, atol=1e-6 * k)
