"""deepgpu.ops.linear_algebra against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import calls, failures

Samples = Callable[[Maker], Iterator[Sample]]


def pairs(*shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> Samples:
    def samples(make: Maker) -> Iterator[Sample]:
        for a, b in shapes:
            yield Sample(make(*a), make(*b))

    return samples


def sums(a: tuple[int, ...], b: tuple[int, ...], *inputs: tuple[int, ...]) -> Samples:
    def samples(make: Maker) -> Iterator[Sample]:
        for shape in inputs:
            yield Sample(make(*shape), make(*a), make(*b))
            yield Sample(make(*shape), make(*a), make(*b), beta=0.5, alpha=2)
        yield Sample(make(*inputs[0]), make(*a), make(*b), beta=0)

    return samples


def crosses(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3), make(3), 0)
    yield Sample(make(2, 3), make(2, 3), dim=1)
    yield Sample(make(3, 2), make(3, 2), 0)
    yield Sample(make(2, 3), make(1, 3), -1)


def points(make: Maker) -> Iterator[Sample]:
    for p in (0, 1, 1.5, 2, 3, float("inf")):
        sample = Sample(make(3, 4), make(2, 4), p)
        yield sample if p else sample.forward_only()
    yield Sample(make(2, 3, 4), make(1, 2, 4))
    yield Sample(make(3, 0), make(2, 0)).forward_only()
    yield Sample(make(2, 3), make(4, 3), compute_mode="use_mm_for_euclid_dist")


def point_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 4), make(2, 3)), r"`cdist`: `x2` takes.*\(3, 4\) and \(2, 3\)")
    yield Failure(Sample(make(3, 4), make(2, 4), -1), "`cdist`: `p` takes.*-1")
    yield Failure(Sample(make(3, 4), make(2, 4), compute_mode="fast"), "`cdist`: `compute_mode` takes.*'fast'")


def differences(make: Maker) -> Iterator[Sample]:
    for p in (1, 2, 3, float("inf")):
        yield Sample(make(3, 4), make(3, 4), p)
    yield Sample(make(3), make(2, 1))


def rows(make: Maker) -> Iterator[Sample]:
    for p in (1, 2, 2.5):
        yield Sample(make(4, 3), p)
    yield Sample(make(1, 3)).forward_only()


def regular(make: Maker, *shape: int) -> np.ndarray:
    """Far from singular, with a positive determinant."""
    n = shape[-1]
    return (make(*shape) * 0.2 + np.eye(n)).astype(make(1).dtype)


def square(make: Maker) -> Iterator[Sample]:
    yield Sample(regular(make, 3, 3))
    yield Sample(regular(make, 2, 3, 3))
    yield Sample(regular(make, 1, 1))


def matrices(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3), make(3, 4), make(4, 2))
    yield Sample(make(2, 3), make(3, 1), make(1, 4), make(4, 2))


def log_of_slogdet(x: torch.Tensor) -> Any:
    """PyTorch gives the sign, too, a node of the graph, with no gradient."""
    sign, log = torch.slogdet(x)
    return sign.detach(), log


def powers(make: Maker) -> Iterator[Sample]:
    yield Sample(regular(make, 3, 3), 0).forward_only()
    for n in (1, 2, 5, -1, -2):
        yield Sample(regular(make, 3, 3), n)
    yield Sample(regular(make, 2, 2, 2), 3)


def square_errors(name: str) -> Callable[[Maker], Iterator[Failure]]:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(2, 3)), rf"`{name}`: `input` takes square.*\(2, 3\)")

    return errors


FEW = ("float64", "float32", "int64")
PRECISE = ("float64", "float32")


def entry(name: str, samples: Samples, errors: Any = None, dtypes: tuple[str, ...] = PRECISE, **kw: Any) -> OpEntry:
    return OpEntry(name, samples, errors, **{"dtypes": dtypes, "layouts": ("transposed",), **kw})


LOOSE = {"float64": (1e-9, 1e-10), "float32": (1e-4, 1e-4)}

ENTRIES = [
    entry("trace", calls(((3, 4),), ((2, 2),), ((0, 2),)), failures("trace", (r"`input`.*\(3,\)", (3,))), FEW),
    entry("inner", pairs(((3,), (3,)), ((2, 3), (4, 3)), ((), (2,)), ((2, 2, 3), (3,)))),
    entry("vdot", pairs(((3,), (3,)), ((0,), (0,)))),
    entry("ger", pairs(((3,), (2,)))),
    entry("addmv", sums((2, 3), (3,), (2,), (1,))),
    entry("addr", sums((2,), (3,), (2, 3), (3,))),
    entry("addbmm", sums((2, 3, 2), (2, 2, 4), (3, 4))),
    entry("kron", pairs(((2, 3), (2, 2)), ((2,), (3,)), ((2,), (2, 2)), ((), (2,))), layouts=()),
    entry("cross", crosses),
    entry("chain_matmul", matrices, reference=lambda *given: torch.linalg.multi_dot(given)),
    entry("cdist", points, point_errors, tolerances=LOOSE, double_backward=False),
    entry("dist", differences),
    entry("pdist", rows, double_backward=False),
    entry("matrix_power", powers, tolerances=LOOSE),
    entry("inverse", square, square_errors("inverse"), tolerances=LOOSE),
    entry("det", square, square_errors("det"), tolerances=LOOSE),
    entry("slogdet", square, square_errors("slogdet"), tolerances=LOOSE, reference=log_of_slogdet),
    entry("logdet", square, tolerances=LOOSE),
]


class TestLinearAlgebra(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("p", [2.0, 1.0])
def test_distances_of_many_points(p: float) -> None:
    x = np.random.default_rng(0).standard_normal((40, 8))
    ours, theirs = dg.cdist(dg.tensor(x), dg.tensor(x), p), torch.cdist(torch.tensor(x), torch.tensor(x), p)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-7, atol=1e-6)


def test_singular_matrices_have_no_inverse() -> None:
    with pytest.raises(RuntimeError, match="`inverse`: `input` takes matrices that have an inverse"):
        dg.inverse(dg.ones(2, 2))


@pytest.mark.parametrize("points", [dg.cdist, dg.pdist])
def test_distances_are_differentiable_twice(points: Callable[..., dg.Tensor]) -> None:
    """PyTorch's are not: finite differences judge."""
    x = dg.randn(4, 3, dtype=dg.float64, requires_grad=True)
    given = [x] if points is dg.pdist else [x, dg.randn(2, 3, dtype=dg.float64, requires_grad=True)]
    assert dg.autograd.gradgradcheck(points, given)
