"""SqueezeNet (Iandola et al., arXiv 1602.07360): few parameters through 1x1 convolutions before the 3x3 ones."""

from __future__ import annotations

from typing import Any

from deepgpu import nn
from deepgpu.errors import takes
from deepgpu.ops.joining import cat
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Weights, register, with_weights


class Fire(nn.Module):
    """A 1x1 convolution to few channels; from these a 1x1 and a 3x3 convolution, side by side.

    Parameters
    ----------
    inplanes, squeeze_planes
        Channels that come in, and in between.
    expand1x1_planes, expand3x3_planes
        Channels that go out, of the 1x1 and the 3x3 convolution.
    """

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, expand1x1_planes + expand3x3_planes, H, W)``."""
        x = self.squeeze_activation(self.squeeze(x))
        return cat([self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))], 1)


# Squeeze and expand channels of the eight Fire modules; where the pooling layers stand differs.
FIRES = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]


class SqueezeNet(nn.Module):
    """Eight Fire modules; the last convolution gives the classes, its mean over the image the logits.

    Parameters
    ----------
    version
        ``"1_0"`` as in the paper, or ``"1_1"`` with 2.4 times fewer operations.
    num_classes
        Outputs.
    dropout
        Probability, in the classifier.
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version == "1_0":
            channels, stem, pooled = 96, nn.Conv2d(3, 96, 7, stride=2), (2, 6)
        elif version == "1_1":
            channels, stem, pooled = 64, nn.Conv2d(3, 64, 3, stride=2), (1, 3)
        else:
            raise ValueError(takes("SqueezeNet", "version", "'1_0' or '1_1'", version))
        layers: list[nn.Module] = [stem, nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True)]
        for i, (squeeze, expand) in enumerate(FIRES):
            layers.append(Fire(channels, squeeze, expand, expand))
            channels = 2 * expand
            if i in pooled:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        self.num_classes = num_classes
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(512, num_classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1)))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                if m is last:
                    nn.init.normal_(m.weight, 0.0, 0.01)
                else:
                    nn.init.kaiming_uniform_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        return self.classifier(self.features(x)).flatten(1)


@register
def squeezenet1_0(*, weights: Weights = None, progress: bool = True, **config: Any) -> SqueezeNet:
    """SqueezeNet as in the paper: 1.2 million parameters. ``weights`` is the path of a state dict."""
    return with_weights(SqueezeNet("1_0", **config), weights)


@register
def squeezenet1_1(*, weights: Weights = None, progress: bool = True, **config: Any) -> SqueezeNet:
    """SqueezeNet 1.1, from the paper's repository: the same accuracy for 2.4 times fewer operations."""
    return with_weights(SqueezeNet("1_1", **config), weights)
