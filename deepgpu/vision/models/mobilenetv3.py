"""MobileNetV3 (Howard et al., arXiv 1905.02244): blocks found by search, with squeeze-and-excitation and hard-swish."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from deepgpu import nn
from deepgpu.tensor import Tensor
from deepgpu.vision.models.mobilenetv2 import make_divisible, start
from deepgpu.vision.models.registry import Norm, Weights, register, with_weights
from deepgpu.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation


class Block(NamedTuple):
    """One row of the paper's tables 1 and 2.

    Attributes
    ----------
    kernel, expanded, out
        Size of the depthwise convolution, channels in it and behind the block.
    excite, hard_swish
        Whether it has squeeze-and-excitation, and hard-swish rather than ReLU.
    stride, dilation
        Of the depthwise convolution.
    """

    kernel: int
    expanded: int
    out: int
    excite: bool
    hard_swish: bool
    stride: int
    dilation: int = 1


LARGE = [
    Block(3, 16, 16, False, False, 1),
    Block(3, 64, 24, False, False, 2),
    Block(3, 72, 24, False, False, 1),
    Block(5, 72, 40, True, False, 2),
    Block(5, 120, 40, True, False, 1),
    Block(5, 120, 40, True, False, 1),
    Block(3, 240, 80, False, True, 2),
    Block(3, 200, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 480, 112, True, True, 1),
    Block(3, 672, 112, True, True, 1),
    Block(5, 672, 160, True, True, 2),
    Block(5, 960, 160, True, True, 1),
    Block(5, 960, 160, True, True, 1),
]
SMALL = [
    Block(3, 16, 16, True, False, 2),
    Block(3, 72, 24, False, False, 2),
    Block(3, 88, 24, False, False, 1),
    Block(5, 96, 40, True, True, 2),
    Block(5, 240, 40, True, True, 1),
    Block(5, 240, 40, True, True, 1),
    Block(5, 120, 48, True, True, 1),
    Block(5, 144, 48, True, True, 1),
    Block(5, 288, 96, True, True, 2),
    Block(5, 576, 96, True, True, 1),
    Block(5, 576, 96, True, True, 1),
]


class InvertedResidual(nn.Module):
    """1x1 to more channels, depthwise, squeeze-and-excitation, 1x1 to few; a shortcut where the shape stays.

    Parameters
    ----------
    channels
        That come in.
    settings
        Of the block.
    norm
        Makes a normalisation of so many channels.
    """

    def __init__(self, channels: int, settings: Block, norm: Norm) -> None:
        super().__init__()
        kernel, expanded, out, excite, hard_swish, stride, dilation = settings
        activation = nn.Hardswish if hard_swish else nn.ReLU
        self.use_res_connect = stride == 1 and channels == out
        layers: list[nn.Module] = []
        if expanded != channels:
            layers.append(Conv2dNormActivation(channels, expanded, 1, norm_layer=norm, activation_layer=activation))
        layers.append(
            Conv2dNormActivation(
                expanded,
                expanded,
                kernel,
                stride if dilation == 1 else 1,
                dilation=dilation,
                groups=expanded,
                norm_layer=norm,
                activation_layer=activation,
            )
        )
        if excite:
            squeezed = make_divisible(expanded // 4, 8)
            layers.append(SqueezeExcitation(expanded, squeezed, scale_activation=nn.Hardsigmoid))
        layers.append(Conv2dNormActivation(expanded, out, 1, norm_layer=norm, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.out_channels = out

    def forward(self, input: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        result = self.block(input)
        if self.use_res_connect:
            result += input
        return result


class MobileNetV3(nn.Module):
    """MobileNetV3.

    Parameters
    ----------
    blocks
        :data:`LARGE` or :data:`SMALL`.
    last_channel
        Features of the classifier's hidden layer.
    num_classes
        Outputs.
    width_mult
        How many times as many channels there are in each layer.
    reduced_tail, dilated
        Half of the channels in the last stage, and dilation in place of its stride: for dense prediction.
    norm_layer
        Makes a normalisation of so many channels; by default BatchNorm2d with eps 0.001 and momentum 0.01.
    dropout
        Probability, in the classifier.
    """

    def __init__(
        self,
        blocks: list[Block],
        last_channel: int,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        reduced_tail: bool = False,
        dilated: bool = False,
        norm_layer: Norm | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        norm = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        found = [_scaled(b, width_mult) for b in _tail(blocks, reduced_tail, dilated)]
        channels = make_divisible(16 * width_mult, 8)
        features: list[nn.Module] = [
            Conv2dNormActivation(3, channels, stride=2, norm_layer=norm, activation_layer=nn.Hardswish)
        ]
        for settings in found:
            features.append(InvertedResidual(channels, settings, norm))
            channels = settings.out
        features.append(Conv2dNormActivation(channels, 6 * channels, 1, norm_layer=norm, activation_layer=nn.Hardswish))
        last_channel = make_divisible(last_channel // (2 if reduced_tail else 1) * width_mult, 8)
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * channels, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _tail(blocks: list[Block], reduced: bool, dilated: bool) -> list[Block]:
    """The blocks, the last three narrower or dilated."""
    body, (first, *others) = blocks[:-3], blocks[-3:]
    factor = 2 if reduced else 1
    dilation = 2 if dilated else 1
    first = first._replace(out=first.out // factor, dilation=dilation)
    others = [b._replace(expanded=b.expanded // factor, out=b.out // factor, dilation=dilation) for b in others]
    return [*body, first, *others]


def _scaled(block: Block, width: float) -> Block:
    return block._replace(expanded=make_divisible(block.expanded * width, 8), out=make_divisible(block.out * width, 8))


@register
def mobilenet_v3_large(*, weights: Weights = None, progress: bool = True, **config: Any) -> MobileNetV3:
    """MobileNetV3-Large: 5.5 million parameters. ``weights`` is the path of a state dict; see :class:`MobileNetV3`."""
    return with_weights(MobileNetV3(LARGE, 1280, **config), weights)


@register
def mobilenet_v3_small(*, weights: Weights = None, progress: bool = True, **config: Any) -> MobileNetV3:
    """MobileNetV3-Small: 2.5 million parameters."""
    return with_weights(MobileNetV3(SMALL, 1024, **config), weights)
