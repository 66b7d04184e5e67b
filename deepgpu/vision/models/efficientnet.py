"""EfficientNet (Tan & Le, arXiv 1905.11946): one net, found by search, in eight sizes."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

from deepgpu import nn
from deepgpu.tensor import Tensor
from deepgpu.vision.models.mobilenetv2 import make_divisible
from deepgpu.vision.models.registry import Norm, Weights, register, with_weights
from deepgpu.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation
from deepgpu.vision.ops.stochastic_depth import StochasticDepth


class Stage(NamedTuple):
    """One row of the paper's table 1.

    Attributes
    ----------
    expansion, kernel, stride
        Of its blocks, the stride of the first.
    out, blocks
        Channels and blocks, before scaling.
    """

    expansion: int
    kernel: int
    stride: int
    out: int
    blocks: int


STAGES = [
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
]


class MBConv(nn.Module):
    """1x1 to more channels, depthwise, squeeze-and-excitation, 1x1 to few; a shortcut where the shape stays.

    Parameters
    ----------
    channels, out
        That come in and go out.
    expansion, kernel, stride
        How many times as many channels there are in between; of the depthwise convolution.
    stochastic_depth_prob
        With what probability the block is left out in training.
    norm
        Makes a normalisation of so many channels.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        expansion: int,
        kernel: int,
        stride: int,
        stochastic_depth_prob: float,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.use_res_connect = stride == 1 and channels == out
        hidden = make_divisible(channels * expansion, 8)
        layers: list[nn.Module] = []
        if hidden != channels:
            layers.append(Conv2dNormActivation(channels, hidden, 1, norm_layer=norm, activation_layer=nn.SiLU))
        layers += [
            Conv2dNormActivation(
                hidden, hidden, kernel, stride, groups=hidden, norm_layer=norm, activation_layer=nn.SiLU
            ),
            SqueezeExcitation(hidden, max(1, channels // 4), activation=partial(nn.SiLU, inplace=True)),
            Conv2dNormActivation(hidden, out, 1, norm_layer=norm, activation_layer=None),
        ]
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = out

    def forward(self, input: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        result = self.block(input)
        if self.use_res_connect:
            result = self.stochastic_depth(result)
            result += input
        return result


class EfficientNet(nn.Module):
    """EfficientNet.

    Parameters
    ----------
    width_mult, depth_mult
        How many times as many channels and blocks there are as in B0.
    dropout
        Probability, in the classifier.
    stochastic_depth_prob
        With what probability the last block is left out; for the others it grows from 0.
    num_classes
        Outputs.
    norm_layer
        Makes a normalisation of so many channels; by default BatchNorm2d.
    """

    def __init__(
        self,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        dropout: float = 0.2,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        channels = make_divisible(32 * width_mult, 8)
        features: list[nn.Module] = [
            Conv2dNormActivation(3, channels, stride=2, norm_layer=norm, activation_layer=nn.SiLU)
        ]
        depths = [math.ceil(stage.blocks * depth_mult) for stage in STAGES]
        number, total = 0, sum(depths)
        for stage, depth in zip(STAGES, depths, strict=True):
            out = make_divisible(stage.out * width_mult, 8)
            blocks: list[nn.Module] = []
            for i in range(depth):
                p = stochastic_depth_prob * number / total
                stride = stage.stride if i == 0 else 1
                blocks.append(MBConv(channels, out, stage.expansion, stage.kernel, stride, p, norm))
                channels = out
                number += 1
            features.append(nn.Sequential(*blocks))
        features.append(Conv2dNormActivation(channels, 4 * channels, 1, norm_layer=norm, activation_layer=nn.SiLU))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(4 * channels, num_classes))
        self._start()

    def _start(self) -> None:
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
            elif isinstance(m, nn.Linear):
                bound = 1.0 / math.sqrt(m.out_features)
                nn.init.uniform_(m.weight, -bound, bound)
            else:
                continue
            if m.bias is not None:
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _efficientnet(
    width: float, depth: float, dropout: float, weights: Weights, config: dict[str, Any], norm: Norm | None = None
) -> Any:
    return with_weights(EfficientNet(width, depth, **{"dropout": dropout, "norm_layer": norm, **config}), weights)


@register
def efficientnet_b0(*, weights: Weights = None, progress: bool = True, **config: Any) -> EfficientNet:
    """B0: 5.3 million parameters. ``weights`` is the path of a state dict; for the rest see :class:`EfficientNet`."""
    return _efficientnet(1.0, 1.0, 0.2, weights, config)


@register(size=240)
def efficientnet_b1(*, weights: Weights = None, progress: bool = True, **config: Any) -> EfficientNet:
    """B1: 7.8 million parameters."""
    return _efficientnet(1.0, 1.1, 0.2, weights, config)


@register(size=288)
def efficientnet_b2(*, weights: Weights = None, progress: bool = True, **config: Any) -> EfficientNet:
    """B2: 9.1 million parameters."""
    return _efficientnet(1.1, 1.2, 0.3, weights, config)


@register(size=300)
def efficientnet_b3(*, weights: Weights = None, progress: bool = True, **config: Any) -> EfficientNet:
    """B3: 12.2 million parameters."""
    return _efficientnet(1.2, 1.4, 0.3, weights, config)


@register(size=380)
def efficientnet_b4(*, weights: Weights = None, progress: bool = True, **config: Any) -> EfficientNet:
    """B4: 19.3 million parameters."""
    return _efficientnet(1.4, 1.8, 0.4, weights, config)


@register(size=456)
def efficientnet_b5(*, weights: Weights = None, progress: bool = True, **config: Any) -> EfficientNet:
    """B5: 30.4 million parameters."""
    return _efficientnet(1.6, 2.2, 0.4, weights, config, partial(nn.BatchNorm2d, eps=0.001, momentum=0.01))


@register(size=528)
def efficientnet_b6(*, weights: Weights = None, progress: bool = True, **config: Any) -> EfficientNet:
    """B6: 43.0 million parameters."""
    return _efficientnet(1.8, 2.6, 0.5, weights, config, partial(nn.BatchNorm2d, eps=0.001, momentum=0.01))


@register(size=600)
def efficientnet_b7(*, weights: Weights = None, progress: bool = True, **config: Any) -> EfficientNet:
    """B7: 66.3 million parameters."""
    return _efficientnet(2.0, 3.1, 0.5, weights, config, partial(nn.BatchNorm2d, eps=0.001, momentum=0.01))
