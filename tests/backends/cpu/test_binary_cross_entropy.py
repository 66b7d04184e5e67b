"""Binary cross-entropy on the CPU, against PyTorch in float64."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from deepgpu.backends import registry
from tests.backends.cpu.layouts import LAYOUTS, laid_out

CPU = registry.get("cpu")
RNG = np.random.default_rng(0)
SHAPE = (4, 30, 20, 20)


def exact(p: np.ndarray, t: np.ndarray, gy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = torch.from_numpy(p.astype(np.float64)).requires_grad_()
    y = F.binary_cross_entropy(at, torch.from_numpy(t.astype(np.float64)), reduction="none")
    y.backward(torch.from_numpy(gy.astype(np.float64)))
    assert at.grad is not None
    return y.detach().numpy(), at.grad.numpy()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_and_gradients(layout: str) -> None:
    p, t = (RNG.random(SHAPE, np.float32) for _ in range(2))
    gy = RNG.standard_normal(SHAPE, np.float32)
    y, gp = exact(p, t, gy)
    p, gy = laid_out(p, layout), laid_out(gy, layout)
    np.testing.assert_allclose(CPU.binary_cross_entropy(p, t), y, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(CPU.binary_cross_entropy_backward(gy, p, t), gp, rtol=2e-5, atol=1e-6)


def test_probabilities_at_their_ends() -> None:
    """No logarithm is below -100, and no slope above 1e12."""
    ends = np.array([0, 1, 1e-30, 1e-45, np.float32(1) - np.float32(2**-24), np.nan, 0.5], np.float32)
    p, t = (np.tile(x.reshape(-1), 10) for x in np.meshgrid(ends, np.array([0, 1, 0.25], np.float32)))
    gy = np.ones_like(p)
    assert p.size < 256 <= 2 * p.size
    p, t, gy = (np.concatenate([x, x]) for x in (p, t, gy))
    at = torch.from_numpy(np.where(np.isnan(p), 0.5, p)).requires_grad_()  # PyTorch refuses NaN
    expected = F.binary_cross_entropy(at, torch.from_numpy(t), reduction="none")
    expected.sum().backward()
    assert at.grad is not None
    known = ~np.isnan(p)
    found, slope = CPU.binary_cross_entropy(p, t), CPU.binary_cross_entropy_backward(gy, p, t)
    np.testing.assert_allclose(found[known], expected.detach().numpy()[known], rtol=1e-6)
    np.testing.assert_allclose(slope[known], at.grad.numpy()[known], rtol=1e-6)
    assert np.isnan(found[~known]).all()
    assert np.isnan(slope[~known]).all()


def test_what_the_op_does_itself() -> None:
    x = RNG.random((30, 30), np.float32)
    assert CPU.binary_cross_entropy(x.astype(np.float64), x.astype(np.float64)) is None
    assert CPU.binary_cross_entropy(x, x[:1]) is None
    assert CPU.binary_cross_entropy(x[:2, :2], x[:2, :2]) is None
    assert CPU.binary_cross_entropy_backward(x[:1], x, x) is None
