"""deepgpu.ops.sampling: random tensors, judged by their statistics."""

from typing import Any

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.testing import OpEntry, OpTests

ENTRIES = [
    OpEntry(
        name,
        lambda make: iter(()),
        differentiable=False,
        dtypes=("float32",),
        skip={"forward": "the numbers are random: their statistics are tested below"},
    )
    for name in ("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "bernoulli")
]


class TestSampling(OpTests):
    entries = ENTRIES


N = 200_000


@pytest.mark.parametrize("dtype", [dg.float32, dg.float64, dg.float16, dg.bfloat16])
def test_random_numbers_have_the_promised_moments(dtype: dg.dtype) -> None:
    """Six standard errors of the mean, and as much of the variance, around what the distribution has."""
    g = dg.Generator().manual_seed(0)
    eps = dg.finfo(dtype).eps
    for made, mean, var in [
        (dg.rand(N, dtype=dtype, generator=g), 0.5, 1 / 12),
        (dg.randn(N, dtype=dtype, generator=g), 0.0, 1.0),
    ]:
        values = made.double().numpy()
        assert made.dtype is dtype
        assert abs(values.mean() - mean) < 6 * (var / N) ** 0.5 + eps
        assert abs(values.var() - var) < 6 * var * (2 / N) ** 0.5 + eps
    uniform = dg.rand(N, dtype=dtype, generator=g)
    assert uniform.min().item() >= 0
    assert uniform.max().item() < 1


def test_random_integers() -> None:
    g = dg.Generator().manual_seed(0)
    drawn = dg.randint(-3, 4, (N,), generator=g)
    assert drawn.dtype is dg.int64
    counts = np.bincount(drawn.numpy() + 3, minlength=7)
    assert len(counts) == 7
    chi2 = ((counts - N / 7) ** 2 / (N / 7)).sum()
    assert chi2 < 30  # 6 degrees of freedom: once in 25,000
    assert dg.randint(5, (2, 3), generator=g).shape == (2, 3)
    assert dg.randint(5, (2,), dtype=dg.uint8, generator=g).dtype is dg.uint8
    with pytest.raises(RuntimeError, match=r"`randint`.*`high`.*`low` = 3.*3"):
        dg.randint(3, 3, (2,))
    order = dg.randperm(100, generator=g)
    assert sorted(order.tolist()) == list(range(100))
    assert order.tolist() != list(range(100))
    assert dg.randperm(0).shape == (0,)


def test_random_likes_and_bernoulli() -> None:
    x = dg.zeros(50, 40, dtype=dg.float64)
    assert dg.rand_like(x).dtype is dg.randn_like(x).dtype is dg.float64
    assert dg.rand_like(x).shape == dg.randn_like(x).shape == (50, 40)
    p = dg.tensor([0.0, 1.0, 0.3]).reshape(3, 1).expand(3, N)
    drawn = dg.bernoulli(p, generator=dg.Generator().manual_seed(0))
    assert set(np.unique(drawn.numpy())) == {0.0, 1.0}
    low, high, some = drawn.mean(1).tolist()
    assert (low, high) == (0, 1)
    assert abs(some - 0.3) < 6 * (0.21 / N) ** 0.5
    with pytest.raises(RuntimeError, match=r"`bernoulli`.*probabilities"):
        dg.bernoulli(dg.tensor([1.5]))


def test_a_seed_determines_the_numbers() -> None:
    def draw() -> list[Any]:
        return [dg.rand(3).tolist(), dg.randn(3).tolist(), dg.randint(9, (3,)).tolist(), dg.randperm(5).tolist()]

    dg.manual_seed(7)
    first = draw()
    state = dg.get_rng_state()
    second = draw()
    dg.set_rng_state(state)
    assert draw() == second
    dg.manual_seed(7)
    assert draw() == first
    assert first != second
    assert dg.initial_seed() == 7
