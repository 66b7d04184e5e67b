"""MnasNet-B1 (Tan et al., arXiv 1807.11626): a mobile net found by search with measured latency in its objective."""

from __future__ import annotations

from functools import partial
from typing import Any

from deepgpu import nn
from deepgpu.errors import takes
from deepgpu.tensor import Tensor
from deepgpu.vision.models.mobilenetv2 import make_divisible
from deepgpu.vision.models.registry import Weights, register, with_weights

BatchNorm = partial(nn.BatchNorm2d, momentum=1 - 0.9997)
"""TensorFlow's momentum of 0.9997 in PyTorch's terms."""

# Figure 7 of the paper: channels, and of the six stacks kernel size, stride, expansion, blocks.
CHANNELS = [32, 16, 24, 40, 80, 96, 192, 320]
STACKS = [(3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1)]


def _layers(inp: int, out: int, kernel: int, stride: int, groups: int = 1, activation: bool = True) -> list[nn.Module]:
    conv = nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, BatchNorm(out), *([nn.ReLU(inplace=True)] if activation else [])]


class InvertedResidual(nn.Module):
    """1x1 to more channels, depthwise, 1x1 to few without activation; a shortcut where the shape stays.

    Parameters
    ----------
    in_ch, out_ch
        Channels that come in and go out.
    kernel_size, stride
        Of the depthwise convolution.
    expansion_factor
        How many times as many channels there are in between.
    """

    def __init__(self, in_ch: int, out_ch: int, kernel_size: int, stride: int, expansion_factor: int) -> None:
        super().__init__()
        middle = in_ch * expansion_factor
        self.apply_residual = in_ch == out_ch and stride == 1
        self.layers = nn.Sequential(
            *_layers(in_ch, middle, 1, 1),
            *_layers(middle, middle, kernel_size, stride, groups=middle),
            *_layers(middle, out_ch, 1, 1, activation=False),
        )

    def forward(self, input: Tensor) -> Tensor:
        """``(N, in_ch, H, W)`` to ``(N, out_ch, H / stride, W / stride)``."""
        return self.layers(input) + input if self.apply_residual else self.layers(input)


class MNASNet(nn.Module):
    """MnasNet-B1.

    Parameters
    ----------
    alpha
        How many times as many channels there are in each layer.
    num_classes
        Outputs.
    dropout
        Probability, in the classifier.
    """

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(takes("MNASNet", "alpha", "a number > 0", alpha))
        self.alpha = alpha
        self.num_classes = num_classes
        first, second, *others = [make_divisible(c * alpha, 8) for c in CHANNELS]
        layers = _layers(3, first, 3, 2)
        layers += _layers(first, first, 3, 1, groups=first)
        layers += _layers(first, second, 1, 1, activation=False)
        channels = second
        for out, (kernel, stride, expansion, blocks) in zip(others, STACKS, strict=True):
            stack = [InvertedResidual(channels, out, kernel, stride, expansion)]
            stack += [InvertedResidual(out, out, kernel, 1, expansion) for _ in range(blocks - 1)]
            layers.append(nn.Sequential(*stack))
            channels = out
        layers += _layers(channels, 1280, 1, 1)
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.Linear):
                nn.init.kaiming_uniform_(m.weight, mode="fan_out", nonlinearity="sigmoid")
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        return self.classifier(self.layers(x).mean([2, 3]))


@register
def mnasnet0_5(*, weights: Weights = None, progress: bool = True, **config: Any) -> MNASNet:
    """Half as wide: 2.2 million parameters."""
    return with_weights(MNASNet(0.5, **config), weights)


@register
def mnasnet0_75(*, weights: Weights = None, progress: bool = True, **config: Any) -> MNASNet:
    """Three quarters as wide: 3.2 million parameters."""
    return with_weights(MNASNet(0.75, **config), weights)


@register
def mnasnet1_0(*, weights: Weights = None, progress: bool = True, **config: Any) -> MNASNet:
    """MnasNet-B1: 4.4 million parameters. ``weights`` is the path of a state dict; else see :class:`MNASNet`."""
    return with_weights(MNASNet(1.0, **config), weights)


@register
def mnasnet1_3(*, weights: Weights = None, progress: bool = True, **config: Any) -> MNASNet:
    """1.3 times as wide: 6.3 million parameters."""
    return with_weights(MNASNet(1.3, **config), weights)
