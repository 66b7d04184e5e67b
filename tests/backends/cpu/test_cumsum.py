"""Running sums on the CPU, against float64."""

import numpy as np
import pytest

from deepgpu.backends import registry
from deepgpu.backends.cpu.cumsum import WORTH, cumsum

CPU = registry.get("cpu")
RNG = np.random.default_rng(0)
SHAPES = [
    ((WORTH,), 0),
    ((1, 9001), 1),
    ((129, 77), 1),
    ((5000, 3), 1),
    ((300, 61), 0),
    ((7, 40, 67), 1),
    ((2, 3, 40, 67), 1),
]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_sums(shape: tuple[int, ...], axis: int, dtype: type, reverse: bool) -> None:
    x = RNG.standard_normal(shape).astype(dtype)
    turned = np.asfortranarray(x)
    exact = np.cumsum(np.flip(x, axis) if reverse else x, axis, dtype=np.longdouble)
    exact = np.flip(exact, axis) if reverse else exact
    for laid_out in (x, turned):
        y = cumsum(laid_out, axis, reverse)
        assert y is not None
        assert y.dtype == dtype
        sizes = np.cumsum(np.abs(x), axis, dtype=np.float64)
        sizes = np.flip(np.cumsum(np.flip(np.abs(x), axis), axis, dtype=np.float64), axis) if reverse else sizes
        assert (np.abs(y - exact) <= 2 * np.finfo(dtype).eps * np.maximum(sizes, np.abs(exact))).all()


def test_a_long_sum_keeps_its_digits() -> None:
    """In float32 it would stop growing at 2**24."""
    y = CPU.cumsum(np.ones((1 << 24) + 2**20, np.float32), 0, False)
    assert y[-1] == (1 << 24) + 2**20


def test_nan_stays_from_where_it_is_on() -> None:
    x = np.ones((200, 100), np.float32)
    x[3, 50] = np.nan
    assert np.isnan(CPU.cumsum(x, 1, False)).sum() == 50
    assert np.isnan(CPU.cumsum(x, 1, True)).sum() == 51
    assert np.isnan(CPU.cumsum(x, 0, False)).sum() == 197


def test_what_numpy_does() -> None:
    for x in (
        np.ones(9, np.float32),
        np.ones(WORTH, np.int64),
        np.ones(WORTH, np.float16),
        np.ones((0, 4), np.float32),
    ):
        assert cumsum(x, 0, False) is None
        np.testing.assert_array_equal(CPU.cumsum(x, 0, True), np.flip(np.cumsum(x, 0, x.dtype), 0))
