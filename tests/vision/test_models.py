"""Model builders: names, shapes and parameter counts as torchvision has them, and the random start."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import nn
from deepgpu.vision import models

# {model: {key: shape}} in the order of torchvision 0.29's state dicts.
TORCHVISION = json.loads(Path(__file__).with_name("torchvision_keys.json").read_text())

# {model: [number of keys, SHA-256 of their list]} for the other sizes of the same families.
DIGESTS = json.loads(Path(__file__).with_name("torchvision_digests.json").read_text())


@pytest.fixture
def no_start(monkeypatch):
    """Leave parameters as they are allocated: for tests that look at shapes only."""
    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_", "trunc_normal_", "xavier_uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


@pytest.mark.parametrize("name", TORCHVISION)
def test_state_dict_has_torchvisions_keys_and_shapes(no_start, name):
    state = models.get_model(name).state_dict()
    assert list(state) == list(TORCHVISION[name])
    assert {k: list(t.shape) for k, t in state.items()} == TORCHVISION[name]


@pytest.mark.parametrize("name", DIGESTS)
def test_other_sizes_have_torchvisions_keys_and_shapes(no_start, name):
    state = models.get_model(name).state_dict()
    text = "".join(f"{k}:{','.join(map(str, t.shape))}\n" for k, t in state.items())
    assert [len(state), hashlib.sha256(text.encode()).hexdigest()] == DIGESTS[name]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("resnext50_32x4d", 25_028_904),
        ("wide_resnet50_2", 68_883_240),
        ("vgg11", 132_863_336),
        ("vgg16", 138_357_544),
        ("vgg16_bn", 138_365_992),
        ("vgg19_bn", 143_678_248),
        # He et al., arXiv 1512.03385, table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million
        ("resnet20", 269_722),
        ("resnet32", 464_154),
        ("resnet44", 658_586),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
        # Huang et al., arXiv 1608.06993, table 2: 1.0 and 0.8 million
        ("densenet40", 1_019_722),
        ("densenet100_bc", 769_162),
        # Ronneberger et al., arXiv 1505.04597, figure 1, with batch norm and padding: 31.0 million
        ("unet", 31_037_698),
    ],
)
def test_parameter_count(no_start, name, parameters):
    assert sum(p.numel() for p in models.get_model(name).parameters()) == parameters


def test_all_of_torchvisions_are_listed():
    assert set(TORCHVISION) | set(DIGESTS) <= set(models.list_models())
    assert models.list_models("vgg*", exclude="*_bn") == ["vgg11", "vgg13", "vgg16", "vgg19"]
    for name in models.list_models():
        assert callable(getattr(models, name))


def test_unknown_model_is_an_error_that_helps():
    with pytest.raises(ValueError, match=r"no model 'resnet19'; did you mean .*resnet1"):
        models.get_model("resnet19")
    with pytest.raises(ValueError, match=r"no model 'qqqq'; there are alexnet, "):
        models.get_model("qqqq")


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_cifar_resnet_shapes(shortcut):
    net = models.resnet14(num_classes=7, in_channels=1, width=4, shortcut=shortcut)
    assert net(dg.zeros(2, 1, 28, 28)).shape == (2, 7)
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) == 13 + (2 if shortcut == "B" else 0)


def test_padded_shortcut_drops_pixels_and_adds_zeros():
    x = torch.randn(2, 3, 5, 6)
    block = models.CifarBlock(3, 8, 2, "A")
    y = block.downsample(dg.from_numpy(x.numpy())).numpy()
    expected = torch.cat([x[:, :, ::2, ::2], torch.zeros(2, 5, 3, 3)], 1)
    np.testing.assert_array_equal(y, expected.numpy())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.CifarResNet(18), r"`depth` takes 6 n \+ 2 .*but got 18"),
        (lambda: models.CifarResNet(20, shortcut="C"), r"`shortcut` takes 'A' or 'B', but got 'C'"),
        (lambda: models.resnet18(replace_stride_with_dilation=[True]), "`replace_stride_with_dilation` takes"),
        (lambda: models.resnet18(groups=2), "BasicBlock takes groups=1"),
    ],
)
def test_bad_arguments_are_named(no_start, call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_start_of_resnet():
    dg.manual_seed(0)
    net = models.resnet20(width=32)
    for name, p in net.named_parameters():
        values = p.detach().numpy()
        if values.ndim == 4:
            std = np.sqrt(2 / (p.shape[0] * 9))
            spread = values.std() / std
            assert abs(spread - 1) < 5 / np.sqrt(2 * values.size), name
            assert np.abs(values).max() > 2.5 * std, name  # normal, not uniform
        elif ".bn" in name or name.startswith("bn"):
            assert (values == (1 if name.endswith("weight") else 0)).all(), name


def test_start_of_vgg(monkeypatch):
    for name in ("normal_", "kaiming_uniform_"):
        draw = getattr(nn.init, name)
        small = lambda t, *args, draw=draw, **kwargs: t if t.numel() > 10**7 else draw(t, *args, **kwargs)  # noqa: E731
        monkeypatch.setattr(nn.init, name, small)  # the first linear layer's 103 million take seconds
    dg.manual_seed(0)
    net = models.VGG(nn.Sequential(nn.Conv2d(3, 512, 3, padding=1), nn.BatchNorm2d(512)), num_classes=5)
    conv, norm = net.features
    assert abs(conv.weight.detach().numpy().std() / np.sqrt(2 / (512 * 9)) - 1) < 0.03
    assert (norm.weight == 1).all()
    linear = net.classifier[6]
    assert abs(linear.weight.detach().numpy().std() / 0.01 - 1) < 0.03
    for m in (conv, norm, linear):
        assert (m.bias == 0).all()


def test_zero_init_residual_starts_blocks_as_identity():
    x = dg.rand(2, 16, 8, 8)
    for net, channels in [
        (models.resnet8(zero_init_residual=True, shortcut="B"), 16),
        (models.ResNet(models.BasicBlock, [2, 1, 1, 1], zero_init_residual=True), 64),
        (models.ResNet(models.Bottleneck, [2, 1, 1, 1], zero_init_residual=True), 256),
    ]:
        block = net.layer1[-1]
        x = dg.rand(2, channels, 8, 8)
        np.testing.assert_array_equal(block(x).detach().numpy(), x.numpy())


def test_dilation_instead_of_stride():
    net = models.ResNet(models.Bottleneck, [1, 1, 1, 2], 3, replace_stride_with_dilation=[False, True, True])
    seen = []
    net.layer4.register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))
    net(dg.zeros(1, 3, 64, 64))
    assert seen == [(1, 2048, 8, 8)]
    assert net.layer4[1].conv2.dilation == (4, 4)


def test_norm_layer_is_used():
    class Channels(nn.Module):
        def __init__(self, planes):
            super().__init__()
            self.planes = planes

        def forward(self, x):
            return x

    net = models.resnet18(norm_layer=Channels, num_classes=2)
    assert sum(isinstance(m, Channels) for m in net.modules()) == 20
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_from_a_file(tmp_path, suffix):
    source = models.resnet8(in_channels=1)
    path = tmp_path / f"w.{suffix}"
    if suffix == "pth":
        torch.save({k: torch.from_numpy(t.numpy()) for k, t in source.state_dict().items()}, path)
    else:
        dg.save(source.state_dict(), path)
    made = models.get_model("resnet8", in_channels=1, weights=path)
    for a, b in zip(made.state_dict().values(), source.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    with pytest.raises(RuntimeError, match=rf"(?s)weights in .*w\.{suffix} do not fit: .*conv1\.weight"):
        models.resnet8(weights=path)


def test_names_of_downloadable_weights_are_refused():
    with pytest.raises(ValueError, match="weights are not downloaded"):
        models.resnet8(weights="IMAGENET1K_V1")
    with pytest.raises(FileNotFoundError, match=r"missing\.pth"):
        models.resnet8(weights="missing.pth")
