"""Convolutions in training, whose kernels take the moments for the batch norm that follows: it must not be seen."""

from typing import Any

import numpy as np
import pytest
import torch
from deepgpu.kernels.jit.finish import Moments

import deepgpu as dg
from deepgpu import nn
from deepgpu.backends.cpu import conv as cpu_conv
from deepgpu.nn import functional as F
from deepgpu.pending import Pending

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


LAYERS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {  # the image, and arguments of Conv2d
    "1x1": ((8, 16, 24, 24), {"out_channels": 40, "kernel_size": 1}),
    "1x1, not whole vectors": ((8, 16, 24, 24), {"out_channels": 21, "kernel_size": 1}),
    "patches": ((8, 3, 40, 40), {"out_channels": 20, "kernel_size": 3, "padding": 1}),
    "grouped": ((8, 12, 24, 24), {"out_channels": 40, "kernel_size": 1, "groups": 4}),
    "winograd": ((8, 16, 31, 33), {"out_channels": 24, "kernel_size": 3, "padding": 1}),
    "winograd, few tiles": ((64, 136, 4, 4), {"out_channels": 136, "kernel_size": 3, "padding": 1}),
    "folded": ((8, 16, 32, 30), {"out_channels": 32, "kernel_size": 4, "stride": 2, "padding": 1}),
    "winograd, strided": ((8, 32, 32, 32), {"out_channels": 32, "kernel_size": 3, "stride": 2, "padding": 1}),
    "depthwise": ((8, 24, 32, 32), {"out_channels": 24, "kernel_size": 3, "padding": 1, "groups": 24}),
    "depthwise, dilated": ((8, 24, 32, 32), {"out_channels": 24, "kernel_size": 3, "dilation": 2, "groups": 24}),
}
UNMEASURED = {
    "depthwise, short lines": ((64, 24, 8, 8), {"out_channels": 24, "kernel_size": 3, "padding": 1, "groups": 24}),
    "narrow": ((16, 40, 32, 32), {"out_channels": 3, "kernel_size": 3, "padding": 1}),
}


def block(name: str) -> tuple[nn.Sequential, dg.Tensor]:
    shape, arguments = (LAYERS | UNMEASURED)[name]
    dg.manual_seed(0)
    conv = nn.Conv2d(shape[1], **arguments)
    with dg.no_grad():
        conv.bias.add_(10)  # a mean that is large beside the deviation
    return nn.Sequential(conv, nn.BatchNorm2d(arguments["out_channels"])), dg.tensor(floats(*shape))


def twin_of(model: nn.Sequential, shape: tuple[int, ...], arguments: dict[str, Any]) -> torch.nn.Sequential:
    made = torch.nn.Sequential(torch.nn.Conv2d(shape[1], **arguments), torch.nn.BatchNorm2d(arguments["out_channels"]))
    made.load_state_dict({k: torch.tensor(v.clone().numpy()) for k, v in model.state_dict().items()})
    return made.double()


def assert_near(actual: Any, expected: Any, tolerance: float) -> None:
    actual, expected = (np.asarray(t.detach().numpy(), np.float64) for t in (actual, expected))
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("name", LAYERS | UNMEASURED)
def test_against_pytorch(name: str, epilogues: list) -> None:
    model, x = block(name)
    twin = twin_of(model, *(LAYERS | UNMEASURED)[name])
    x.requires_grad_()
    tx = torch.tensor(x.detach().clone().numpy(), dtype=torch.float64, requires_grad=True)
    y, ty = model(x), twin(tx)
    assert [type(e) for e in epilogues] == [Moments if name in LAYERS else type(None)]
    g = floats(*ty.shape)
    y.backward(dg.tensor(g))
    ty.backward(torch.tensor(g, dtype=torch.float64))
    for statistic in ("running_mean", "running_var"):
        assert_near(getattr(model[1], statistic), getattr(twin[1], statistic), 1e-5)
    assert_near(y, ty, 1e-4)
    pairs = [(x, tx), *zip(model.parameters(), twin.parameters(), strict=True)]
    for i, (mine, theirs) in enumerate(pairs):
        if i != 2:  # a constant before a batch norm: the gradient of the convolution's bias is 0
            assert_near(mine.grad, theirs.grad, 1e-4)
    assert len(epilogues) == 1


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_every_time(name: str) -> None:
    """Threads take blocks as they come, but the moments of a block are its own."""
    model, x = block(name)
    first = model(x).detach().numpy(), model[1].running_var.numpy().copy()
    for _ in range(5):
        model[1].reset_running_stats()
        np.testing.assert_array_equal(model(x).detach().numpy(), first[0])
        np.testing.assert_array_equal(model[1].running_var.numpy(), first[1])


def test_a_look_before_the_norm_computes_it(epilogues: list) -> None:
    model, x = block("winograd")
    expected = model(x).detach().numpy()
    y = model[0](x)
    assert type(y) is Pending
    seen = y.detach().numpy().copy()
    again = model[1](y).detach().numpy()
    assert epilogues[1:] == [None]
    np.testing.assert_array_equal(y.detach().numpy(), seen)
    np.testing.assert_allclose(again, expected, rtol=0, atol=1e-5)


def test_a_look_after_the_norm_finds_it_computed(epilogues: list) -> None:
    model, x = block("1x1")
    y = model[0](x)
    other = y  # another name of the same
    z = model[1](y)
    assert type(y) is dg.Tensor
    with dg.no_grad():
        np.testing.assert_allclose(other.detach().numpy(), model[0](x).detach().numpy(), rtol=1e-6)
    (y * 2 + z).sum().backward()
    assert len(epilogues) == 2


def test_a_write_to_the_weight_comes_after() -> None:
    model, x = block("1x1")
    expected = model[0](x).detach().numpy()
    y = model[0](x)
    with dg.no_grad():
        model[0].weight.zero_()
    model[1](y)
    np.testing.assert_array_equal(y.detach().numpy(), expected)


def test_relu_keeps_the_image(epilogues: list) -> None:
    """A recorded ReLU is done at once, and whoever holds the convolution's result has it."""
    model, x = block("winograd")
    y = model[0](x)
    z = F.relu(y)
    assert epilogues == [None]
    np.testing.assert_array_equal(z.detach().numpy(), np.maximum(y.detach().numpy(), 0))
    assert epilogues == [None]


def test_nan_and_infinity_stay_in_their_channel() -> None:
    model, x = block("1x1")
    with dg.no_grad():
        model[0].weight[3] = np.nan
        model[0].bias[5] = np.inf
    y = model(x).detach().numpy()
    assert np.isnan(y[:, [3, 5]]).all()
    assert np.isfinite(np.delete(y, [3, 5], axis=1)).all()


def test_a_forced_algorithm_takes_none(epilogues: list) -> None:
    model, x = block("winograd")
    with cpu_conv.use_algorithm("direct"):
        model(x)
    assert epilogues == [None]
