"""Copies in C order, against NumPy's."""

import numpy as np
import pytest
from deepgpu.kernels.jit.transpose import matrices, transpose
from deepgpu.kernels.jit.vector import LANES
from hypothesis import given, settings, strategies as st

from deepgpu.backends.cpu.transpose import LARGE, contiguous, reshape

RNG = np.random.default_rng(0)


def numbered(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def hold_to_numpy(x: np.ndarray, parts: int) -> None:
    """Every element where it belongs, and nothing past the result."""
    room = np.full(x.size + 128, np.nan, np.float32)
    out = room[64:-64].reshape(x.shape)
    if not transpose(x, out, parts):
        assert matrices(x.shape, x.strides) is None
        out[...] = x
    np.testing.assert_array_equal(out, x)
    assert np.isnan(room[:64]).all()
    assert np.isnan(room[-64:]).all()


@pytest.mark.parametrize("rows", [1, 2, LANES - 1, LANES, LANES + 1, 63, 64, 65, 130])
@pytest.mark.parametrize("columns", [1, 3, LANES, 64, 67, 2051])
def test_matrices_of_every_size(rows: int, columns: int) -> None:
    hold_to_numpy(numbered(2, rows, columns).transpose(0, 2, 1), 3)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_order_of_dimensions(data: st.DataObject) -> None:
    """With steps, sizes of 1, and dimensions that run backwards or stand still."""
    shape = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    steps = [data.draw(st.sampled_from([1, 1, 1, 2, -1])) for _ in shape]
    x = numbered(*[size * abs(step) for size, step in zip(shape, steps, strict=True)])
    x = x[tuple(slice(None, None, step) for step in steps)].transpose(data.draw(st.permutations(range(len(shape)))))
    if data.draw(st.booleans()):
        x = np.broadcast_to(x, (3, *x.shape))
    hold_to_numpy(x, data.draw(st.integers(1, 5)))


@pytest.mark.parametrize(
    ("shape", "order", "found"),
    [
        ((4, 8, 5, 7), (0, 2, 3, 1), (8, 35, 4)),
        ((4, 5, 7, 8), (0, 3, 1, 2), (35, 8, 4)),
        ((6, 50, 70), (2, 0, 1), (300, 70, 1)),
        ((2, 3, 2, 2, 5, 20), (0, 1, 4, 2, 5, 3), (2, 20, 60)),
    ],
)
def test_neighbouring_dimensions_count_as_one(
    shape: tuple[int, ...], order: tuple[int, ...], found: tuple[int, int, int]
) -> None:
    x = numbered(*shape).transpose(order)
    plan = matrices(x.shape, x.strides)
    assert plan is not None
    assert (plan.rows, plan.columns, len(plan.sources)) == found


def test_what_has_no_matrices() -> None:
    """Memory in order, of more steps than one element, or of too few elements."""
    for x in (numbered(4, 5), numbered(40, 50)[:, ::2], numbered(50, 40)[::2], numbered(5, 6).T):
        assert matrices(x.shape, x.strides) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32, bool])
@pytest.mark.parametrize("size", [2, 64])
def test_dtypes(dtype: type, size: int) -> None:
    x = (RNG.standard_normal((size, 9, 11)) * 9).astype(dtype).transpose(2, 0, 1)
    y = contiguous(x)
    assert y.flags.c_contiguous
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x)
    assert contiguous(y) is y
    assert contiguous(x, np.float64).dtype == np.float64


def test_reshaping_copies_only_what_it_must() -> None:
    x = numbered(64, 16, 8).transpose(0, 2, 1)
    assert x.size >= LARGE
    view = reshape(x, (8, 8, 8, 16))
    assert np.shares_memory(view, x)
    copy = reshape(x, (64, 128))
    assert not np.shares_memory(copy, x)
    np.testing.assert_array_equal(view, x.reshape(8, 8, 8, 16))
    np.testing.assert_array_equal(copy, x.reshape(64, 128))
    with pytest.raises(ValueError, match="reshape"):
        reshape(x, (64, 127))
