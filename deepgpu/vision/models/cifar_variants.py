"""Relatives of the small ResNets: without shortcuts, with pre-activation, with squeeze-and-excitation.

Same stem, stages and widths as :class:`CifarResNet`, so that they can be compared at equal depth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu import nn
from deepgpu.errors import takes
from deepgpu.tensor import Tensor
from deepgpu.vision.models.cifar_resnet import CifarBlock, PaddedShortcut
from deepgpu.vision.models.registry import Weights, register_small, with_weights
from deepgpu.vision.models.resnet import conv3x3, start
from deepgpu.vision.ops.misc import SqueezeExcitation

Block = Callable[[int, int, int], nn.Module]


class PlainBlock(nn.Module):
    """Two 3x3 convolutions without a shortcut around them.

    Parameters
    ----------
    inplanes, planes
        Channels that come in and go out.
    stride
        Of the first convolution.
    """

    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, planes, H / stride, W / stride)``."""
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


class PreActBlock(nn.Module):
    """Norm and ReLU before each convolution; the shortcut has neither (He et al., arXiv 1603.05027).

    Parameters as for :class:`PlainBlock`.
    """

    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes)
        changes = stride != 1 or inplanes != planes
        self.downsample = PaddedShortcut(planes - inplanes, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, planes, H / stride, W / stride)``."""
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        return out + (x if self.downsample is None else self.downsample(x))


class SEBlock(CifarBlock):
    """A residual block with squeeze-and-excitation at the end of its branch (Hu et al., arXiv 1709.01507).

    Parameters
    ----------
    inplanes, planes, stride
        As for :class:`PlainBlock`.
    reduction
        How many times fewer channels there are between the layers that compute the factors.
    """

    def __init__(self, inplanes: int, planes: int, stride: int, reduction: int = 16) -> None:
        super().__init__(inplanes, planes, stride, "A")
        self.se = SqueezeExcitation(planes, max(1, planes // reduction))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, planes, H / stride, W / stride)``."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.se(self.bn2(self.conv2(out)))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class CifarNet(nn.Module):
    """A 3x3 convolution, three stages of n blocks with 16, 32 and 64 channels, the mean over the image, a linear layer.

    Parameters
    ----------
    block
        Makes a block of channels that come in, channels that go out, and stride: :class:`PlainBlock`,
        :class:`PreActBlock` or :class:`SEBlock`.
    depth
        ``6 n + 2`` layers.
    num_classes
        Outputs.
    in_channels
        3 for colour images, 1 for grey ones such as Fashion-MNIST.
    width
        Channels of the first stage; the others have twice and four times as many.
    """

    def __init__(self, block: Block, depth: int, num_classes: int = 10, in_channels: int = 3, width: int = 16) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(takes("CifarNet", "depth", "6 n + 2 (8, 14, 20, 32, 44, 56, 110, ...)", depth))
        pre = block is PreActBlock  # its norms stand in front of the convolutions, and one behind the last block
        self.conv1 = conv3x3(in_channels, width)
        self.bn1 = nn.BatchNorm2d(4 * width if pre else width)
        self.relu = nn.ReLU(inplace=True)
        channels = width
        for i in range(3):
            planes = width * 2**i
            blocks: list[nn.Module] = []
            for j in range(depth // 6):
                blocks.append(block(channels, planes, 2 if i and j == 0 else 1))
                channels = planes
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        self.pre = pre
        start(self, zero_init_residual=False)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to logits ``(N, num_classes)``."""
        x = self.conv1(x)
        if not self.pre:
            x = self.relu(self.bn1(x))
        x = self.layer3(self.layer2(self.layer1(x)))
        if self.pre:
            x = self.relu(self.bn1(x))
        return self.fc(self.avgpool(x).flatten(1))


@register_small
def plain8(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarNet:
    """8 layers without shortcuts. ``weights`` is the path of a state dict; for the rest see :class:`CifarNet`."""
    return with_weights(CifarNet(PlainBlock, 8, **config), weights)


@register_small
def plain20(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarNet:
    """20 layers without shortcuts, 0.27 million parameters."""
    return with_weights(CifarNet(PlainBlock, 20, **config), weights)


@register_small
def plain32(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarNet:
    """32 layers without shortcuts, 0.46 million parameters."""
    return with_weights(CifarNet(PlainBlock, 32, **config), weights)


@register_small
def plain56(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarNet:
    """56 layers without shortcuts, 0.85 million parameters: worse than 20 (He et al., arXiv 1512.03385, figure 1)."""
    return with_weights(CifarNet(PlainBlock, 56, **config), weights)


@register_small
def preact_resnet20(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarNet:
    """20 layers with pre-activation, 0.27 million parameters."""
    return with_weights(CifarNet(PreActBlock, 20, **config), weights)


@register_small
def preact_resnet56(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarNet:
    """56 layers with pre-activation, 0.85 million parameters."""
    return with_weights(CifarNet(PreActBlock, 56, **config), weights)


@register_small
def preact_resnet110(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarNet:
    """110 layers with pre-activation, 1.7 million parameters."""
    return with_weights(CifarNet(PreActBlock, 110, **config), weights)


@register_small
def se_resnet20(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarNet:
    """20 layers with squeeze-and-excitation, 0.27 million parameters."""
    return with_weights(CifarNet(SEBlock, 20, **config), weights)


@register_small
def se_resnet56(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarNet:
    """56 layers with squeeze-and-excitation, 0.86 million parameters."""
    return with_weights(CifarNet(SEBlock, 56, **config), weights)
