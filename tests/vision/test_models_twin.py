"""ResNet-18 and VGG-16-bn against hand-written PyTorch twins with the same weights, in train mode."""

import re
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu import nn
from deepgpu.vision import models
from tests.vision import pytorch_models


def resnet18_small():
    """torchvision's ResNet-18 with the usual changes for 32 x 32 images."""
    net = models.resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net


def vgg16_bn_small():
    """torchvision's VGG-16-bn with the usual changes for 32 x 32 images."""
    net = models.VGG(models.vgg.make_layers(models.vgg.STAGES[16], batch_norm=True), init_weights=False)
    net.avgpool = nn.Identity()
    net.classifier = nn.Linear(512, 10)
    return net


CASES = {
    "resnet18": (resnet18_small, lambda: pytorch_models.ResNet18(10), (6, 3, 32, 32)),
    "resnet18_224": (
        lambda: models.resnet18(num_classes=10),
        lambda: pytorch_models.ResNet18(10, False),
        (4, 3, 96, 96),
    ),
    "vgg16_bn": (vgg16_bn_small, lambda: pytorch_models.VGG16BN(10), (6, 3, 32, 32)),
}


@pytest.fixture(autouse=True)
def no_start_of_big_layers(monkeypatch):
    """The weights are copied from the twin, so ours need none; VGG's linear layers would take seconds."""
    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


def twins(case, dtype):
    """Our model and PyTorch's with the same weights, and a batch."""
    ours, theirs, shape = CASES[case]
    torch.manual_seed(1)
    net = theirs().to(getattr(torch, dtype)).train()
    with torch.no_grad():
        for p in net.parameters():  # norms and biases that do something
            if p.ndim == 1:
                p.add_(0.1 * torch.randn_like(p))
    made = ours().to(getattr(dg, dtype)).train()
    made.load_state_dict({k: dg.from_numpy(t.numpy()) for k, t in net.state_dict().items()})
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(shape, generator=generator, dtype=torch.float64).to(getattr(torch, dtype))
    labels = torch.randint(10, shape[:1], generator=generator)
    return made, net, images, labels


def error(ours, theirs, scale=0.0):
    """The relative error in the 2-norm; ``scale`` is the size below which a gradient is zero but for rounding."""
    ours, theirs = (np.asarray(t.detach().numpy(), np.float64) for t in (ours, theirs))
    assert ours.shape == theirs.shape
    return np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), scale)


def check(made, net, images, labels, tolerance):
    """Loss, every gradient and the running statistics of one training step."""
    theirs = TF.cross_entropy(net(images), labels)
    theirs.backward()
    ours = F.cross_entropy(made(dg.from_numpy(images.numpy())), dg.from_numpy(labels.numpy()))
    ours.backward()
    assert not error(ours, theirs) > tolerance
    grads = {name: p.grad for name, p in net.named_parameters()}
    assert list(grads) == [name for name, _ in made.named_parameters()]
    errors = {}
    for name, p in made.named_parameters():
        # A bias in front of batch norm has no effect: its gradient is rounding only, to be compared with the weight's.
        layer = grads[name.replace("bias", "weight")]
        errors[name] = error(p.grad, grads[name], 1e-3 * float(layer.norm()))
    worst = max(errors, key=errors.get)
    assert errors[worst] < tolerance, f"{worst}: {errors[worst]:.2e}"
    assert all(e < tolerance for e in errors.values()), errors  # NaN too
    for (name, a), (_, b) in zip(made.named_buffers(), net.named_buffers(), strict=True):
        assert error(a, b) < tolerance, name


@pytest.mark.parametrize("case", CASES)
def test_whole_net_float64(case):
    check(*twins(case, "float64"), tolerance=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_whole_net_float32(case):
    check(*twins(case, "float32"), tolerance=2e-2)


def leaves(module):
    return {name: m for name, m in module.named_modules() if not list(m.children()) and list(m.parameters())}


@pytest.mark.parametrize("case", CASES)
def test_layer_by_layer_float32(case):
    """Each layer of ours gets the input and the output gradient that the twin's layer had."""
    made, net, images, labels = twins(case, "float32")
    seen = {}

    def watch(name):
        def hook(module, args, output):
            x, y = args[0].detach().clone(), output.detach().clone()
            seen[name] = [x, y, None]
            output.register_hook(lambda g: seen[name].__setitem__(2, g.detach().clone()))

        return hook

    handles = [m.register_forward_hook(watch(name)) for name, m in leaves(net).items()]
    TF.cross_entropy(net(images), labels).backward()
    for h in handles:
        h.remove()
    before = {k: t.clone() for k, t in twins(case, "float32")[1].state_dict().items()}
    net.load_state_dict(before)
    net.zero_grad()
    ours = leaves(made)
    assert len(seen) == len(ours) > 20
    for name, layer in leaves(net).items():
        x, y, g = seen[name]
        leaf = x.clone().requires_grad_()
        layer(leaf).backward(g)
        x_ours = dg.from_numpy(x.numpy().copy()).requires_grad_()
        y_ours = ours[name](x_ours)
        y_ours.backward(dg.from_numpy(g.numpy()))
        assert error(y_ours, y) < 1e-4, name
        assert error(x_ours.grad, leaf.grad) < 1e-4, name
        for key, p in layer.named_parameters():
            scale = 1e-2 * float(layer.weight.grad.norm()) if key == "bias" else 0.0  # see `check`
            assert error(getattr(ours[name], key).grad, p.grad, scale) < 1e-4, f"{name}.{key}"
        for key, b in layer.named_buffers():
            assert error(getattr(ours[name], key), b) < 1e-4, f"{name}.{key}"


def with_imports_changed():
    """The PyTorch source, run with other import lines."""
    source = Path(pytorch_models.__file__).read_text()
    body = re.sub(r"^import torch(\.[\w.]+)?( as \w+)?\n", "", source, flags=re.MULTILINE)
    assert body.count("torch.") >= 5
    imports = "import deepgpu as torch\nimport deepgpu.nn as nn\nimport deepgpu.nn.functional as F\n"
    module = types.ModuleType("deepgpu_models")
    exec(imports + body, module.__dict__)
    return module


@pytest.mark.parametrize("model", ["ResNet18", "VGG16BN"])
def test_pytorch_source_runs_with_its_imports_changed(model):
    torch.manual_seed(3)
    theirs = getattr(pytorch_models, model)().double()
    ours = getattr(with_imports_changed(), model)().double()
    ours.load_state_dict({k: dg.from_numpy(t.numpy()) for k, t in theirs.state_dict().items()}, strict=True)
    images = torch.randn(8, 3, 32, 32, dtype=torch.float64)
    labels = torch.arange(8)
    expected, accuracy = pytorch_models.train_a_little(theirs, images, labels, 3)
    module = with_imports_changed()
    found, accuracy_ours = module.train_a_little(ours, dg.from_numpy(images.numpy()), dg.from_numpy(labels.numpy()), 3)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert accuracy_ours == accuracy
