"""Well-known networks, written once for both sides: each function takes ``nn``, ours or PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
MOBILE = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""MobileNetV2 for small images: expansion, channels, blocks, stride of the first."""


def mlp(nn: ModuleType) -> Any:
    """784-512-512-10, the net of everybody's first lesson."""
    sizes = (nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return nn.Sequential(nn.Flatten(), *sizes)


def vgg16(nn: ModuleType, *, norm: bool, small: bool) -> Any:
    """VGG-16 (Simonyan and Zisserman, 2014); `small` has one linear layer, as is usual for 32x32 images."""
    layers: list[Any] = []
    channels = 3
    for item in VGG16:
        if item == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(channels, item, 3, padding=1))
        layers += [nn.BatchNorm2d(item), nn.ReLU(inplace=True)] if norm else [nn.ReLU(inplace=True)]
        channels = item
    if small:
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))
    head = (nn.Linear(512 * 49, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 4096))
    return nn.Sequential(*layers, nn.Flatten(), *head, nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 1000))


def resnet18(nn: ModuleType) -> Any:
    """ResNet-18 with a 3x3 first layer and no pool, as is usual for 32x32 images."""

    def block(channels: int, planes: int, stride: int) -> Any:
        main = (
            nn.Conv2d(channels, planes, 3, stride, 1, bias=False),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            nn.Conv2d(planes, planes, 3, 1, 1, bias=False),
            nn.BatchNorm2d(planes),
        )
        return _residual(nn, main, channels, planes, stride)

    stem = (nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True))
    return _resnet(nn, stem, block, (2, 2, 2, 2), 1, 10)


def resnet50(nn: ModuleType) -> Any:
    """ResNet-50 (He et al., 2015), the stride in the 3x3 convolution."""

    def block(channels: int, planes: int, stride: int) -> Any:
        main = (
            nn.Conv2d(channels, planes, 1, bias=False),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            nn.Conv2d(planes, planes, 3, stride, 1, bias=False),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            nn.Conv2d(planes, 4 * planes, 1, bias=False),
            nn.BatchNorm2d(4 * planes),
        )
        return _residual(nn, main, channels, 4 * planes, stride)

    stem = (nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
    return _resnet(nn, stem, block, (3, 4, 6, 3), 4, 1000)


def _residual(nn: ModuleType, main: Sequence[Any], channels: int, planes: int, stride: int) -> Any:
    class Residual(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(*main)
            self.relu = nn.ReLU(inplace=True)
            self.shortcut = None
            if stride != 1 or channels != planes:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(channels, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
                )

        def forward(self, x: Any) -> Any:
            out = self.main(x)
            out += x if self.shortcut is None else self.shortcut(x)
            return self.relu(out)

    return Residual()


def _resnet(
    nn: ModuleType,
    stem: Sequence[Any],
    block: Callable[[int, int, int], Any],
    depths: Sequence[int],
    expansion: int,
    classes: int,
) -> Any:
    layers = list(stem)
    channels = 64
    for stage, depth in enumerate(depths):
        planes = 64 * 2**stage
        for i in range(depth):
            layers.append(block(channels, planes, 2 if stage and i == 0 else 1))
            channels = planes * expansion
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def mobilenet_v2(nn: ModuleType) -> Any:
    """MobileNetV2 (Sandler et al., 2018) with the strides that are usual for 32x32 images."""

    def conv(channels: int, planes: int, window: int, stride: int = 1, groups: int = 1) -> list[Any]:
        return [
            nn.Conv2d(channels, planes, window, stride, window // 2, groups=groups, bias=False),
            nn.BatchNorm2d(planes),
        ]

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, channels: int, planes: int, expansion: int, stride: int) -> None:
            super().__init__()
            hidden = channels * expansion
            first = [*conv(channels, hidden, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
            depthwise = [*conv(hidden, hidden, 3, stride, hidden), nn.ReLU6(inplace=True)]
            self.main = nn.Sequential(*first, *depthwise, *conv(hidden, planes, 1))
            self.adds = stride == 1 and channels == planes

        def forward(self, x: Any) -> Any:
            return x + self.main(x) if self.adds else self.main(x)

    layers = [*conv(3, 32, 3), nn.ReLU6(inplace=True)]
    channels = 32
    for expansion, planes, depth, stride in MOBILE:
        for i in range(depth):
            layers.append(Block(channels, planes, expansion, stride if i == 0 else 1))
            channels = planes
    head = (*conv(320, 1280, 1), nn.ReLU6(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 10))
    return nn.Sequential(*layers, *head)


NETWORKS: dict[str, tuple[Callable[[ModuleType], Any], int, tuple[int, ...], int]] = {
    "MLP 784-512-512-10, batch 128": (mlp, 128, (1, 28, 28), 10),
    "ResNet-18 32x32, batch 64": (resnet18, 64, (3, 32, 32), 10),
    "VGG-16-bn 32x32, batch 64": (lambda nn: vgg16(nn, norm=True, small=True), 64, (3, 32, 32), 10),
    "MobileNetV2 32x32, batch 64": (mobilenet_v2, 64, (3, 32, 32), 10),
    "ResNet-50 224x224, batch 8": (resnet50, 8, (3, 224, 224), 1000),
    "VGG-16 224x224, batch 4": (lambda nn: vgg16(nn, norm=False, small=False), 4, (3, 224, 224), 1000),
}
"""Name -> how to make it, batch, shape of an image, classes."""
