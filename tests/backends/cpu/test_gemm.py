"""CPU matrix products against NumPy's in float64 and exact integers."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from deepgpu.backends.cpu import gemm

SHAPES = [
    ((3, 4), (4, 5)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((4,), (4,)),
    ((2, 3, 4), (4, 5)),
    ((2, 1, 3, 4), (5, 4, 6)),
]
SHAPES += [((0, 4), (4, 5)), ((3, 0), (0, 5)), ((70, 130), (130, 90)), ((700, 500), (500,)), ((500,), (500, 700))]
SHAPES += [((3, 700, 0), (0, 500))]
# large enough for the kernel: tails of every block and panel, stacks, one tall matrix, broadcasts
SHAPES += [((193, 257), (257, 129)), ((7, 3000), (3000, 17)), ((600, 97), (97, 33)), ((5, 70, 80), (5, 80, 90))]
SHAPES += [((4, 90, 80), (80, 90)), ((90, 80), (4, 80, 90)), ((2, 1, 60, 70), (3, 70, 60)), ((2, 600), (600, 700))]
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
    large, stack = rng.standard_normal((300, 700)).astype(dtype), rng.standard_normal((4, 90, 80)).astype(dtype)
    pairs = [
        (a[:, ::2], b.T),
        (a[::-1, 100:], b.T),
        (a.T, a),
        (a[:, :1], a[:1]),
        (large, large.T),
        (large.T, large),
        (large.T, large.T[:300, :300]),
        (large[:, ::2], large[:, 1::2].T),
        (large[::-1], large[:, ::-1].T),
        (large[:, 5:105], large[20:120]),
        (stack.transpose(0, 2, 1), stack),
        (stack, stack.transpose(0, 2, 1)),
        (stack[::2], stack[::2].transpose(0, 2, 1)[:, :, ::3]),
        (np.broadcast_to(stack[0], (4, 90, 80)), stack.transpose(0, 2, 1)),
        (stack.transpose(1, 0, 2), stack[0].T[None, :, :4] * np.ones((90, 1, 1), dtype)),
    ]
    for left, right in pairs:
        assert relative_error(gemm.matmul(left, right), left.astype(np.float64) @ right.astype(np.float64)) <= 1e-6


VECTORS = [((700, 900), (900,)), ((900,), (900, 700)), ((1, 900), (900, 700)), ((700, 900), (900, 1))]
VECTORS += [((1, 300_000), (300_000, 1)), ((300_000,), (300_000,)), ((300_000, 1), (1, 1)), ((1, 1), (1, 300_000))]
VECTORS += [((3, 700, 900), (900,)), ((900,), (3, 900, 700)), ((3, 1, 900), (900, 700)), ((600, 1), (1, 700))]


@pytest.mark.parametrize("columns", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize(("a_shape", "b_shape"), VECTORS)
def test_vectors(a_shape, b_shape, columns):
    rng = np.random.default_rng(2)
    operands = [rng.standard_normal(shape).astype(np.float32) for shape in (a_shape, b_shape)]
    for i, by_columns in enumerate(columns):
        if by_columns and operands[i].ndim > 1:
            operands[i] = np.ascontiguousarray(operands[i].swapaxes(-1, -2)).swapaxes(-1, -2)
    y = gemm.matmul(*operands)
    expected = np.asarray(np.matmul(*(a.astype(np.float64) for a in operands)))
    assert isinstance(y, np.ndarray)
    assert (y.shape, y.dtype) == (expected.shape, np.float32)
    assert relative_error(y, expected) <= 2e-6


def test_shapes_that_do_not_match():
    with pytest.raises(ValueError, match="matmul"):
        gemm.matmul(np.ones((300, 400), np.float32), np.ones((401, 300), np.float32))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.tuples(*[st.integers(2, 500)] * 3), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_any_shape(shape, a_by_columns, b_by_columns, seed):
    m, k, n = shape
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    a, b = np.asfortranarray(a) if a_by_columns else a, np.asfortranarray(b) if b_by_columns else b
    assert relative_error(gemm.matmul(a, b), a.astype(np.float64) @ b.astype(np.float64)) <= 1e-6


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.tuples(st.integers(1, 500), *[st.integers(2, 700)] * 2), st.booleans(), st.integers(0, 2**32 - 1))
def test_layer_of_any_shape(shape, x_by_columns, seed):
    m, k, n = shape
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((n, k)).astype(np.float32)
    bias = rng.standard_normal(n).astype(np.float32)
    y = gemm.linear(np.asfortranarray(x) if x_by_columns else x, w, bias)
    error = np.linalg.norm(y - (x.astype(np.float64) @ w.T.astype(np.float64) + bias))
    assert error <= 1e-6 * np.sqrt(m * n * (k + 1))  # the usual size of the sums: a few of them may cancel


def test_layer_of_one_row():
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((1, 900)).astype(np.float32), rng.standard_normal((700, 900)).astype(np.float32)
    bias = rng.standard_normal(700).astype(np.float32)
    for some in (bias, None):
        expected = x.astype(np.float64) @ w.T + (0 if some is None else some)
        assert relative_error(gemm.linear(x, w, some), expected) <= 1e-6


# stack, m, k, n, line of A: more than k where its rows lie apart, so that blocks of them are copied; few rows of few
# floats pack B themselves, of many they make dot products with its columns, in tiles that may end with either
WAYS = [
    (1, 300, 70, 45, 70),
    (1, 300, 70, 100, 1100),
    (1, 21, 120, 500, 120),
    (2, 21, 120, 500, 1100),
    (3, 300, 300, 50, 300),
    (1, 6, 128, 4, 128),
    (2, 23, 131, 67, 140),
    (3, 5, 900, 2, 900),
    (1, 144, 203, 41, 1100),
    (40, 13, 150, 39, 150),
]


@pytest.mark.parametrize("sizes", WAYS)
def test_every_way_of_the_kernel(sizes):
    from deepgpu.kernels.jit import matmul

    stack, m, k, n, line = sizes
    rng = np.random.default_rng(3)
    a = rng.standard_normal((stack, m, line)).astype(np.float32)[:, :, :k]
    b = rng.standard_normal((stack, n, k)).astype(np.float32).transpose(0, 2, 1)
    bias = rng.standard_normal(n).astype(np.float32)
    around = np.full(stack * m * n + 200, 7, np.float32)
    out = around[100:-100].reshape(stack, m, n)
    matmul.matmul(a, b, out, bias)
    assert relative_error(out, a.astype(np.float64) @ b.astype(np.float64) + bias) <= 1e-6
    assert (around[:100] == 7).all()
    assert (around[-100:] == 7).all()


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("by_columns", [False, True])
@pytest.mark.parametrize("n", [2080, 2077])
@pytest.mark.parametrize(("m", "k"), [(2, 100), (3, 530), (4, 256), (5, 300), (13, 257), (16, 48)])
def test_few_rows(m, k, n, by_columns, biased):
    """B is read as it lies: strips of rows, or dot products of columns."""
    from deepgpu.kernels.jit import matmul

    rng = np.random.default_rng(4)
    a = rng.standard_normal((1, m, k)).astype(np.float32)
    b = rng.standard_normal((1, n, k) if by_columns else (1, k, n)).astype(np.float32)
    b = b.transpose(0, 2, 1) if by_columns else b
    bias = rng.standard_normal(n).astype(np.float32) if biased else None
    around = np.full(m * n + 200, 7, np.float32)
    out = around[100:-100].reshape(1, m, n)
    matmul.matmul(a, b, out, bias)
    assert relative_error(out, a.astype(np.float64) @ b.astype(np.float64) + (bias if biased else 0)) <= 1e-6
    assert (around[:100] == 7).all()
    assert (around[-100:] == 7).all()
    matmul.matmul(a[:, :, ::-1].copy()[:, :, ::-1], b, out, bias)  # rows that are not contiguous
    assert relative_error(out, a.astype(np.float64) @ b.astype(np.float64) + (bias if biased else 0)) <= 1e-6


@pytest.mark.parametrize(("m", "k", "n"), [(600, 4, 4096), (530, 300, 4128), (2100, 70, 1040)])
def test_results_written_past_the_caches(m, k, n):
    from deepgpu.kernels.jit import matmul, workspace

    from deepgpu.backends.cpu import memory

    rng = np.random.default_rng(5)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((k, m), (k, n)))
    out = memory.empty((m, n), np.float32)
    assert workspace.streams(out)
    matmul.matmul(a.T[None], b[None], out[None])
    assert relative_error(out, a.T.astype(np.float64) @ b.astype(np.float64)) <= 1e-6


def test_not_a_number_is_seen():
    a, b = np.zeros((200, 150), np.float32), np.ones((150, 130), np.float32)
    a[7, 100] = np.nan
    y = gemm.matmul(a, b)
    assert np.isnan(y[7]).all()
    assert np.isfinite(np.delete(y, 7, 0)).all()


def test_integers_wrap_around():
    a = np.array([[100, 100]], np.int8)
    assert gemm.matmul(a, a.T).tolist() == [[20000 % 256]]  # 32: fits into int8 as it is


def test_float16_overflow_is_infinity():
    a = np.full((1, 64), 60000, np.float16)
    assert gemm.matmul(a, np.ones((64, 1), np.float16))[0, 0] == np.inf
