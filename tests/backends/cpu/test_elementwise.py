"""Functions of each element that are one kernel, against PyTorch in float64."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from deepgpu.backends import registry
from deepgpu.backends.cpu.elementwise import MODULES

CPU = registry.get("cpu")
JUDGES = {
    "silu": F.silu,
    "gelu": F.gelu,
    "tanh_gelu": lambda x: F.gelu(x, approximate="tanh"),
    "hardswish": F.hardswish,
    "exp": torch.exp,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "elu": lambda x: torch.where(x > 0, 1.05 * x, 1.75 * torch.expm1(x.clamp(max=0) * 0.8)),
    "mish": F.mish,
    "softplus": lambda x: F.softplus(x, 1.5, 20),
    "log_sigmoid": F.logsigmoid,
    "abs": torch.abs,
    "huber": lambda x: F.smooth_l1_loss(x, torch.zeros_like(x), reduction="none", beta=0.7),
    "hardsigmoid": F.hardsigmoid,
    "log": torch.log,
    "log1p": torch.log1p,
    "rsqrt": torch.rsqrt,
    "sqrt": torch.sqrt,
    "square": torch.square,
}
FACTORS = {"huber": (0.7,), "leaky_relu": (0.2,), "elu": (1.75, 1.05, 0.8), "softplus": (1.5, 20)}
BY_RESULT = ("exp", "rsqrt", "sigmoid", "sqrt", "tanh")
"""Whose backward is given the result."""

RNG = np.random.default_rng(0)
VALUES = np.concatenate([4 * RNG.standard_normal(70001), RNG.uniform(-20, 20, 20000), [0, -3, 3]]).astype(np.float32)


def values(name: str) -> np.ndarray:
    """Those of which the function has values."""
    return np.maximum(abs(VALUES), np.float32(1e-3)) if name in ("log", "log1p", "rsqrt", "sqrt") else VALUES


def forward(name: str, x: np.ndarray) -> np.ndarray:
    return CPU.elementwise(name, x, *FACTORS.get(name, ()))


def backward(name: str, gy: np.ndarray, x: np.ndarray) -> np.ndarray:
    at = forward(name, x) if name in BY_RESULT else x
    return CPU.elementwise_backward(name, gy, at, *FACTORS.get(name, ()))


def test_every_kernel_has_a_judge() -> None:
    assert set(JUDGES) == set(MODULES)


@pytest.mark.parametrize("name", JUDGES)
def test_values_and_gradients(name: str) -> None:
    at = values(name)
    x = torch.from_numpy(at.astype(np.float64)).requires_grad_()
    y = JUDGES[name](x)
    gy = RNG.standard_normal(len(at)).astype(np.float32)
    (gx,) = torch.autograd.grad(y, x, torch.from_numpy(gy.astype(np.float64)))
    scale = np.exp(at.astype(np.float64)) if name == "exp" else 1 + abs(at) + abs(y.detach().numpy()) + abs(gx.numpy())
    assert (abs(forward(name, at) - y.detach().numpy()) / scale).max() < 3e-7
    assert (abs(backward(name, gy, at) - gx.numpy()) / scale / (1 + abs(gy))).max() < 6e-7


@pytest.mark.parametrize("name", ["softplus", "log_sigmoid", "elu", "mish"])
def test_digits_of_small_results(name: str) -> None:
    x = np.concatenate([-np.geomspace(1e-30, 80, 5001), np.linspace(-15, 15, 5001)]).astype(np.float32)
    x = abs(x) if name == "log_sigmoid" else x
    exact = JUDGES[name](torch.from_numpy(x.astype(np.float64))).numpy()
    kept = abs(exact) > 1e-37  # an exponential below the normal numbers is 0
    scale = 1 + abs(x[kept]) / 3  # rounding x costs its size in digits of the exponential
    assert (abs(forward(name, x)[kept] / exact[kept] - 1) / scale).max() < 4e-7


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_small_values_keep_their_digits(name: str) -> None:
    x = np.concatenate([np.geomspace(1e-30, 1, 5001), np.linspace(-15, 0, 5001)]).astype(np.float32)
    exact = JUDGES[name](torch.from_numpy(x.astype(np.float64))).numpy()
    np.testing.assert_allclose(forward(name, x), exact, rtol=3e-7 if name == "tanh" else 1e-6)


def test_exponentials_of_every_size() -> None:
    """From denormal results, of which a unit in the last place may be missing, to infinite ones."""
    x = np.linspace(-120, 100, 1_000_001).astype(np.float32)
    with np.errstate(over="ignore"):
        exact = np.exp(x.astype(np.float64)).astype(np.float32)
    found = forward("exp", x)
    normal = exact > 2e-38
    np.testing.assert_allclose(found[normal], exact[normal], rtol=3e-7)
    np.testing.assert_allclose(found[~normal], exact[~normal], rtol=3e-7, atol=3e-45)


def test_logarithms_of_every_size() -> None:
    """From denormal numbers up, and of numbers near 1 relative to the result."""
    sizes = np.geomspace(1e-45, 3e38, 1_000_001).astype(np.float32)
    near = np.linspace(0.5, 2, 1_000_001).astype(np.float32)
    for x in (sizes, near[near != 1]):
        np.testing.assert_allclose(forward("log", x), np.log(x.astype(np.float64)), rtol=2.4e-7)
    assert forward("log", np.ones(1, np.float32)) == 0
    for x in (sizes, -np.geomspace(1e-45, 0.9999, 1_000_001).astype(np.float32)):
        np.testing.assert_allclose(forward("log1p", x), np.log1p(x.astype(np.float64)), rtol=3e-7, atol=3e-45)
    for x in (0.0, -0.0, -1, -2, np.inf, np.nan):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(forward("log1p", np.full(1, x, np.float32)), np.log1p(np.float32(x)))


def test_the_tail_of_gelu_keeps_its_digits() -> None:
    """Relative to the value, where ``1 + erf`` would have none left. Rounding ``x^2 / 2`` costs its size in digits."""
    x = np.linspace(-12, -1, 10001).astype(np.float32)
    exact = x * 0.5 * torch.special.erfc(torch.from_numpy(-x.astype(np.float64)) * 0.5**0.5).numpy()
    assert (abs(forward("gelu", x) / exact - 1) / (1 + x.astype(np.float64) ** 2)).max() < 3e-7


@pytest.mark.parametrize("name", JUDGES)
def test_special_values(name: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e30, -1e30, 1e-40, 90, -90], np.float32)
    expected = JUDGES[name](torch.from_numpy(x)).numpy()
    finite = np.isfinite(expected)
    found = forward(name, x)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-6, atol=1e-30)
    if name in ("tanh", "leaky_relu"):
        np.testing.assert_array_equal(np.signbit(found[3:5]), [False, True])
    assert np.isnan(found[0])
    assert found[1] == expected[1]
    gradients = backward(name, np.ones(2, np.float32), x[:2])
    assert np.isnan(gradients[0]) or name in ("leaky_relu", "hardsigmoid")


@pytest.mark.parametrize("name", JUDGES)
def test_layouts(name: str) -> None:
    x = values(name)[: 8 * 9 * 10 * 11].reshape(8, 9, 10, 11)
    gy = RNG.standard_normal(x.shape).astype(np.float32)
    y, gx = forward(name, x), backward(name, gy, x)
    turned = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(forward(name, turned), y)
    np.testing.assert_array_equal(backward(name, gy, turned), gx)
    assert forward(name, turned).strides == turned.strides
    for gaps in (x[:, ::2], turned[:, 1:4], np.broadcast_to(x[:, :1], x.shape)):
        np.testing.assert_array_equal(forward(name, gaps), forward(name, gaps.copy()))
        np.testing.assert_array_equal(
            backward(name, gy[:, : gaps.shape[1]], gaps), backward(name, gy[:, : gaps.shape[1]].copy(), gaps.copy())
        )
    assert forward(name, x.astype(np.float64)) is None
