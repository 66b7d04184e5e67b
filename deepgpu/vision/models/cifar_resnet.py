"""The small residual networks for 32 x 32 images (He et al., arXiv 1512.03385, section 4.2).

A 3x3 convolution, three stages of n blocks with 16, 32 and 64 channels at 32 x 32, 16 x 16 and 8 x 8, the mean over the
image, one linear layer: 6 n + 2 layers with weights.
"""

from __future__ import annotations

from typing import Any

from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Weights, register_small, with_weights
from deepgpu.vision.models.resnet import conv1x1, conv3x3, start


class PaddedShortcut(nn.Module):
    """The paper's option A: every second pixel, and zeros for the new channels; no parameters."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra = extra
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C + extra, H / stride, W / stride)``."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))

    def extra_repr(self) -> str:
        """The settings."""
        return f"extra={self.extra}, stride={self.stride}"


class CifarBlock(nn.Module):
    """Two 3x3 convolutions, and a shortcut around them.

    Parameters
    ----------
    inplanes, planes
        Channels that come in and go out.
    stride
        Of the first convolution.
    shortcut
        Where the shape changes: ``"A"`` drops pixels and adds channels of zeros, ``"B"`` is a 1x1 convolution and
        a norm.
    """

    def __init__(self, inplanes: int, planes: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Module | None = None
        if stride != 1 or inplanes != planes:
            if shortcut == "A":
                self.downsample = PaddedShortcut(planes - inplanes, stride)
            else:
                self.downsample = nn.Sequential(conv1x1(inplanes, planes, stride), nn.BatchNorm2d(planes))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, planes, H / stride, W / stride)``."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class CifarResNet(nn.Module):
    """A residual network for small images.

    Parameters
    ----------
    depth
        ``6 n + 2`` layers: 8, 14, 20, 32, 44, 56, 110, ...
    num_classes
        Outputs.
    in_channels
        3 for colour images, 1 for grey ones such as Fashion-MNIST.
    width
        Channels of the first stage; the others have twice and four times as many.
    shortcut
        Where resolution and channels change: ``"A"``, the paper's choice, has no parameters; ``"B"`` projects.
    zero_init_residual
        Start the last norm of each block at 0, so that every block starts as the identity.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 10,
        in_channels: int = 3,
        width: int = 16,
        shortcut: str = "A",
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"CifarResNet: `depth` takes 6 n + 2 (8, 14, 20, 32, 44, 56, 110, ...), but got {depth}")
        if shortcut not in ("A", "B"):
            raise ValueError(f"CifarResNet: `shortcut` takes 'A' or 'B', but got {shortcut!r}")
        n = depth // 6
        self.conv1 = conv3x3(in_channels, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(width, width, n, 1, shortcut)
        self.layer2 = _stage(width, 2 * width, n, 2, shortcut)
        self.layer3 = _stage(2 * width, 4 * width, n, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(4 * width, num_classes)
        start(self, zero_init_residual)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to logits ``(N, num_classes)``."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def _stage(inplanes: int, planes: int, blocks: int, stride: int, shortcut: str) -> nn.Sequential:
    first = CifarBlock(inplanes, planes, stride, shortcut)
    return nn.Sequential(first, *[CifarBlock(planes, planes, 1, shortcut) for _ in range(1, blocks)])


def _cifar_resnet(depth: int, weights: Weights, config: dict[str, Any]) -> Any:
    return with_weights(CifarResNet(depth, **config), weights)


@register_small
def resnet8(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarResNet:
    """8 layers, 75 thousand parameters. ``weights`` is the path of a state dict; else see :class:`CifarResNet`."""
    return _cifar_resnet(8, weights, config)


@register_small
def resnet14(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarResNet:
    """14 layers, 0.17 million parameters."""
    return _cifar_resnet(14, weights, config)


@register_small
def resnet20(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarResNet:
    """20 layers, 0.27 million parameters."""
    return _cifar_resnet(20, weights, config)


@register_small
def resnet32(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarResNet:
    """32 layers, 0.46 million parameters."""
    return _cifar_resnet(32, weights, config)


@register_small
def resnet44(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarResNet:
    """44 layers, 0.66 million parameters."""
    return _cifar_resnet(44, weights, config)


@register_small
def resnet56(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarResNet:
    """56 layers, 0.85 million parameters."""
    return _cifar_resnet(56, weights, config)


@register_small
def resnet110(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarResNet:
    """110 layers, 1.7 million parameters."""
    return _cifar_resnet(110, weights, config)
