"""Sums into memory that exists, against NumPy's."""

import numpy as np
import pytest

from deepgpu.backends.cpu.accumulate import WORTH, accumulate

RNG = np.random.default_rng(0)


def image(layout: str, dtype: str, size: int) -> np.ndarray:
    n = -(-size // (8 * 6 * 7))
    x = RNG.standard_normal((n, 8, 6, 7) if layout != "channels-last" else (n, 6, 7, 8)).astype(dtype)
    return {
        "channels-last": lambda: x.transpose(0, 3, 1, 2),
        "first": lambda: x,
        "strided": lambda: np.repeat(x, 2, axis=3)[..., ::2],
    }[layout]()


@pytest.mark.parametrize("size", [1, 2 * WORTH - 400, 2 * WORTH, 5 * WORTH + 77])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
@pytest.mark.parametrize(
    "layouts", [("first", "first"), ("channels-last",) * 2, ("first", "strided"), ("strided",) * 2]
)
def test_sum(layouts: tuple[str, str], dtype: str, size: int) -> None:
    total, other = (image(layout, dtype, size) for layout in layouts)
    expected = total + other
    accumulate(total, other)
    np.testing.assert_array_equal(total, expected)


def test_two_layouts() -> None:
    total, other = image("first", "float32", 3 * WORTH), image("channels-last", "float32", 3 * WORTH)
    expected = total + other
    accumulate(total, other)
    np.testing.assert_array_equal(total, expected)
