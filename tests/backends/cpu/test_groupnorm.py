"""Group norm on the CPU, in both layouts, against PyTorch in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from deepgpu.backends import registry
from tests.backends.cpu.layouts import LAYOUTS, laid_out

CPU = registry.get("cpu")
RNG = np.random.default_rng(0)
SHAPES = [
    ((1, 1, 2), 1),
    ((2, 6, 5), 3),
    ((3, 64, 9, 7), 8),
    ((2, 96, 33, 31), 3),
    ((2, 40, 12, 12), 40),
    ((4, 32, 64, 65), 2),
    ((2, 12, 3, 4, 5), 4),
    ((5, 24), 6),
]
EPS = 1e-5


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def exact(x: np.ndarray, gy: np.ndarray, groups: int, *parameters: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """``y, gx, gweight, gbias``."""
    at = torch.from_numpy(x.astype(np.float64)).requires_grad_()
    ones = (np.ones, np.zeros)
    w, b = (
        torch.from_numpy((make(x.shape[1]) if p is None else p).astype(np.float64)).requires_grad_()
        for p, make in zip(parameters, ones, strict=True)
    )
    y = F.group_norm(at, groups, w, b, EPS)
    y.backward(torch.from_numpy(gy.astype(np.float64)))
    found = y, at.grad, w.grad, b.grad
    return tuple(t.detach().numpy() for t in found if t is not None)


def assert_near(actual: Any, expected: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(np.abs(expected).max(), 1))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("parameters", ["none", "weight", "both"])
@pytest.mark.parametrize(("shape", "groups"), SHAPES)
def test_values_and_gradients(shape: tuple[int, ...], groups: int, parameters: str, layout: str) -> None:
    x, gy = floats(*shape) * 3 + 1, floats(*shape)
    weight = None if parameters == "none" else floats(shape[1])
    bias = floats(shape[1]) if parameters == "both" else None
    expected = exact(x, gy, groups, weight, bias)
    x, gy = laid_out(x, layout), laid_out(gy, layout)
    y, mean, invstd = CPU.group_norm(x, groups, weight, bias, EPS)
    assert y.dtype == np.float32
    assert mean.shape == invstd.shape == (shape[0], groups)
    assert_near(y, expected[0], 3e-6)
    for found, wanted in zip(CPU.group_norm_backward(gy, x, weight, mean, invstd), expected[1:], strict=True):
        assert_near(found, wanted, 1e-5)
    if layout == "channels-last":
        assert y.strides == x.strides


@pytest.mark.parametrize("layout", ["planar", "channels-last"])
def test_a_mean_that_is_large_beside_the_spread(layout: str) -> None:
    x = floats(2, 32, 60, 60) + 1000
    y, _, _ = CPU.group_norm(laid_out(x, layout), 4, None, None, EPS)
    assert_near(y, exact(x, x, 4, None, None)[0], 1e-4)


@pytest.mark.parametrize("layout", ["planar", "channels-last"])
def test_nan_stays_in_its_group(layout: str) -> None:
    x = floats(2, 64, 9, 9)
    x[1, 20, 3, 3] = np.nan
    y, _, _ = CPU.group_norm(laid_out(x, layout), 4, None, None, EPS)
    spoilt = np.isnan(y)
    assert spoilt[1, 16:32].all()
    assert spoilt.sum() == 16 * 81


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_other_dtypes(dtype: type) -> None:
    x, gy = floats(2, 8, 5, 5), floats(2, 8, 5, 5)
    y, mean, invstd = CPU.group_norm(x.astype(dtype), 2, None, None, EPS)
    found = CPU.group_norm_backward(gy.astype(dtype), x.astype(dtype), None, mean, invstd)
    expected = exact(x, gy, 2, None, None)
    tolerance = 1e-6 if dtype is np.float64 else 5e-3
    assert y.dtype == dtype
    for actual, wanted in zip((y, *found), expected, strict=True):
        assert_near(actual, wanted, tolerance)
