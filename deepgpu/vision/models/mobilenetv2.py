"""MobileNetV2 (Sandler et al., arXiv 1801.04381): narrow ends, a wide depthwise convolution in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import nn
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Norm, Weights, register, with_weights
from deepgpu.vision.ops.misc import Conv2dNormActivation


def make_divisible(v: float, divisor: int, min_value: int | None = None) -> int:
    """``v`` as a multiple of ``divisor``, at most a tenth less."""
    rounded = max(min_value or divisor, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded


class InvertedResidual(nn.Module):
    """1x1 to more channels, depthwise 3x3, 1x1 to few without activation; a shortcut where the shape stays.

    Parameters
    ----------
    inp, oup
        Channels that come in and go out.
    stride
        Of the 3x3 convolution.
    expand_ratio
        How many times as many channels there are in between.
    norm_layer
        Makes a normalisation of so many channels; by default BatchNorm2d.
    """

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int, norm_layer: Norm | None = None) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        self.stride = stride
        self.use_res_connect = stride == 1 and inp == oup
        hidden = round(inp * expand_ratio)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(Conv2dNormActivation(inp, hidden, 1, norm_layer=norm, activation_layer=nn.ReLU6))
        layers += [
            Conv2dNormActivation(
                hidden, hidden, stride=stride, groups=hidden, norm_layer=norm, activation_layer=nn.ReLU6
            ),
            nn.Conv2d(hidden, oup, 1, bias=False),
            norm(oup),
        ]
        self.conv = nn.Sequential(*layers)
        self.out_channels = oup

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inp, H, W)`` to ``(N, oup, H / stride, W / stride)``."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


# Table 2 of the paper: expansion, channels, blocks, stride of the first.
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


class MobileNetV2(nn.Module):
    """MobileNetV2.

    Parameters
    ----------
    num_classes
        Outputs.
    width_mult
        How many times as many channels there are in each layer.
    inverted_residual_setting
        For each stage: expansion, channels, blocks, stride; by default the paper's.
    round_nearest
        Channels are multiples of it.
    norm_layer
        Makes a normalisation of so many channels; by default BatchNorm2d.
    dropout
        Probability, in the classifier.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        norm_layer: Norm | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        stages = STAGES if inverted_residual_setting is None else inverted_residual_setting
        if len(stages) == 0 or any(len(stage) != 4 for stage in stages):
            raise ValueError(f"`inverted_residual_setting` takes lists of 4 numbers, but got {stages}")
        channels = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [
            Conv2dNormActivation(3, channels, stride=2, norm_layer=norm, activation_layer=nn.ReLU6)
        ]
        for expansion, planes, blocks, stride in stages:
            out = make_divisible(planes * width_mult, round_nearest)
            for i in range(blocks):
                features.append(InvertedResidual(channels, out, stride if i == 0 else 1, expansion, norm))
                channels = out
        features.append(
            Conv2dNormActivation(channels, self.last_channel, 1, norm_layer=norm, activation_layer=nn.ReLU6)
        )
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(x.flatten(1))


def start(model: nn.Module) -> None:
    """Set the random start: He's normal for convolutions, fan out; 0.01 for linear layers; biases 0."""
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out")
        elif isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, 0, 0.01)
        else:
            continue
        if m.bias is not None:
            nn.init.zeros_(m.bias)


@register
def mobilenet_v2(*, weights: Weights = None, progress: bool = True, **config: Any) -> MobileNetV2:
    """MobileNetV2: 3.5 million parameters. ``weights`` is the path of a state dict; else see :class:`MobileNetV2`."""
    return with_weights(MobileNetV2(**config), weights)
