"""CPU matrix products against NumPy's in float64 and exact integers."""

import ml_dtypes
import numpy as np
import pytest

from deepgpu.backends.cpu import gemm

SHAPES = [
    ((3, 4), (4, 5)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((4,), (4,)),
    ((2, 3, 4), (4, 5)),
    ((2, 1, 3, 4), (5, 4, 6)),
]
SHAPES += [((0, 4), (4, 5)), ((3, 0), (0, 5)), ((70, 130), (130, 90))]
DTYPES = [(np.float64, 1e-13), (np.float32, 1e-6), (np.float16, 1e-3), (ml_dtypes.bfloat16, 5e-3)]


def relative_error(actual, expected):
    norm = np.linalg.norm(expected)
    return np.linalg.norm(np.asarray(actual, np.float64) - expected) / (norm if norm else 1.0)


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize(("a_shape", "b_shape"), SHAPES)
def test_floating(a_shape, b_shape, dtype, tolerance):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(a_shape).astype(dtype), rng.standard_normal(b_shape).astype(dtype)
    y = gemm.matmul(a, b)
    expected = np.asarray(np.matmul(a.astype(np.float64), b.astype(np.float64)))
    assert isinstance(y, np.ndarray)
    assert y.dtype == a.dtype
    assert y.shape == expected.shape
    assert relative_error(y, expected) <= tolerance


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_strided_operands(dtype):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((64, 200)).astype(dtype), rng.standard_normal((90, 100)).astype(dtype)
    for left, right in ((a[:, ::2], b.T), (a[::-1, 100:], b.T), (a.T, a), (a[:, :1], a[:1])):
        assert relative_error(gemm.matmul(left, right), left.astype(np.float64) @ right.astype(np.float64)) <= 1e-6


def test_integers_wrap_around():
    a = np.array([[100, 100]], np.int8)
    assert gemm.matmul(a, a.T).tolist() == [[20000 % 256]]  # 32: fits into int8 as it is


def test_float16_overflow_is_infinity():
    a = np.full((1, 64), 60000, np.float16)
    assert gemm.matmul(a, np.ones((64, 1), np.float16))[0, 0] == np.inf
