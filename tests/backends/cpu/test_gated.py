"""Activations with a gate, against PyTorch in float64."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from deepgpu.backends import registry

CPU = registry.get("cpu")
JUDGES = {
    "silu": F.silu,
    "gelu": F.gelu,
    "tanh_gelu": lambda x: F.gelu(x, approximate="tanh"),
    "hardswish": F.hardswish,
}
RNG = np.random.default_rng(0)
VALUES = np.concatenate([4 * RNG.standard_normal(70001), RNG.uniform(-20, 20, 20000), [0, -3, 3]]).astype(np.float32)


@pytest.mark.parametrize("name", JUDGES)
def test_values_and_gradients(name: str) -> None:
    x = torch.from_numpy(VALUES.astype(np.float64)).requires_grad_()
    y = JUDGES[name](x)
    gy = RNG.standard_normal(len(VALUES)).astype(np.float32)
    (gx,) = torch.autograd.grad(y, x, torch.from_numpy(gy.astype(np.float64)))
    scale = 1 + abs(VALUES)
    assert (abs(CPU.gated(name, VALUES) - y.detach().numpy()) / scale).max() < 3e-7
    assert (abs(CPU.gated_backward(name, gy, VALUES) - gx.numpy()) / scale / (1 + abs(gy))).max() < 6e-7


def test_the_tail_of_gelu_keeps_its_digits() -> None:
    """Relative to the value, where ``1 + erf`` would have none left. Rounding ``x^2 / 2`` costs its size in digits."""
    x = np.linspace(-12, -1, 10001).astype(np.float32)
    exact = x * 0.5 * torch.special.erfc(torch.from_numpy(-x.astype(np.float64)) * 0.5**0.5).numpy()
    assert (abs(CPU.gated("gelu", x) / exact - 1) / (1 + x.astype(np.float64) ** 2)).max() < 3e-7


@pytest.mark.parametrize("name", JUDGES)
def test_special_values(name: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e30, -1e30, 1e-40, 90, -90], np.float32)
    expected = JUDGES[name](torch.from_numpy(x)).numpy()
    finite = np.isfinite(expected)
    found = CPU.gated(name, x)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-6, atol=1e-30)
    assert np.isnan(found[0])
    assert found[1] == np.inf


@pytest.mark.parametrize("name", JUDGES)
def test_layouts(name: str) -> None:
    x = VALUES[: 8 * 9 * 10 * 11].reshape(8, 9, 10, 11)
    gy = RNG.standard_normal(x.shape).astype(np.float32)
    y, gx = CPU.gated(name, x), CPU.gated_backward(name, gy, x)
    turned = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(CPU.gated(name, turned), y)
    np.testing.assert_array_equal(CPU.gated_backward(name, gy, turned), gx)
    assert CPU.gated(name, turned).strides == turned.strides
    assert CPU.gated(name, x[:, ::2]) is None
    assert CPU.gated(name, x.astype(np.float64)) is None
