"""Convolutions of well-known networks, one layer and one direction at a time, against PyTorch's best memory format.

Our arrays are channels-last, as our networks keep them; PyTorch's are both. Weights are packed or transformed in every
call, and every call allocates its result, on both sides.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from harness import Case, main


class Layer(NamedTuple):
    """A convolution with square windows and images."""

    batch: int
    channels: int
    filters: int
    size: int
    window: int
    stride: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        return self.window // 2

    @property
    def output(self) -> int:
        return (self.size + 2 * self.padding - self.window) // self.stride + 1

    @property
    def flops(self) -> float:
        products = self.channels // self.groups * self.filters * self.window**2
        return 2.0 * self.batch * self.output**2 * products

    def __str__(self) -> str:
        kind = f"dw {self.filters}" if self.groups > 1 else f"{self.channels}->{self.filters}"
        return f"{self.window}x{self.window}/{self.stride} {kind} @{self.size} x{self.batch}"


NETWORKS = {
    "ResNet-18 CIFAR": [
        Layer(64, 3, 64, 32, 3),
        Layer(64, 64, 64, 32, 3),
        Layer(64, 64, 128, 32, 3, 2),
        Layer(64, 64, 128, 32, 1, 2),
        Layer(64, 128, 128, 16, 3),
        Layer(64, 128, 256, 16, 3, 2),
        Layer(64, 128, 256, 16, 1, 2),
        Layer(64, 256, 256, 8, 3),
        Layer(64, 256, 512, 8, 3, 2),
        Layer(64, 256, 512, 8, 1, 2),
        Layer(64, 512, 512, 4, 3),
    ],
    "ResNet-50": [
        Layer(8, 3, 64, 224, 7, 2),
        Layer(8, 64, 64, 56, 1),
        Layer(8, 64, 64, 56, 3),
        Layer(8, 64, 256, 56, 1),
        Layer(8, 256, 64, 56, 1),
        Layer(8, 128, 128, 56, 3, 2),
        Layer(8, 256, 512, 56, 1, 2),
        Layer(8, 512, 128, 28, 1),
        Layer(8, 128, 128, 28, 3),
        Layer(8, 128, 512, 28, 1),
        Layer(8, 256, 256, 14, 3),
        Layer(8, 1024, 256, 14, 1),
        Layer(8, 256, 1024, 14, 1),
        Layer(8, 512, 512, 7, 3),
        Layer(8, 512, 2048, 7, 1),
        Layer(8, 2048, 512, 7, 1),
    ],
    "VGG-16": [
        Layer(4, 3, 64, 224, 3),
        Layer(4, 64, 64, 224, 3),
        Layer(4, 128, 128, 112, 3),
        Layer(4, 256, 256, 56, 3),
        Layer(4, 512, 512, 28, 3),
        Layer(4, 512, 512, 14, 3),
        Layer(64, 512, 512, 2, 3),
    ],
    "MobileNetV2": [
        Layer(64, 3, 32, 32, 3),
        Layer(64, 96, 96, 32, 3, 1, 96),
        Layer(64, 144, 144, 32, 3, 2, 144),
        Layer(64, 192, 192, 16, 3, 1, 192),
        Layer(64, 576, 576, 8, 3, 1, 576),
        Layer(64, 24, 144, 32, 1),
        Layer(64, 144, 24, 32, 1),
        Layer(64, 32, 192, 16, 1),
        Layer(64, 192, 32, 16, 1),
        Layer(64, 96, 576, 8, 1),
        Layer(64, 576, 96, 8, 1),
        Layer(64, 320, 1280, 4, 1),
    ],
}
QUICK = {"ResNet-18 CIFAR"}


def cases() -> list[Case]:
    return [
        Case(f"{layer} {direction}", (direction, layer), layer.flops, network in QUICK)
        for network, layers in NETWORKS.items()
        for layer in layers
        for direction in ("fprop", "dgrad", "wgrad")
    ]


@functools.lru_cache(maxsize=1)
def our_arrays(layer: Layer) -> tuple[Any, Any, Any]:
    """``x``, ``w`` and ``gy``, for three directions in turn: large ones take as long to make as to time."""
    import numpy as np

    rng = np.random.default_rng(0)
    window = (layer.window, layer.window)
    x = rng.standard_normal((layer.batch, layer.size, layer.size, layer.channels), np.float32)
    w = rng.standard_normal((layer.filters, layer.channels // layer.groups, *window), np.float32)
    gy = rng.standard_normal((layer.batch, layer.output, layer.output, layer.filters), np.float32)
    return x.transpose(0, 3, 1, 2), w, gy.transpose(0, 3, 1, 2)


def ours(direction: str, layer: Layer) -> Callable[[], Any]:
    from deepgpu.backends.cpu import conv

    x, w, gy = our_arrays(layer)
    window = (layer.window, layer.window)
    geometry = (layer.stride,) * 2, (layer.padding,) * 2, (1, 1), layer.groups
    return {
        "fprop": lambda: conv.fprop(x, w, None, *geometry),
        "dgrad": lambda: conv.dgrad(gy, w, (layer.size, layer.size), *geometry),
        "wgrad": lambda: conv.wgrad(gy, x, window, *geometry),
    }[direction]


@functools.lru_cache(maxsize=2)
def their_arrays(layer: Layer, layout: Any) -> tuple[Any, ...]:
    """The same in one of PyTorch's memory formats."""
    import torch

    shapes = (
        (layer.batch, layer.channels, layer.size, layer.size),
        (layer.filters, layer.channels // layer.groups, layer.window, layer.window),
        (layer.batch, layer.filters, layer.output, layer.output),
    )
    return tuple(torch.randn(shape).contiguous(memory_format=layout) for shape in shapes)


def theirs(direction: str, layer: Layer) -> dict[str, Callable[[], Any]]:
    import torch

    torch.set_grad_enabled(False)

    def variant(layout: torch.memory_format) -> Callable[[], Any]:
        x, w, gy = their_arrays(layer, layout)
        geometry = [layer.stride] * 2, [layer.padding] * 2, [1, 1]
        if direction == "fprop":
            return lambda: torch.conv2d(x, w, None, *geometry, layer.groups)
        mask = [direction == "dgrad", direction == "wgrad", False]
        backward = torch.ops.aten.convolution_backward
        return lambda: backward(gy, x, w, None, *geometry, False, [0, 0], layer.groups, mask)

    return {"NCHW": variant(torch.contiguous_format), "channels-last": variant(torch.channels_last)}


if __name__ == "__main__":
    main("conv", cases(), ours, theirs)
