"""PReLU on the CPU, in both layouts, against PyTorch in float64."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from deepgpu.backends import registry
from tests.backends.cpu.layouts import LAYOUTS, laid_out

CPU = registry.get("cpu")
RNG = np.random.default_rng(0)
SHAPES = [((), 1), ((9,), 1), ((70_001,), 1), ((5, 6), 6), ((3, 64, 33, 31), 64), ((2, 7, 50), 7), ((4, 16, 40, 40), 1)]


def floats(*shape: int) -> np.ndarray:
    return np.asarray(RNG.standard_normal(shape), np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "slopes"), SHAPES)
def test_values_and_gradients(shape: tuple[int, ...], slopes: int, layout: str, dtype: type) -> None:
    x, gy, weight = (a.astype(dtype) for a in (floats(*shape), floats(*shape), floats(slopes)))
    at, slope = (torch.from_numpy(np.asarray(a, np.float64)).requires_grad_() for a in (x, weight))
    expected = F.prelu(at, slope)
    expected.backward(torch.from_numpy(np.asarray(gy, np.float64)))
    assert at.grad is not None
    assert slope.grad is not None
    x, gy = laid_out(x, layout), laid_out(gy, layout)
    y = CPU.prelu(x, weight)
    gx, gweight = CPU.prelu_backward(gy, x, weight)
    assert y.dtype == gx.dtype == gweight.dtype == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=eps, atol=eps * 1e-3)
    np.testing.assert_allclose(gx, at.grad.numpy(), rtol=eps, atol=eps * 1e-3)
    size = np.abs(x.astype(np.float64) * gy).sum() / slopes
    np.testing.assert_allclose(gweight, slope.grad.numpy(), rtol=0, atol=2 * eps * max(size, 1))
    if layout == "channels-last" and slopes > 1:
        assert y.strides == x.strides


def test_special_values() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0], np.float32)
    y = CPU.prelu(x, np.full(1, 0.25, np.float32))
    np.testing.assert_array_equal(y, [np.nan, np.inf, -np.inf, 0, 0])
    gx, gweight = CPU.prelu_backward(np.ones(5, np.float32), x, np.full(1, 0.25, np.float32))
    np.testing.assert_array_equal(gx, [0.25, 1, 0.25, 0.25, 0.25])
    assert np.isnan(gweight[0])


def test_the_gradient_of_the_slopes_passes_over_what_is_positive() -> None:
    """Whatever the gradient is there: 0 times infinity would be NaN."""
    gy = np.array([[np.inf, 1]], np.float32)
    _, gweight = CPU.prelu_backward(gy, np.array([[2, -3]], np.float32), np.full(1, 0.25, np.float32))
    assert gweight[0] == -3
