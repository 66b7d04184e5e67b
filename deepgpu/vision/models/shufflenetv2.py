"""ShuffleNetV2 (Ma et al., arXiv 1807.11164): half of the channels pass by, and a shuffle mixes both halves."""

from __future__ import annotations

from typing import Any

from deepgpu import nn
from deepgpu.errors import takes
from deepgpu.ops.joining import cat
from deepgpu.ops.shuffling import channel_shuffle
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Weights, register, with_weights


def _depthwise(channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)


def _pointwise(inp: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(inp, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]


class InvertedResidual(nn.Module):
    """At stride 1: half of the channels as they are, half through 1x1, depthwise 3x3 and 1x1 convolutions.

    At stride 2 all channels go through both branches.

    Parameters
    ----------
    inp, oup
        Channels that come in and go out; ``oup`` is even, and at stride 1 equals ``inp``.
    stride
        1 or 2.
    """

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        half = oup // 2
        if stride not in (1, 2):
            raise ValueError(takes("InvertedResidual", "stride", "1 or 2", stride))
        if stride == 1 and inp != 2 * half:
            raise ValueError(takes("InvertedResidual", "inp", f"`oup` = {oup} at stride 1", inp))
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride == 2:
            self.branch1 = nn.Sequential(_depthwise(inp, 2), nn.BatchNorm2d(inp), *_pointwise(inp, half))
        self.branch2 = nn.Sequential(
            *_pointwise(inp if stride == 2 else half, half),
            _depthwise(half, stride),
            nn.BatchNorm2d(half),
            *_pointwise(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inp, H, W)`` to ``(N, oup, H / stride, W / stride)``."""
        if self.stride == 1:
            kept, changed = x.chunk(2, 1)
            out = cat([kept, self.branch2(changed)], 1)
        else:
            out = cat([self.branch1(x), self.branch2(x)], 1)
        return channel_shuffle(out, 2)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2.

    Parameters
    ----------
    stages_repeats
        Blocks in each of the three stages.
    stages_out_channels
        Channels of the first convolution, the stages and the last convolution.
    num_classes
        Outputs.
    """

    def __init__(self, stages_repeats: list[int], stages_out_channels: list[int], num_classes: int = 1000) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError(takes("ShuffleNetV2", "stages_repeats", "3 numbers", stages_repeats))
        if len(stages_out_channels) != 5:
            raise ValueError(takes("ShuffleNetV2", "stages_out_channels", "5 numbers", stages_out_channels))
        channels = stages_out_channels[0]
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for i, (repeats, out) in enumerate(zip(stages_repeats, stages_out_channels[1:4], strict=True), 2):
            blocks = [InvertedResidual(channels, out, 2)]
            blocks += [InvertedResidual(out, out, 1) for _ in range(repeats - 1)]
            setattr(self, f"stage{i}", nn.Sequential(*blocks))
            channels = out
        self.conv5 = nn.Sequential(*_pointwise(channels, stages_out_channels[4]))
        self.fc = nn.Linear(stages_out_channels[4], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean([2, 3]))


def _shufflenetv2(channels: list[int], weights: Weights, config: dict[str, Any]) -> Any:
    return with_weights(ShuffleNetV2([4, 8, 4], channels, **config), weights)


@register
def shufflenet_v2_x0_5(*, weights: Weights = None, progress: bool = True, **config: Any) -> ShuffleNetV2:
    """Half as wide: 1.4 million parameters."""
    return _shufflenetv2([24, 48, 96, 192, 1024], weights, config)


@register
def shufflenet_v2_x1_0(*, weights: Weights = None, progress: bool = True, **config: Any) -> ShuffleNetV2:
    """ShuffleNetV2: 2.3 million parameters. ``weights`` is the path of a state dict; else see :class:`ShuffleNetV2`."""
    return _shufflenetv2([24, 116, 232, 464, 1024], weights, config)


@register
def shufflenet_v2_x1_5(*, weights: Weights = None, progress: bool = True, **config: Any) -> ShuffleNetV2:
    """One and a half times as wide: 3.5 million parameters."""
    return _shufflenetv2([24, 176, 352, 704, 1024], weights, config)


@register
def shufflenet_v2_x2_0(*, weights: Weights = None, progress: bool = True, **config: Any) -> ShuffleNetV2:
    """Twice as wide: 7.4 million parameters."""
    return _shufflenetv2([24, 244, 488, 976, 2048], weights, config)
