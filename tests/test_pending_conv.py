"""Convolutions that wait for batch norm, a sum and ReLU where nothing is recorded: it must not be seen."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import nn
from deepgpu.backends.cpu import conv as cpu_conv
from deepgpu.nn import functional as F
from deepgpu.pending import Pending

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


SHAPE = (4, 24, 21, 22)
IMAGE = floats(*SHAPE)
OTHER = floats(4, 24, 21, 22)
MEAN, VAR, WEIGHT, BIAS = floats(24), floats(24) ** 2 + 0.5, floats(24), floats(24)

GEOMETRIES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "winograd": ((24, 24, 3, 3), {"padding": 1}),
    "1x1": ((24, 24, 1, 1), {}),
    "5x5, dilated": ((24, 24, 5, 5), {"padding": 4, "dilation": 2}),
    "grouped": ((24, 8, 3, 3), {"padding": 1, "groups": 3}),
    "depthwise": ((24, 1, 3, 3), {"padding": 1, "groups": 24}),
}


def bn(y: Any, F: Any, lib: Any) -> Any:
    return F.batch_norm(y, *(lib.tensor(a) for a in (MEAN, VAR, WEIGHT, BIAS)))


CHAINS: dict[str, Callable] = {
    "alone": lambda y, x, F, lib: y,
    "relu": lambda y, x, F, lib: F.relu(y),
    "norm": lambda y, x, F, lib: bn(y, F, lib),
    "norm, relu": lambda y, x, F, lib: F.relu(bn(y, F, lib)),
    "norm, relu6_": lambda y, x, F, lib: F.relu6(bn(y, F, lib), inplace=True),
    "norm, add, relu": lambda y, x, F, lib: F.relu(bn(y, F, lib) + x),
    "norm, add_, relu_": lambda y, x, F, lib: F.relu(bn(y, F, lib).add_(x), inplace=True),
    "add, relu": lambda y, x, F, lib: F.relu(y + x),
    "relu, norm": lambda y, x, F, lib: bn(F.relu(y), F, lib),
    "norm, norm": lambda y, x, F, lib: bn(bn(y, F, lib), F, lib),
    "relu, relu6": lambda y, x, F, lib: F.hardtanh(F.relu(y), -1, 0.5),
    "relu, add": lambda y, x, F, lib: F.relu(y) + x,
    "used again": lambda y, x, F, lib: F.relu(bn(y, F, lib)) + y,
    "norm used again": lambda y, x, F, lib: (lambda b: F.relu(b) * b + y)(bn(y, F, lib)),
    "sum with itself": lambda y, x, F, lib: F.relu(bn(y, F, lib) + y),
    "broadcast": lambda y, x, F, lib: F.relu(y + x[:1]),
    "mul_ in between": lambda y, x, F, lib: (lambda b: b + y.mul_(2))(bn(y, F, lib)),
    "relu_ in between": lambda y, x, F, lib: (lambda b: b + F.relu(y, inplace=True))(bn(y, F, lib)),
    "transposed residual": lambda y, x, F, lib: bn(y, F, lib) + x.contiguous(),
}


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", CHAINS)
def test_chains_agree_with_pytorch(name: str, geometry: str, kept: bool) -> None:
    """Where somebody still has the convolution's result, that is computed, and the rest follows in its own pass."""
    shape, options = GEOMETRIES[geometry]
    scale = np.float32(np.prod(shape[1:]) ** 0.5)
    w, b = np.random.default_rng(1).standard_normal((2, *shape)).astype(np.float32) / scale
    found = []
    for lib, functional in ((dg, F), (torch, torch.nn.functional)):
        y = functional.conv2d(lib.tensor(IMAGE), lib.tensor(w), lib.tensor(b[:, 0, 0, 0].copy()), **options)
        assert lib is torch or type(y) is Pending
        held = [y]
        del y
        found.append(CHAINS[name](held[0] if kept else held.pop(), lib.tensor(OTHER), functional, lib).numpy())
    np.testing.assert_allclose(*found, rtol=1e-4, atol=2e-4)


# 64 channels are whole vectors on every machine; 40 end in the middle of a panel of two vectors of eight
@pytest.mark.parametrize("channels", [40, 64])
@pytest.mark.parametrize("geometry", ["1x1", "grouped", "depthwise"])
@pytest.mark.parametrize("name", ["alone", "norm, relu", "norm, add, relu"])
def test_images_written_past_the_caches_are_the_same(
    name: str, geometry: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepgpu.kernels.jit import workspace

    shape, options = GEOMETRIES[geometry]
    rng = np.random.default_rng(2)
    groups = {"grouped": 2, "depthwise": channels}.get(geometry, 1)
    options = {**options, "groups": groups}
    x, w = dg.tensor(floats(4, channels, 21, 22)), dg.tensor(floats(channels, channels // groups, *shape[2:]))
    mean, bias, weight = (dg.tensor(rng.standard_normal(channels).astype(np.float32)) for _ in range(3))

    def result() -> Any:
        y = F.conv2d(x, w, **options)
        if name == "alone":
            return y.numpy()
        y = F.batch_norm(y, mean, mean.abs() + 1, weight, bias)
        return F.relu(y + x if "add" in name else y).numpy()

    usual = result()
    monkeypatch.setattr(workspace, "STREAM", 0)
    np.testing.assert_array_equal(result(), usual)


def test_a_block_is_one_pass_a_convolution(epilogues: list) -> None:
    main = nn.Sequential(
        *(nn.Conv2d(24, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(inplace=True)),
        *(nn.Conv2d(24, 24, 1), nn.BatchNorm2d(24)),
    ).eval()
    x = dg.tensor(IMAGE)
    with dg.no_grad():
        y = F.relu(main(x) + x)
        assert type(y) is Pending
        assert len(epilogues) == 1  # the first was needed by the second
        y.numpy()
    assert len(epilogues) == 2
    assert [(e.residual is not None, list(e.limits)) for e in epilogues] == [(False, [0, np.inf]), (True, [0, np.inf])]


def test_the_passes_round_as_if_each_were_alone() -> None:
    """Bit for bit: what is fused and what is not give the same numbers."""
    model = nn.Sequential(nn.Conv2d(24, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU()).eval()
    model[1].running_mean.normal_()
    x = dg.tensor(IMAGE)
    with dg.no_grad():
        fused = model(x).numpy()
        y = model[0](x)
        y.numpy()
        np.testing.assert_array_equal(fused, model[2](model[1](y)).numpy())


def test_a_convolution_that_is_still_looked_at_is_computed_once(epilogues: list) -> None:
    conv, norm = nn.Conv2d(24, 24, 1), nn.BatchNorm2d(24).eval()
    with dg.no_grad():
        y = conv(dg.tensor(IMAGE))
        z = F.relu(norm(y))
        z.numpy()
        y.numpy()
    assert epilogues == [None]


@pytest.mark.parametrize("of", ["input", "weight", "bias", "residual"])
@pytest.mark.parametrize("write", ["zero_", "numpy", "setitem", "copy_"])
def test_a_write_to_what_it_is_computed_from_comes_after(of: str, write: str) -> None:
    tensors = {name: dg.tensor(a) for name, a in (("input", IMAGE), ("residual", OTHER), ("bias", BIAS))}
    tensors["weight"] = dg.tensor(floats(24, 24, 1, 1))

    def block() -> dg.Tensor:
        y = F.conv2d(tensors["input"], tensors["weight"], tensors["bias"])
        return F.relu(bn(y, F, dg) + tensors["residual"])

    expected = block().numpy().copy()
    y = block()
    assert type(y) is Pending
    t = tensors[of]
    {
        "zero_": lambda: t.zero_(),
        "numpy": lambda: t.numpy().fill(3),
        "setitem": lambda: t.__setitem__(0, 5.0),
        "copy_": lambda: t.copy_(dg.ones(t.shape)),
    }[write]()
    np.testing.assert_array_equal(y.numpy(), expected)


def test_statistics_may_change() -> None:
    conv, norm = nn.Conv2d(24, 24, 1), nn.BatchNorm2d(24).eval()
    with dg.no_grad():
        expected = norm(conv(dg.tensor(IMAGE))).numpy()
        y = norm(conv(dg.tensor(IMAGE)))
        for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            t.fill_(7)
    np.testing.assert_array_equal(y.numpy(), expected)


def test_gradients_of_a_frozen_convolution(epilogues: list) -> None:
    """A batch norm that learns in evaluation needs the values of the convolution before it."""
    conv, norm = nn.Conv2d(24, 24, 1).requires_grad_(False), nn.BatchNorm2d(24).eval()
    z = norm(conv(dg.tensor(IMAGE)))
    z.sum().backward()
    assert len(epilogues) == 1
    mine = norm.weight.grad.numpy()
    twin = torch.nn.BatchNorm2d(24).eval()
    w, b = (torch.tensor(t.numpy()) for t in (conv.weight, conv.bias))
    twin(torch.conv2d(torch.tensor(IMAGE), w, b)).sum().backward()
    np.testing.assert_allclose(mine, twin.weight.grad, rtol=1e-4, atol=1e-3)


def test_limits_in_place_are_the_last_step_of_a_recorded_convolution(epilogues: list) -> None:
    """Its image would be replaced at once; one that stays is computed, and limited in a second pass."""
    layers = nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 1), nn.ReLU6()
    found = []
    for inplace in (False, True):
        for layer in layers:
            if isinstance(layer, (nn.ReLU, nn.ReLU6)):
                layer.inplace = inplace
        model = nn.Sequential(*layers)
        model.zero_grad()
        x = dg.tensor(IMAGE, requires_grad=True)
        epilogues.clear()
        y = model(x)
        y.square().sum().backward()
        limits = [None if e is None else list(e.limits) for e in epilogues]
        assert limits == ([[0, np.inf], [0, 6]] if inplace else [None, None])
        found.append([y.detach(), x.grad, *[p.grad for p in model.parameters()]])
    for usual, replaced in zip(*found, strict=True):
        np.testing.assert_array_equal(usual.numpy(), replaced.numpy())


def test_a_convolution_that_is_limited_in_place_and_normalised_is_computed_once(epilogues: list) -> None:
    conv, norm, x = nn.Conv2d(24, 24, 1), nn.BatchNorm2d(24).eval(), dg.tensor(IMAGE)
    with dg.no_grad():
        y = conv(x)
        z = norm(y)
        F.relu(y, inplace=True)
        z.numpy()
        y.numpy()
        assert epilogues == [None]
        image = conv(x).numpy().copy()
    np.testing.assert_array_equal(y.numpy(), np.maximum(image, 0))
    np.testing.assert_array_equal(z.numpy(), norm(dg.tensor(image)).detach().numpy())


def test_a_forced_algorithm_is_taken_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with cpu_conv.use_algorithm("direct"):
        y = F.conv2d(dg.tensor(IMAGE), dg.tensor(floats(24, 24, 3, 3)), padding=1)
    assert type(y) is dg.Tensor


def test_nan_stays_nan() -> None:
    image = IMAGE.copy()
    image[0, :, 3, 3] = np.nan
    y = F.relu(bn(F.conv2d(dg.tensor(image), dg.tensor(floats(24, 24, 1, 1))), F, dg)).numpy()
    assert np.isnan(y[0, :, 3, 3]).all()
    assert not np.isnan(y[1:]).any()
