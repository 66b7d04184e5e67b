"""Arithmetic of a large array and one that is broadcast to it, by our kernels: the bits of NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from deepgpu.backends.cpu.broadcast import arithmetic, repeated, rows
from tests.backends.cpu.layouts import channels_last

RNG = np.random.default_rng(0)
NAMES = ("add", "subtract", "multiply", "true_divide")


def floats(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return RNG.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lay", [np.ascontiguousarray, channels_last])
@pytest.mark.parametrize("shape", [(3, 8, 1, 1), (8, 1, 1), (1, 8, 1, 1), (7,), (6, 7), (3, 1, 6, 7), (3, 1, 1, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_images(name: str, shape: tuple[int, ...], lay, dtype: type) -> None:
    x, other = lay(floats(3, 8, 6, 7, dtype=dtype)), floats(*shape, dtype=dtype)
    for a, b in ((x, other), (other, x)):
        found = arithmetic(name, a, b)
        assert found is not None
        assert found.dtype == dtype
        assert found.strides == x.strides
        np.testing.assert_array_equal(found, getattr(np, name)(a, b))


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_any_shapes(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    order = data.draw(st.permutations(range(len(shape))))
    x = floats(*[shape[d] for d in order]).transpose(np.argsort(order))
    smaller = [size if data.draw(st.booleans()) else 1 for size in shape][data.draw(st.integers(0, len(shape) - 1)) :]
    turned = data.draw(st.permutations(range(len(smaller))))
    other = floats(*[smaller[d] for d in turned]).transpose(np.argsort(turned))
    if other.size == x.size:
        return
    for a, b in ((x, other), (other, x)):
        found = arithmetic("subtract", a, b)
        if found is not None:
            np.testing.assert_array_equal(found, a - b)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 1, 1), (1, 9, 1), (1, 1, 8), (5, 1, 8), (5, 9, 1), (1, 9, 8)])
def test_expanded_arrays(shape: tuple[int, ...]) -> None:
    x, small = floats(5, 9, 8), floats(*shape)
    other = np.broadcast_to(small, x.shape)
    for a, b in ((x, other), (other, x)):
        np.testing.assert_array_equal(arithmetic("subtract", a, b), a - b)
    assert arithmetic("add", other, other) is None
    y = repeated(other)
    assert y is not None
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(y, other)
    assert repeated(x) is None


def test_rows_are_as_long_as_they_can_be() -> None:
    def of(x: np.ndarray, other: np.ndarray) -> tuple[int, int]:
        found = rows(x.shape, x.strides, other.shape, other.strides, 4)
        assert found is not None
        return len(found.starts), found.step

    x = floats(3, 8, 6, 7)
    assert of(x, floats(8, 1, 1)) == (24, 0)
    assert of(channels_last(x), floats(8, 1, 1)) == (126, 1)
    assert of(channels_last(x), floats(3, 8, 1, 1)) == (126, 1)
    assert of(x, floats(6, 7)) == (24, 1)
    assert of(x, floats(3, 1, 1, 1)) == (3, 0)


def test_a_smaller_operand_with_gaps() -> None:
    x, other = floats(50, 40), floats(100, 80)
    for small in (other[::2, :1], other[-1, ::2], other[::-2, :1], other.T[:40, 7]):
        np.testing.assert_array_equal(arithmetic("subtract", x, small), x - small)


def test_special_values() -> None:
    special = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-40, 3e38], np.float32)
    x = np.repeat(special[:, None], 7, 1)
    with np.errstate(all="ignore"):
        for name in NAMES:
            np.testing.assert_array_equal(arithmetic(name, x, special), getattr(np, name)(x, special))
            np.testing.assert_array_equal(arithmetic(name, special, x), getattr(np, name)(special, x))


def test_what_numpy_does() -> None:
    x = floats(50, 40)
    assert arithmetic("add", x[:, :1], x[:1]) is None  # neither has the shape of the result
    assert arithmetic("add", x[:, ::2], x[0, ::2]) is None
    assert arithmetic("add", x.reshape(1000, 2), x.reshape(1000, 2)[:, :1]) is None  # short rows
