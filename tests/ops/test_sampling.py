"""deepgpu.ops.sampling: random tensors, judged by their statistics."""

from typing import Any

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.testing import OpEntry, OpTests

NAMES = ("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "bernoulli")
NAMES += ("normal", "multinomial", "poisson")

ENTRIES = [
    OpEntry(
        name,
        lambda make: iter(()),
        differentiable=False,
        dtypes=("float32",),
        skip={"forward": "the numbers are random: their statistics are tested below"},
    )
    for name in NAMES
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


def test_normal_takes_numbers_and_tensors() -> None:
    g = dg.Generator().manual_seed(0)
    drawn = dg.normal(2.0, 3.0, (N,), generator=g).double().numpy()
    assert abs(drawn.mean() - 2) < 6 * 3 / N**0.5
    assert abs(drawn.std() - 3) < 6 * 3 / (2 * N) ** 0.5
    means, stds = dg.tensor([0.0, 100.0]).reshape(2, 1).expand(2, 1000), dg.tensor([1.0, 0.0]).reshape(2, 1)
    both = dg.normal(means, stds, generator=g)
    assert both.shape == (2, 1000)
    assert both[1].tolist() == [100.0] * 1000
    assert abs(both[0].mean().item()) < 0.2
    assert dg.normal(dg.zeros(3), 2.0).shape == (3,)
    with pytest.raises(RuntimeError, match=r"`normal`: `std` takes.*-1"):
        dg.normal(0.0, -1.0, (2,))


def test_multinomial_draws_in_proportion() -> None:
    g = dg.Generator().manual_seed(0)
    weights = dg.tensor([1.0, 0.0, 3.0, 4.0])
    share = np.bincount(dg.multinomial(weights, N, True, generator=g).numpy(), minlength=4) / N
    np.testing.assert_allclose(share, [1 / 8, 0, 3 / 8, 1 / 2], atol=6 * 0.5 / N**0.5)
    rows = dg.multinomial(weights.expand(N // 10, 4), 2, generator=g).numpy()
    assert rows.shape == (N // 10, 2)
    assert (rows[:, 0] != rows[:, 1]).all()
    first = np.bincount(rows[:, 0], minlength=4) / len(rows)
    np.testing.assert_allclose(first, [1 / 8, 0, 3 / 8, 1 / 2], atol=6 * 0.5 / len(rows) ** 0.5)
    after_last = rows[rows[:, 0] == 3, 1]  # the second draw is among what is left: 1 against 3
    assert abs((after_last == 2).mean() - 3 / 4) < 6 * 0.5 / len(after_last) ** 0.5
    for bad, count, message in [
        ([1.0, -1.0], 1, "not negative"),
        ([0.0, 0.0], 1, "not all 0"),
        ([1.0, 1.0], 3, r"1\.\.2 without replacement"),
        ([1.0, 0.0], 2, "at most 1"),
    ]:
        with pytest.raises(RuntimeError, match=f"`multinomial`.*{message}"):
            dg.multinomial(dg.tensor(bad), count)


def test_other_distributions() -> None:
    g = dg.Generator().manual_seed(0)
    counts = dg.poisson(dg.full((N,), 2.5), g).double().numpy()
    assert abs(counts.mean() - 2.5) < 6 * (2.5 / N) ** 0.5
    assert set(np.unique(dg.randint_like(dg.zeros(1000), 2, 5).numpy())) == {2.0, 3.0, 4.0}
    x = dg.empty(N, dtype=dg.float64)
    assert abs(x.exponential_(2.0, generator=g).mean().item() - 0.5) < 6 * 0.5 / N**0.5
    assert abs(x.log_normal_(0.1, 0.5, generator=g).log().mean().item() - 0.1) < 6 * 0.5 / N**0.5
    assert abs(x.cauchy_(3.0, 2.0, generator=g).median().item() - 3) < 0.05
    assert abs(x.geometric_(0.25, generator=g).mean().item() - 4) < 6 * 3.5 / N**0.5
    whole = dg.empty(N, dtype=dg.uint8).random_(generator=g)
    assert whole.max().item() == 254
    assert set(np.unique(dg.empty(1000).random_(2, 4, generator=g).numpy())) == {2.0, 3.0}
