"""Arithmetic of large arrays by our kernels: the bits of NumPy, which rounds each result once."""

import numpy as np
import pytest

from deepgpu.backends import registry

CPU = registry.get("cpu")
NAMES = ("add", "subtract", "multiply", "true_divide")
SPECIAL = [np.nan, np.inf, -np.inf, 0, -0.0, 1e-40, 3e38]


def operands(dtype: type) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 40_003)).astype(dtype)
    pairs = np.array([(p, q) for p in SPECIAL for q in SPECIAL], dtype)
    a[: len(pairs)], b[: len(pairs)] = pairs.T
    return a, b


def expected(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return getattr(np, name)(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_two_arrays(name: str, dtype: type) -> None:
    a, b = operands(dtype)
    found = CPU.arithmetic(name, a, b)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected(name, a, b))
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected(name, a, b)))


@pytest.mark.parametrize("number", [0.3, 0.0, np.inf, np.nan])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_a_number(name: str, dtype: type, number: float) -> None:
    a, scalar = operands(dtype)[0], dtype(number)
    np.testing.assert_array_equal(CPU.arithmetic(name, a, scalar), expected(name, a, scalar))
    np.testing.assert_array_equal(CPU.arithmetic(name, scalar, a), expected(name, scalar, a))
    np.testing.assert_array_equal(CPU.arithmetic(name, np.array(scalar), a), expected(name, scalar, a))


def test_the_layout_of_the_operands_is_that_of_the_result() -> None:
    a, b = (x[:40_000].reshape(10, 25, 16, 10).transpose(0, 3, 1, 2) for x in operands(np.float32))
    found = CPU.arithmetic("subtract", a, b)
    np.testing.assert_array_equal(found, expected("subtract", a, b))
    assert found.strides == a.strides


def test_operands_of_different_layouts() -> None:
    a, b = (x[:40_000].reshape(10, 25, 16, 10) for x in operands(np.float32))
    b = np.ascontiguousarray(b.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for p, q in ((a, b), (b, a)):
        found = CPU.arithmetic("subtract", p, q)
        np.testing.assert_array_equal(found, expected("subtract", p, q))
        assert found.strides == p.strides


def test_operands_with_gaps() -> None:
    a, b = (x[:40_000].reshape(100, 400) for x in operands(np.float32))
    for p, q in ((a[:, ::2], b[:, 1::2]), (a[:, :200], b[:, :200].copy()), (a[:50], b[::2])):
        np.testing.assert_array_equal(CPU.arithmetic("true_divide", p, q), expected("true_divide", p, q))
    number = np.float32(3)
    np.testing.assert_array_equal(CPU.arithmetic("multiply", a[:, 7:], number), expected("multiply", a[:, 7:], number))


def test_what_numpy_does() -> None:
    a = np.ones((200, 200), np.float32)
    assert CPU.arithmetic("add", a[:1], a[:, :1]) is None  # neither has the shape of the result
    assert CPU.arithmetic("add", a[:, ::2], a[:1, ::2]) is None
    assert CPU.arithmetic("add", a.astype(np.int64), a.astype(np.int64)) is None
    assert CPU.arithmetic("add", a, np.float64(2)) is None
