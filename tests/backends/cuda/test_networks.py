"""Whole training steps on "cuda" (emulated without a GPU) are those of the CPU."""

import numpy as np
import pytest

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu import nn
from deepgpu.backends.cuda import runtime
from deepgpu.testing import usable
from deepgpu.vision.models import resnet20
from deepgpu.vision.models.vgg import STAGES, make_layers


def vgg11(narrow=8):
    """Every layer of VGG-11's convolutional part, an eighth as wide or whole, and a small classifier, dropout off."""
    stages = [[channels // narrow for channels in stage] for stage in STAGES[11]]
    head = [
        nn.AdaptiveAvgPool2d((2, 2)),
        nn.Flatten(),
        nn.Linear(4 * stages[-1][-1], 32),
        nn.ReLU(),
        nn.Dropout(0.0),
        nn.Linear(32, 10),
    ]
    return nn.Sequential(make_layers(stages), *head)


def nesterov(parameters):
    return dg.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)


def plain(parameters):
    return dg.optim.SGD(parameters, lr=0.05, weight_decay=5e-4)


NETWORKS = {  # the net, the height and width of its images, its optimizer
    "resnet20": (lambda: resnet20(num_classes=10), 12, nesterov),
    "vgg11": (vgg11, 32, plain),
    "vgg11, whole": (lambda: vgg11(narrow=1), 32, plain),
}


def trained(name, device, steps=2):
    """Losses, gradients of the first step, and the state after the last."""
    build, size, updates = NETWORKS[name]
    dg.manual_seed(0)
    net = build().to(device)
    optimizer = updates(net.parameters())
    rng = np.random.default_rng(0)
    x = dg.tensor(rng.standard_normal((3, 3, size, size)).astype(np.float32), device=device)
    target = dg.tensor(rng.integers(0, 10, 3), device=device)
    losses, gradients = [], None
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), target)
        loss.backward()
        gradients = gradients or {n: p.grad.cpu().numpy().copy() for n, p in net.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    return losses, gradients, {n: t.detach().cpu().numpy() for n, t in net.state_dict().items()}


@pytest.mark.parametrize("name", ["resnet20", "vgg11", pytest.param("vgg11, whole", marks=pytest.mark.full)])
def test_training_steps(name, monkeypatch):
    monkeypatch.setattr("deepgpu.pending.WORTH", 1)  # small images wait to be normalised, too
    expected = trained(name, "cpu")
    with usable("cuda"):
        actual = trained(name, "cuda")
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-4)
    for got, want in zip(actual[1:], expected[1:], strict=True):
        assert got.keys() == want.keys()
        for key, value in want.items():
            scale = max(float(np.abs(value).max()), 1e-6)
            np.testing.assert_allclose(got[key], value, rtol=0, atol=2e-3 * scale, err_msg=key)


def test_channels_last_networks_are_trained_as_they_lie(monkeypatch):
    """No step lays filters, their gradients or images out anew; on tensor cores, the results are near the CPU's."""
    launched, launch = [], runtime.launch
    monkeypatch.setattr(runtime, "launch", lambda *args, **more: launched.append(args[1]) or launch(*args, **more))

    def steps(device, **to):
        dg.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
        ).to(device, **to)  # fmt: skip
        optimizer = dg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        x, target = dg.randn(4, 3, 8, 8).to(device, **to), dg.tensor([0, 3, 1, 2]).to(device)
        for _ in range(2):
            launched.clear()
            optimizer.zero_grad()
            F.cross_entropy(net(x), target).backward()
            optimizer.step()
        return net

    expected = steps("cpu").state_dict()
    with usable("cuda"), dg.backends.cudnn.flags(allow_tf32=True):
        net = steps("cuda", memory_format=dg.channels_last)
        kernels = {name.split("<")[0] for name in launched}
        assert {"conv_fprop_mma", "conv_dgrad_mma", "conv_wgrad_mma", "optimize"} <= kernels
        assert "transpose" not in kernels
        for p in net.parameters():
            assert p.grad.stride() == p.stride()
        for name, t in net.state_dict().items():
            np.testing.assert_allclose(t.cpu().numpy(), expected[name].numpy(), rtol=0, atol=2e-3, err_msg=name)


def test_learns_64_images_by_heart():
    with usable("cuda"):
        dg.manual_seed(1)
        rng = np.random.default_rng(1)
        x = dg.tensor(rng.standard_normal((64, 3, 8, 8)).astype(np.float32), device="cuda")
        target = dg.tensor(rng.integers(0, 10, 64), device="cuda")
        net = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10),
        ).to("cuda")  # fmt: skip
        optimizer = dg.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(15):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), target)
            loss.backward()
            optimizer.step()
        net.eval()
        assert float((net(x).argmax(1) == target).float().mean()) == 1.0
