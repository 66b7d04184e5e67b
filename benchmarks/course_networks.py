"""Networks of the course, small enough to time: a function takes ``lib``, ours or PyTorch, and gives net and shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def lenet(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """LeNet-5 (LeCun et al., 1998)."""
    nn = lib.nn
    layers = [
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
    ]
    layers += [nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return nn.Sequential(*layers), (64, 1, 28, 28)


def alexnet(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """AlexNet's convolutions (Krizhevsky et al., 2012, in one column) with a smaller head."""
    nn = lib.nn
    layers = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for channels, planes in ((192, 384), (384, 256), (256, 256)):
        layers += [nn.Conv2d(channels, planes, 3, padding=1), nn.ReLU()]
    layers += [nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(9216, 1024), nn.ReLU(), nn.Linear(1024, 1000)]
    return nn.Sequential(*layers), (8, 3, 224, 224)


def generator(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """The generator of a DCGAN (Radford et al., 2015)."""
    nn, layers, channels = lib.nn, [], 100
    for planes, stride, padding in ((256, 1, 0), (128, 2, 1), (64, 2, 1), (32, 2, 1)):
        layers += [nn.ConvTranspose2d(channels, planes, 4, stride, padding, bias=False)]
        layers += [nn.BatchNorm2d(planes), nn.ReLU(True)]
        channels = planes
    return nn.Sequential(*layers, nn.ConvTranspose2d(channels, 3, 4, 2, 1), nn.Tanh()), (64, 100, 1, 1)


def discriminator(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """Its discriminator."""
    nn, layers, channels = lib.nn, [], 3
    for planes in (32, 64, 128, 256):
        layers += [nn.Conv2d(channels, planes, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(planes)] if channels > 3 else []
        layers += [nn.LeakyReLU(0.2, True)]
        channels = planes
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4), nn.Flatten()), (64, 3, 64, 64)


def autoencoder(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """Images to 64 numbers and back."""
    nn = lib.nn
    layers = [
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 7),
        nn.ReLU(),
    ]
    layers += [nn.ConvTranspose2d(64, 32, 7), nn.ReLU(), nn.ConvTranspose2d(32, 16, 3, 2, 1, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(16, 1, 3, 2, 1, 1), nn.Sigmoid()), (64, 1, 28, 28)


def unet(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """A U-Net of three levels (Ronneberger et al., 2015)."""
    nn = lib.nn

    def double(channels: int, planes: int) -> Any:
        first = nn.Conv2d(channels, planes, 3, padding=1), nn.ReLU(True)
        return nn.Sequential(*first, nn.Conv2d(planes, planes, 3, padding=1), nn.ReLU(True))

    class UNet(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList([double(3, 16), double(16, 32), double(32, 64)])
            self.pool = nn.MaxPool2d(2)
            self.up = nn.ModuleList([nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)])
            self.join = nn.ModuleList([double(64, 32), double(32, 16)])
            self.last = nn.Conv2d(16, 2, 1)

        def forward(self, x: Any) -> Any:
            first = self.down[0](x)
            second = self.down[1](self.pool(first))
            x = self.down[2](self.pool(second))
            for i, skipped in enumerate((second, first)):
                x = self.join[i](lib.cat([self.up[i](x), skipped], 1))
            return self.last(x)

    return UNet(), (8, 3, 128, 128)


def densenet(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """A DenseNet-BC of three blocks of eight layers, growth 12 (Huang et al., 2016)."""
    nn = lib.nn

    class Layer(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, channels: int, growth: int) -> None:
            super().__init__()
            first = nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 4 * growth, 1, bias=False)
            second = nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
            self.main = nn.Sequential(*first, *second)

        def forward(self, x: Any) -> Any:
            return lib.cat([x, self.main(x)], 1)

    layers, channels = [nn.Conv2d(3, 24, 3, padding=1, bias=False)], 24
    for block in range(3):
        for _ in range(8):
            layers.append(Layer(channels, 12))
            channels += 12
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if block < 2:
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)), (32, 3, 32, 32)


def resnext(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """Residual blocks with 32 groups (Xie et al., 2016)."""
    nn, F = lib.nn, lib.nn.functional

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, channels: int, width: int) -> None:
            super().__init__()
            layers = [nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True)]
            layers += [
                nn.Conv2d(width, width, 3, padding=1, groups=32, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(True),
            ]
            layers += [nn.Conv2d(width, channels, 1, bias=False), nn.BatchNorm2d(channels)]
            self.main = nn.Sequential(*layers)

        def forward(self, x: Any) -> Any:
            return F.relu(x + self.main(x))

    layers = [nn.Conv2d(3, 64, 3, padding=1), *[Block(64, 128) for _ in range(3)], nn.MaxPool2d(2)]
    layers += [nn.Conv2d(64, 256, 1), *[Block(256, 256) for _ in range(3)]]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10)), (16, 3, 32, 32)


def convnext(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """Two stages of ConvNeXt blocks (Liu et al., 2022): 7x7 depthwise, layer norm, GELU."""
    nn = lib.nn

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.mix = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
            layers = (
                nn.LayerNorm(channels),
                nn.Linear(channels, 4 * channels),
                nn.GELU(),
                nn.Linear(4 * channels, channels),
            )
            self.main = nn.Sequential(*layers)

        def forward(self, x: Any) -> Any:
            return x + self.main(self.mix(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    layers = [nn.Conv2d(3, 64, 4, 4), Block(64), Block(64), nn.Conv2d(64, 128, 2, 2), *[Block(128) for _ in range(3)]]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)), (8, 3, 128, 128)


def efficientnet(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """Inverted residuals with SiLU and squeeze-and-excitation (Tan & Le, 2019)."""
    nn = lib.nn

    class Excitation(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, channels: int) -> None:
            super().__init__()
            layers = nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels // 4, 1), nn.SiLU()
            self.gate = nn.Sequential(*layers, nn.Conv2d(channels // 4, channels, 1), nn.Sigmoid())

        def forward(self, x: Any) -> Any:
            return x * self.gate(x)

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, channels: int, window: int) -> None:
            super().__init__()
            wide = 4 * channels
            layers = [nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.SiLU()]
            layers += [nn.Conv2d(wide, wide, window, padding=window // 2, groups=wide, bias=False)]
            layers += [nn.BatchNorm2d(wide), nn.SiLU(), Excitation(wide)]
            layers += [nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)]
            self.main = nn.Sequential(*layers)

        def forward(self, x: Any) -> Any:
            return x + self.main(x)

    layers = [nn.Conv2d(3, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.SiLU(), Block(24, 3), Block(24, 5)]
    layers += [nn.Conv2d(24, 48, 3, 2, 1), Block(48, 3), Block(48, 5)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10)), (16, 3, 64, 64)


def group_norm(lib: Any) -> tuple[Any, tuple[int, ...]]:
    """Residual blocks with group norm (Wu & He, 2018)."""
    nn, F = lib.nn, lib.nn.functional

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, channels: int) -> None:
            super().__init__()
            first = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.GroupNorm(8, channels), nn.ReLU()
            second = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.GroupNorm(8, channels)
            self.main = nn.Sequential(*first, *second)

        def forward(self, x: Any) -> Any:
            return F.relu(x + self.main(x))

    layers = [nn.Conv2d(3, 32, 3, padding=1), Block(32), Block(32), nn.Conv2d(32, 64, 3, 2, 1), Block(64), Block(64)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)), (32, 3, 32, 32)


NETWORKS: dict[str, Callable[[Any], tuple[Any, tuple[int, ...]]]] = {
    "LeNet-5": lenet,
    "AlexNet": alexnet,
    "DCGAN, generator": generator,
    "DCGAN, discriminator": discriminator,
    "autoencoder": autoencoder,
    "U-Net": unet,
    "DenseNet-BC": densenet,
    "ResNeXt": resnext,
    "ConvNeXt": convnext,
    "EfficientNet": efficientnet,
    "ResNet with group norm": group_norm,
}
