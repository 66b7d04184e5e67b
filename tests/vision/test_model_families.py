"""Families of models on small inputs: shapes, gradients, modes, options."""

from functools import partial

import numpy as np
import pytest

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.vision import models, ops
from deepgpu.vision.models import (
    efficientnet,
    mobilenetv3,
    shufflenetv2,
)

# Small members of each family, and an input. Those without a width are built as they are.
SMALL = {
    "alexnet": (partial(models.alexnet, num_classes=3), (2, 3, 63, 63)),
    "squeezenet1_0": (partial(models.squeezenet1_0, num_classes=3), (2, 3, 48, 48)),
    "squeezenet1_1": (partial(models.squeezenet1_1, num_classes=3), (2, 3, 32, 32)),
    "densenet": (lambda: models.DenseNet(4, (2, 3), 8, num_classes=3, drop_rate=0.1), (2, 3, 32, 32)),
    "googlenet": (partial(models.googlenet, num_classes=3, aux_logits=False), (2, 3, 48, 48)),
    "inception_v3": (partial(models.inception_v3, num_classes=3, aux_logits=False), (2, 3, 75, 75)),
    "mobilenet_v2": (partial(models.mobilenet_v2, num_classes=3, width_mult=0.25), (2, 3, 40, 40)),
    "mobilenet_v3_small": (partial(models.mobilenet_v3_small, num_classes=3, width_mult=0.5), (2, 3, 40, 40)),
    "mobilenet_v3_dilated": (
        lambda: models.MobileNetV3(mobilenetv3.LARGE, 64, 3, 0.25, reduced_tail=True, dilated=True),
        (2, 3, 40, 40),
    ),
    "efficientnet": (lambda: models.EfficientNet(0.25, 0.5, num_classes=3), (4, 3, 40, 40)),
    "shufflenet_v2": (lambda: models.ShuffleNetV2([2, 1, 1], [8, 16, 16, 16, 32], 3), (2, 3, 40, 40)),
    "mnasnet": (lambda: models.MNASNet(0.25, 3), (2, 3, 40, 40)),
    "convnext": (lambda: models.ConvNeXt([8, 12, 16], [1, 2, 1], num_classes=3), (2, 3, 32, 32)),
    "vit": (lambda: models.VisionTransformer(16, 8, 2, 2, 8, 16, num_classes=3, representation_size=5), (2, 3, 16, 16)),
    "cifar_densenet": (lambda: models.CifarDenseNet(16, 4, 3, in_channels=1), (2, 1, 16, 16)),
    "cifar_densenet_plain": (lambda: models.CifarDenseNet(10, 4, 3, bottleneck=False, drop_rate=0.1), (2, 3, 16, 16)),
    "plain": (partial(models.plain8, num_classes=3, in_channels=1, width=4), (2, 1, 16, 16)),
    "preact": (lambda: models.CifarNet(models.PreActBlock, 14, 3, width=4), (2, 3, 16, 16)),
    "se": (lambda: models.CifarNet(partial(models.SEBlock, reduction=2), 14, 3, width=8), (2, 3, 16, 16)),
}

MAPS = {
    "unet": (lambda: models.UNet(3, in_channels=1, width=4, depth=2), (2, 1, 13, 18)),
    "unet_bilinear": (lambda: models.UNet(3, width=4, depth=2, upsample="bilinear"), (2, 3, 12, 9)),
}


@pytest.fixture(autouse=True)
def quick_start_of_big_layers(monkeypatch):
    """Layers with millions of weights repeat the same 10007 random numbers: to draw all takes seconds."""
    for name in ("kaiming_uniform_", "kaiming_normal_", "trunc_normal_"):
        draw = getattr(nn.init, name)

        def quick(t, *args, draw=draw, **kwargs):
            if t.numel() < 10**5:
                return draw(t, *args, **kwargs)
            numbers = np.random.default_rng(0).standard_normal(10007, np.float32) / np.sqrt(np.prod(t.shape[1:]))
            return t.detach().copy_(dg.from_numpy(np.resize(numbers.astype(np.float32), t.shape)))

        monkeypatch.setattr(nn.init, name, quick)


def trained_on(net, shape):
    """The net behind a forward and a backward pass in training mode, and its outputs."""
    dg.manual_seed(0)
    out = net.train()(dg.randn(*shape))
    (out**2).mean().backward()
    return out


@pytest.mark.parametrize("case", [*SMALL, *MAPS])
def test_forward_gradients_and_evaluation(case):
    make, shape = {**SMALL, **MAPS}[case]
    dg.manual_seed(1)
    net = make()
    if case == "vit":
        nn.init.normal_(net.heads.head.weight)  # begins with zeros, so that nothing flows to the rest
    if case == "convnext":
        for name, p in net.named_parameters():
            if name.endswith("layer_scale"):
                nn.init.constant_(p, 0.5)  # 1e-6 leaves the branch below rounding
    for m in net.modules():
        if isinstance(m, (nn.Dropout, ops.StochasticDepth)):
            m.p = 0.0  # a branch that is left out gets no gradient
    out = trained_on(net, shape)
    assert out.shape == ((shape[0], 3, *shape[2:]) if case in MAPS else (shape[0], 3))
    missing = [name for name, p in net.named_parameters() if p.grad is None or not (p.grad != 0).any()]
    # the biases of a convolution or a norm may be without effect, never a weight
    assert [name for name in missing if not name.endswith("bias")] == []
    assert all(np.isfinite(p.grad.numpy()).all() for p in net.parameters() if p.grad is not None)
    net.eval()
    x = dg.randn(*shape)
    with dg.no_grad():
        first, second = net(x).numpy(), net(x).numpy()
        one = net(x[:1]).numpy()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first[:1], one, rtol=1e-3, atol=1e-4 * np.abs(first).max())


@pytest.mark.parametrize("make", [models.googlenet, models.inception_v3])
def test_auxiliary_classifiers_in_training_only(make):
    net = make(num_classes=5, transform_input=True)
    x = dg.randn(2, 3, 299, 299) if make is models.inception_v3 else dg.randn(2, 3, 64, 64)
    with dg.no_grad():
        out = net(x)
        assert out.logits.shape == out[1].shape == out[-1].shape == (2, 5)
        assert len(out) == (2 if make is models.inception_v3 else 3)
        assert net.eval()(x).shape == (2, 5)
    bare = make(num_classes=5, aux_logits=False, init_weights=False)
    assert {k.split(".")[0] for k in net.state_dict()} - {k.split(".")[0] for k in bare.state_dict()} == (
        {"AuxLogits"} if make is models.inception_v3 else {"aux1", "aux2"}
    )


def test_googlenet_without_auxiliary_classifiers_takes_a_file_that_has_them(tmp_path):
    dg.save(models.GoogLeNet(4).state_dict(), tmp_path / "w.pth")
    net = models.googlenet(weights=tmp_path / "w.pth", num_classes=4, aux_logits=False)
    assert net.aux1 is None
    with pytest.raises(RuntimeError, match=r"do not fit"):
        models.googlenet(weights=tmp_path / "w.pth", num_classes=5)


def test_transformed_input_is_normalised_with_one_half():
    x = np.random.default_rng(0).random((2, 3, 4, 4))
    mean, std = np.reshape([0.485, 0.456, 0.406], (3, 1, 1)), np.reshape([0.229, 0.224, 0.225], (3, 1, 1))
    ours = models.googlenet.__globals__["from_imagenet"](dg.tensor((x - mean) / std))
    np.testing.assert_allclose(ours.numpy(), (x - 0.5) / 0.5, atol=1e-12)


@pytest.mark.parametrize("small", [False, True])
def test_memory_efficient_densenet_has_the_same_gradients(small):
    def make(**config):
        dg.manual_seed(3)
        if small:
            return models.CifarDenseNet(16, 4, 3, **config).double()
        return models.DenseNet(4, (2, 2), 8, num_classes=3, **config).double()

    x = dg.randn(2, 3, 32, 32, dtype=dg.float64)
    plain, efficient = make(), make(memory_efficient=True)
    for net in (plain, efficient):
        (net(x) ** 2).sum().backward()
    for (name, a), b in zip(plain.named_parameters(), efficient.parameters(), strict=True):
        np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_densenet_takes_the_keys_of_the_files_that_torchvision_downloads(tmp_path):
    net = models.DenseNet(32, (6, 12, 24, 16), 64, num_classes=2)
    old = {
        k.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in k else k: t
        for k, t in net.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    dg.save(old, tmp_path / "w.safetensors")
    made = models.densenet121(weights=tmp_path / "w.safetensors", num_classes=2)
    for a, b in zip(made.state_dict().values(), net.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("mode", ["batch", "row"])
def test_stochastic_depth(mode):
    dg.manual_seed(0)
    layer = ops.StochasticDepth(0.25, mode)
    x = dg.ones(4000, 2) if mode == "row" else dg.ones(4, 2)
    y = layer(x).numpy()
    values = {0.0, np.float32(1 / 0.75)}
    assert set(y.ravel()) <= values
    assert (y == y[:, :1]).all()
    if mode == "row":
        assert abs((y == 0).mean() - 0.25) < 0.03
    else:
        drawn = [layer(x).numpy() for _ in range(200)]
        assert all((d == d[0, 0]).all() for d in drawn)
        assert 20 < sum(d[0, 0] == 0 for d in drawn) < 80
    assert layer.eval()(x) is x
    assert repr(layer) == f"StochasticDepth(p=0.25, mode={mode})"


def test_stochastic_depth_grows_with_the_block():
    net = models.EfficientNet(0.25, 1.0, stochastic_depth_prob=0.2, num_classes=2)
    found = [m.p for m in net.modules() if isinstance(m, ops.StochasticDepth)]
    np.testing.assert_allclose(found, 0.2 * np.arange(16) / 16)


def test_conv2d_norm_activation():
    block = ops.Conv2dNormActivation(3, 8, (3, 5), dilation=2)
    assert [type(m) for m in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert block[0].padding == (2, 4)
    assert block[0].bias is None
    assert block(dg.zeros(1, 3, 9, 9)).shape == (1, 8, 9, 9)
    bare = ops.Conv2dNormActivation(3, 8, norm_layer=None, activation_layer=None)
    assert len(bare) == 1
    assert bare[0].bias is not None
    assert bare.out_channels == 8


def test_squeeze_excitation_scales_channels():
    x = dg.rand(2, 4, 3, 3)
    layer = ops.SqueezeExcitation(4, 2)
    mean = x.numpy().mean((2, 3))
    w1, b1, w2, b2 = (p.detach().numpy() for p in layer.parameters())
    hidden = np.maximum(mean @ w1[:, :, 0, 0].T + b1, 0)
    scale = 1 / (1 + np.exp(-(hidden @ w2[:, :, 0, 0].T + b2)))
    np.testing.assert_allclose(layer(x).detach().numpy(), x.numpy() * scale[:, :, None, None], rtol=1e-5)


def test_mlp_is_as_torchvision_s():
    layer = ops.MLP(3, [4, 5, 2], norm_layer=nn.LayerNorm, dropout=0.1)
    kinds = ["Linear", "LayerNorm", "ReLU", "Dropout"] * 2 + ["Linear", "Dropout"]
    assert [type(m).__name__ for m in layer] == kinds
    assert layer(dg.zeros(7, 3)).shape == (7, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.SqueezeNet("1_2"), "`version` takes '1_0' or '1_1', but got 1_2"),
        (lambda: models.CifarDenseNet(41), r"`depth` takes 6 n \+ 4, but got 41"),
        (lambda: models.CifarDenseNet(40, reduction=0), r"`reduction` takes a share in \(0, 1\], but got 0"),
        (lambda: models.CifarNet(models.PlainBlock, 9), r"`depth` takes 6 n \+ 2 .*but got 9"),
        (lambda: models.UNet(upsample="cubic"), "`upsample` takes 'transposed' or 'bilinear', but got cubic"),
        (lambda: models.UNet(depth=0), "`depth` takes at least 1, but got 0"),
        (lambda: models.MNASNet(0.0), "`alpha` takes a number > 0, but got 0.0"),
        (lambda: models.ShuffleNetV2([1, 1], [1] * 5), "`stages_repeats` takes 3 numbers"),
        (lambda: models.ShuffleNetV2([1, 1, 1], [1] * 4), "`stages_out_channels` takes 5 numbers"),
        (lambda: shufflenetv2.InvertedResidual(4, 4, 3), "`stride` takes 1 or 2, but got 3"),
        (lambda: shufflenetv2.InvertedResidual(4, 8, 1), "`inp` takes `oup` = 8 at stride 1, but got 4"),
        (lambda: models.MobileNetV2(inverted_residual_setting=[]), "`inverted_residual_setting` takes"),
        (lambda: models.VisionTransformer(30, 16, 1, 1, 8, 8), "`image_size` takes a multiple of 16, but got 30"),
        (
            lambda: models.VisionTransformer(32, 16, 1, 1, 8, 8)(dg.zeros(1, 3, 64, 64)),
            r"takes \(N, 3, 32, 32\); build the model with `image_size=`",
        ),
        (lambda: ops.stochastic_depth(dg.zeros(1), 2.0, "row"), r"`p` takes a probability in \[0, 1\], but got 2.0"),
        (lambda: ops.stochastic_depth(dg.zeros(1), 0.5, "rows"), "`mode` takes 'batch' or 'row', but got rows"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sizes_of_images():
    assert (models.design_size("resnet18"), models.design_size("resnet20")) == (224, 32)
    assert (models.design_size("inception_v3"), models.design_size("efficientnet_b7")) == (299, 600)
    assert (models.least_size("alexnet"), models.least_size("vit_b_16")) == (63, 224)
    assert models.is_classifier("vgg11")
    assert not models.is_classifier("unet")
    assert [s.out for s in efficientnet.STAGES] == [16, 24, 40, 80, 112, 192, 320]


def test_loss_of_auxiliary_classifiers_counts_in_training():
    from deepgpu.optim import SGD
    from deepgpu.train import Trainer

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.aux = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return models.InceptionOutputs(self.main(x), self.aux(x)) if self.training else self.main(x)

    net = Net()
    x, y = dg.randn(8, 3), dg.randint(2, (8,))
    expected = [p.detach().clone() for p in net.parameters()]
    for weight, part in ((1.0, net.main), (0.3, net.aux)):
        (weight * F.cross_entropy(part(x), y)).backward()
    expected = [p - 0.1 * q.grad for p, q in zip(expected, net.parameters(), strict=True)]
    net.zero_grad()
    history = Trainer(net, SGD(net.parameters(), lr=0.1), device="cpu").fit([(x, y)], epochs=1, validation=[(x, y)])
    for p, e in zip(net.parameters(), expected, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), e.detach().numpy(), rtol=1e-5, atol=1e-7)
    assert np.isfinite(history[-1]["validation_loss"])
