"""Summaries against known numbers, and pictures of trainings."""

import builtins

import pytest
from PIL import Image

from deepgpu import nn
from deepgpu.vision import models
from deepgpu.viz import MissingMatplotlibError, summarize, training_curves

RECORDS = [
    {"event": "step", "step": 10, "loss": 2.0, "lr": 0.1},
    {"event": "step", "step": 20, "loss": 1.0, "lr": 0.01},
    {"event": "epoch", "step": 20, "lr": 0.01, "train_loss": 1.5, "train_accuracy": 0.5},
]


@pytest.fixture
def no_start(monkeypatch):
    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


@pytest.mark.parametrize(
    ("name", "parameters", "giga"),
    [  # multiply-adds at 3 x 224 x 224 from the metadata of torchvision's weights ("_ops")
        ("resnet18", 11_689_512, 1.814),
        ("resnet34", 21_797_672, 3.664),
        ("resnet50", 25_557_032, 4.089),
        ("resnet152", 60_192_808, 11.514),
        ("resnext50_32x4d", 25_028_904, 4.23),
        ("wide_resnet50_2", 68_883_240, 11.398),
        ("vgg11", 132_863_336, 7.609),
        ("vgg16", 138_357_544, 15.47),
        ("vgg19_bn", 143_678_248, 19.632),
    ],
)
def test_parameters_and_multiply_adds(no_start, name, parameters, giga):
    found = summarize(models.get_model(name), (3, 224, 224))
    assert found.parameters == found.trainable == parameters
    assert round(found.multiply_adds / 1e9, 3) == giga
    assert found.flops == 2 * found.multiply_adds
    assert found.parameter_bytes == 4 * parameters


def test_layers_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, groups=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8 * 16, 5))
    net[3].bias.requires_grad_(False)
    found = summarize(net.train(), (3, 8, 8))
    assert net.training
    assert [layer.kind for layer in found.layers] == ["Conv2d", "ReLU", "Flatten", "Linear"]
    conv, relu, flat, linear = found.layers
    assert (conv.input, conv.output, conv.volume, conv.weight) == ((3, 8, 8), (8, 4, 4), "4x4x8", (8, 3, 3, 3))
    assert (conv.parameters, conv.multiply_adds, conv.output_bytes) == (224, 8 * 16 * 27, 512)
    assert (relu.output_bytes, flat.volume) == (0, "128")
    assert (linear.parameters, linear.multiply_adds) == (645, 640)
    assert (found.parameters, found.trainable) == (869, 864)


def test_shared_layer_counts_its_parameters_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(self.fc(x))

    found = summarize(Twice(), (4,))
    assert [layer.parameters for layer in found.layers] == [20, 0]
    assert found.multiply_adds == 32
    assert found.parameters == 20


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_training_curves(tmp_path, suffix):
    path = tmp_path / f"curves{suffix}"
    training_curves(RECORDS, path, "a title")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    head = path.read_bytes()[:300]
    assert {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix] in head
    if suffix == ".png":
        with Image.open(path) as image:
            assert image.size[0] > image.size[1] > 300
            assert len(image.convert("RGB").getcolors(10**6)) > 20


def test_no_epoch_yet(tmp_path):
    with pytest.raises(ValueError, match="has no epoch yet"):
        training_curves(RECORDS[:2], tmp_path / "a.png")


def test_without_matplotlib_the_command_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingMatplotlibError, match=r"pip install 'deepgpu\[plots\]'"):
        training_curves(RECORDS, tmp_path / "a.png")
