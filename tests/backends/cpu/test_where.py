"""Choices by a mask on the CPU, against NumPy's."""

import numpy as np
import pytest

from deepgpu.backends.cpu.where import LARGE, where
from tests.backends.cpu.layouts import channels_last

RNG = np.random.default_rng(0)
SHAPE = (5, 24, 11, 13)
assert np.prod(SHAPE) > LARGE


def floats(*shape: int, dtype: type = np.float32) -> np.ndarray:
    x = RNG.standard_normal(shape).astype(dtype)
    x.reshape(-1)[:5] = np.nan, np.inf, -np.inf, -0.0, 0
    return x


def hold_to_numpy(mask: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    found, expected = where(mask, a, b), np.where(mask, a, b)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("number", [0.0, -0.0, 2.5, np.nan, -np.inf])
def test_numbers(number: float, dtype: type) -> None:
    x, mask, scalar = floats(*SHAPE, dtype=dtype), RNG.random(SHAPE) < 0.5, np.asarray(number, dtype)
    hold_to_numpy(mask, x, scalar)
    hold_to_numpy(mask, scalar, x)
    hold_to_numpy(mask, channels_last(x), scalar)
    hold_to_numpy(mask[0, 0], x, scalar)
    hold_to_numpy(mask[:, :1, :, :1], scalar, x)
    hold_to_numpy(mask, np.broadcast_to(x[:, :1], SHAPE), scalar)
    hold_to_numpy(mask[:, :, :1, :1], scalar, channels_last(x))


@pytest.mark.parametrize("lay_mask", [np.ascontiguousarray, channels_last])
@pytest.mark.parametrize("lay_a", [np.ascontiguousarray, channels_last])
@pytest.mark.parametrize("lay_b", [np.ascontiguousarray, channels_last])
def test_arrays(lay_mask, lay_a, lay_b) -> None:
    mask, a, b = lay_mask(RNG.random(SHAPE) < 0.5), lay_a(floats(*SHAPE)), lay_b(floats(*SHAPE))
    hold_to_numpy(mask, a, b)
    assert where(mask, a, b).strides == a.strides


def test_what_numpy_does() -> None:
    mask, x = RNG.random(SHAPE) < 0.5, floats(*SHAPE)
    hold_to_numpy(mask, x, floats(13))
    hold_to_numpy(mask, floats(24, 1, 1), x)
    hold_to_numpy(mask, x[:1], floats(*SHAPE))
    hold_to_numpy(mask[..., ::2], x[..., ::2], x[..., 1::2].copy()[..., [0, 1, 2, 3, 4, 5, 0]])
    hold_to_numpy(np.broadcast_to(mask, (2, *SHAPE)), x, np.float32(0)[None][0:1].reshape(()))
    hold_to_numpy(mask, np.arange(x.size).reshape(SHAPE), np.asarray(3))
    hold_to_numpy(mask, x, np.asarray(0.5))
