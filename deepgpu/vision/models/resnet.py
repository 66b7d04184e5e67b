"""Residual networks (He et al., arXiv 1512.03385), ResNeXt (arXiv 1611.05431) and Wide ResNet (arXiv 1605.07146)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import nn
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Norm, Weights, register, with_weights


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size (at stride 1); no bias, since a norm follows."""
    return nn.Conv2d(in_planes, out_planes, 3, stride, dilation, dilation, groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, and a shortcut around them.

    Parameters
    ----------
    inplanes, planes
        Channels that come in and go out.
    stride
        Of the first convolution.
    downsample
        Brings the shortcut to the shape of the result; None if it has it.
    groups, base_width, dilation
        Must be 1, 64 and 1: only :class:`Bottleneck` varies them.
    norm_layer
        Makes a normalisation of so many channels; by default BatchNorm2d.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError(f"BasicBlock takes groups=1 and base_width=64, but got {groups} and {base_width}")
        if dilation > 1:
            raise NotImplementedError("BasicBlock has no dilation; use Bottleneck (resnet50 and deeper)")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, planes, H / stride, W / stride)``."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """1x1 to fewer channels, 3x3, 1x1 back to four times ``planes``, and a shortcut around them.

    The stride is in the 3x3 convolution, not in the first 1x1 as in the paper: "ResNet v1.5", more accurate, and what
    torchvision's weights were trained with. Parameters as for :class:`BasicBlock`, and:

    Parameters
    ----------
    groups, base_width
        The 3x3 convolution has ``planes * base_width / 64 * groups`` channels in so many groups.
    dilation
        Of the 3x3 convolution.
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, 4 planes, H / stride, W / stride)``."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet(nn.Module):
    """A residual network for images of about 224 x 224.

    Parameters
    ----------
    block
        :class:`BasicBlock` or :class:`Bottleneck`.
    layers
        How many blocks each of the four stages has.
    num_classes
        Outputs.
    zero_init_residual
        Start the last norm of each block at 0, so that every block starts as the identity (arXiv 1706.02677).
    groups, width_per_group
        Of the 3x3 convolutions in Bottleneck blocks.
    replace_stride_with_dilation
        For stages 2 to 4: keep the resolution and dilate instead.
    norm_layer
        Makes a normalisation of so many channels; by default BatchNorm2d.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        dilate = (False, False, False) if replace_stride_with_dilation is None else replace_stride_with_dilation
        if len(dilate) != 3:
            raise ValueError(f"`replace_stride_with_dilation` takes None or 3 bools, but got {dilate}")
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes = 64
        self.dilation = 1
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, 7, 2, 3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        start(self, zero_init_residual)

    def _make_layer(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        """A stage: its first block changes resolution and channels, the others keep them."""
        norm = self._norm_layer
        before = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        out = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != out:
            downsample = nn.Sequential(conv1x1(self.inplanes, out, stride), norm(out))
        shared = (self.groups, self.base_width)
        made = [block(self.inplanes, planes, stride, downsample, *shared, before, norm)]
        self.inplanes = out
        made += [block(out, planes, 1, None, *shared, self.dilation, norm) for _ in range(1, blocks)]
        return nn.Sequential(*made)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def start(model: nn.Module, zero_init_residual: bool) -> None:
    """Set the random start: He's normal for convolutions, fan out (arXiv 1502.01852); norms already are 1 and 0."""
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
    if zero_init_residual:
        for m in model.modules():
            last = m.bn3 if isinstance(m, Bottleneck) else getattr(m, "bn2", None)
            if last is not None and last.weight is not None:
                nn.init.constant_(last.weight, 0)


def _resnet(block: Any, layers: Sequence[int], weights: Weights, config: dict[str, Any]) -> Any:
    return with_weights(ResNet(block, layers, **config), weights)


@register
def resnet18(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-18: 11.7 million parameters. ``weights`` is the path of a state dict; for the rest see :class:`ResNet`."""
    return _resnet(BasicBlock, [2, 2, 2, 2], weights, config)


@register
def resnet34(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-34: 21.8 million parameters."""
    return _resnet(BasicBlock, [3, 4, 6, 3], weights, config)


@register
def resnet50(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-50: 25.6 million parameters."""
    return _resnet(Bottleneck, [3, 4, 6, 3], weights, config)


@register
def resnet101(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-101: 44.5 million parameters."""
    return _resnet(Bottleneck, [3, 4, 23, 3], weights, config)


@register
def resnet152(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-152: 60.2 million parameters."""
    return _resnet(Bottleneck, [3, 8, 36, 3], weights, config)


@register
def resnext50_32x4d(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNeXt-50 with 32 groups of 4 channels: 25.0 million parameters."""
    return _resnet(Bottleneck, [3, 4, 6, 3], weights, {"groups": 32, "width_per_group": 4, **config})


@register
def resnext101_32x8d(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNeXt-101 with 32 groups of 8 channels: 88.8 million parameters."""
    return _resnet(Bottleneck, [3, 4, 23, 3], weights, {"groups": 32, "width_per_group": 8, **config})


@register
def resnext101_64x4d(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNeXt-101 with 64 groups of 4 channels: 83.5 million parameters."""
    return _resnet(Bottleneck, [3, 4, 23, 3], weights, {"groups": 64, "width_per_group": 4, **config})


@register
def wide_resnet50_2(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """Wide ResNet-50-2, with 3x3 convolutions twice as wide: 68.9 million parameters."""
    return _resnet(Bottleneck, [3, 4, 6, 3], weights, {"width_per_group": 128, **config})


@register
def wide_resnet101_2(*, weights: Weights = None, progress: bool = True, **config: Any) -> ResNet:
    """Wide ResNet-101-2, with 3x3 convolutions twice as wide: 126.9 million parameters."""
    return _resnet(Bottleneck, [3, 4, 23, 3], weights, {"width_per_group": 128, **config})
