"""Copies between parts of arrays on the CPU, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from deepgpu.backends.cpu import copy
from deepgpu.backends.cpu.copy import WORTH, assign, rows

RNG = np.random.default_rng(0)


def floats(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return RNG.standard_normal(shape).astype(dtype)


def hold_to_numpy(target: np.ndarray, part: tuple, x: np.ndarray) -> None:
    """Nothing but the part is written."""
    expected = target.copy(order="K")
    expected[part] = x
    assign(target[part], x)
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64])
def test_parts_of_images(dtype: type) -> None:
    wide = floats(5, 60, 40, 48, dtype=dtype).transpose(0, 3, 1, 2)  # channels-last
    x = floats(5, 60, 40, 16, dtype=dtype).transpose(0, 3, 1, 2)
    assert x.size > 2 * WORTH
    hold_to_numpy(wide, (slice(None), slice(20, 36)), x)
    hold_to_numpy(wide, (slice(None), slice(0, 16)), wide[:, 32:].copy(order="K"))
    framed = floats(3, 16, 64, 44, dtype=dtype)
    hold_to_numpy(framed, (slice(None), slice(None), slice(2, 62), slice(2, 42)), x[:3].copy())
    hold_to_numpy(framed, (slice(None), slice(None), slice(2, 62), slice(2, 42)), x[:3])  # in another order
    hold_to_numpy(framed, (slice(None), slice(None), slice(2, 62), slice(2, 42)), floats(60, 1, dtype=dtype))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_parts(data: st.DataObject) -> None:
    """With steps, and dimensions in any order, the same on both sides or not."""
    shape = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))

    def part(order: list[int]) -> np.ndarray:
        steps = [data.draw(st.sampled_from([1, 1, 1, 2, -1])) for _ in shape]
        room = [size * abs(step) + data.draw(st.integers(0, 3)) for size, step in zip(shape, steps, strict=True)]
        whole = floats(*[room[d] for d in order]).transpose(np.argsort(order))
        return whole[tuple(slice(None, None, step) for step in steps)][tuple(map(slice, shape))]

    order = data.draw(st.permutations(range(len(shape))))
    other = data.draw(st.sampled_from([order, list(range(len(shape)))]))
    out, x = part(order), part(other)
    expected = x.copy()
    worth, copy.WORTH = copy.WORTH, 1  # small arrays, too
    try:
        assign(out, x)
    finally:
        copy.WORTH = worth
    np.testing.assert_array_equal(out, expected)


def test_rows_are_as_long_as_they_can_be() -> None:
    wide = floats(4, 6, 7, 24)
    part = wide[..., 8:16]
    found = rows(part.shape, part.copy().strides, part.strides, 4)
    assert found is not None
    assert (len(found.starts), found.length) == (4 * 6 * 7, 8)
    part = wide[1:3, 2:4]
    found = rows(part.shape, part.copy().strides, part.strides, 4)
    assert found is not None
    assert (len(found.starts), found.length) == (2, 2 * 7 * 24)
    assert rows(part.shape, part.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2).strides, part.strides, 4) is None
