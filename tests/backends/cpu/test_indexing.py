"""Sums by index on the CPU, against NumPy's."""

import numpy as np
import pytest

from deepgpu.backends import registry
from deepgpu.backends.cpu.indexing import add_at

CPU = registry.get("cpu")
RNG = np.random.default_rng(0)


def whole(*shape: int, dtype: type = np.float32) -> np.ndarray:
    """Numbers whose sums are exact in any order."""
    return RNG.integers(-50, 50, shape).astype(dtype)


def hold_to_numpy(out: np.ndarray, index: tuple, values: np.ndarray, ours: bool = True) -> None:
    expected = out.copy()
    np.add.at(expected, index, values)
    if ours:
        assert add_at(out, index, values)
    else:
        before = out.copy()
        assert not add_at(out, index, values)
        np.testing.assert_array_equal(out, before)
        CPU.add_at(out, index, values)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows(dtype: type) -> None:
    for rows, n, width in ((1000, 8192, 128), (3, 700, 5), (50, 30, 257)):
        index = RNG.integers(0, rows, n)
        hold_to_numpy(whole(rows, width, dtype=dtype), (index,), whole(n, width, dtype=dtype))
    index = RNG.integers(0, 9, (30, 11)).astype(np.int32)
    hold_to_numpy(whole(9, 4, 6, dtype=dtype), (index,), whole(30, 11, 4, 6, dtype=dtype))
    hold_to_numpy(whole(9, 4, 6, dtype=dtype), (index,), whole(4, 6, dtype=dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elements(dtype: type) -> None:
    i, j = RNG.integers(0, 40, (700, 1)), RNG.integers(0, 30, (1, 9))
    hold_to_numpy(whole(40, 30, dtype=dtype), (i, j), whole(700, 9, dtype=dtype))
    hold_to_numpy(whole(40, dtype=dtype), (i,), whole(700, 1, dtype=dtype))


def test_what_numpy_does() -> None:
    out, index, values = whole(40, 30), RNG.integers(0, 40, 700), whole(700, 30)
    hold_to_numpy(out, (index - 40,), values, ours=False)  # counted from the end
    hold_to_numpy(out, (slice(None), RNG.integers(0, 30, 70)), whole(40, 70), ours=False)
    hold_to_numpy(out.T, (RNG.integers(0, 30, 700),), whole(700, 40), ours=False)
    hold_to_numpy(whole(40, 30).astype(np.int64), (index,), values.astype(np.int64), ours=False)
    hold_to_numpy(out, (out > 3,), np.float32(2), ours=False)
    hold_to_numpy(out, (index[:2],), values[:2], ours=False)  # few
    with pytest.raises(IndexError):
        CPU.add_at(out, (index + 1000,), values)
    with pytest.raises(ValueError, match="broadcast"):
        CPU.add_at(out, (index,), values[:, :7])


def test_the_order_of_sums_does_not_depend_on_the_number_of_threads() -> None:
    import deepgpu as dg

    index, values, alone, found = (
        RNG.integers(0, 50, 9000),
        RNG.standard_normal((9000, 64), np.float32),
        dg.get_num_threads(),
        [],
    )
    try:
        for threads in (1, 2):
            dg.set_num_threads(threads)
            found.append(np.zeros((50, 64), np.float32))
            assert add_at(found[-1], (index,), values)
    finally:
        dg.set_num_threads(alone)
    np.testing.assert_array_equal(*found)
