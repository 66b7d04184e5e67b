"""Pools of well-known networks, forward and backward, against PyTorch's best memory format.

Our arrays are channels-last, as our networks keep them; PyTorch's are both. Every call allocates its result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

# batch, channels, size, window, stride, padding
LAYERS = {
    "VGG-16 CIFAR 2x2 @32": (64, 64, 32, 2, 2, 0),
    "VGG-16 CIFAR 2x2 @4": (64, 512, 4, 2, 2, 0),
    "VGG-16 2x2 @224": (4, 64, 224, 2, 2, 0),
    "ResNet-50 3x3/2 @112": (8, 64, 112, 3, 2, 1),
    "Inception 3x3/1 @28": (16, 192, 28, 3, 1, 1),
    "24 channels 3x3/1 @28": (16, 24, 28, 3, 1, 1),
}
GLOBAL = {
    "ResNet-18 CIFAR global @4": (64, 512, 4),
    "ResNet-50 global @7": (8, 2048, 7),
    "MobileNetV2 global @32": (64, 64, 32),
}
QUICK = {"VGG-16 CIFAR 2x2 @32", "ResNet-50 3x3/2 @112", "ResNet-50 global @7"}


def cases() -> list[Case]:
    windowed = [
        Case(f"{kind} {layer}", (kind, *arguments), quick=layer in QUICK)
        for layer, arguments in LAYERS.items()
        for kind in ("max", "max backward", "average", "average backward")
    ]
    return windowed + [
        Case(f"{kind} {layer}", (kind, *arguments, arguments[-1], arguments[-1], 0), quick=layer in QUICK)
        for layer, arguments in GLOBAL.items()
        for kind in ("adaptive", "adaptive backward")
    ]


def ours(kind: str, n: int, c: int, size: int, window: int, stride: int, padding: int) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry

    cpu, outputs = registry.get("cpu"), (size + 2 * padding - window) // stride + 1

    def image(size: int) -> Any:
        return np.random.default_rng(0).standard_normal((n, size, size, c), np.float32).transpose(0, 3, 1, 2)

    x, gy = image(size), image(outputs)
    geometry = (window, window), (stride, stride), (padding, padding)
    whole, pooled = (size, size), (outputs, outputs)
    _, index = cpu.max_pool2d(x, *geometry, (1, 1), pooled)
    return {
        "max": lambda: cpu.max_pool2d(x, *geometry, (1, 1), pooled),
        "max backward": lambda: cpu.pool_scatter(gy, index, whole),
        "average": lambda: cpu.avg_pool2d(x, *geometry, pooled, True, None),
        "average backward": lambda: cpu.avg_pool2d_backward(gy, whole, *geometry, True, None),
        "adaptive": lambda: cpu.adaptive_avg_pool2d(x, pooled),
        "adaptive backward": lambda: cpu.adaptive_avg_pool2d_backward(gy, whole),
    }[kind]


def theirs(
    kind: str, n: int, c: int, size: int, window: int, stride: int, padding: int
) -> dict[str, Callable[[], Any]]:
    import torch

    aten, outputs = torch.ops.aten, (size + 2 * padding - window) // stride + 1
    geometry = [window] * 2, [stride] * 2, [padding] * 2

    def variant(layout: torch.memory_format) -> Callable[[], Any]:
        x = torch.randn(n, c, size, size).contiguous(memory_format=layout)
        gy = torch.randn(n, c, outputs, outputs).contiguous(memory_format=layout)
        _, index = aten.max_pool2d_with_indices(x, *geometry)
        return {
            "max": lambda: aten.max_pool2d_with_indices(x, *geometry),
            "max backward": lambda: aten.max_pool2d_with_indices_backward(gy, x, *geometry, [1, 1], False, index),
            "average": lambda: aten.avg_pool2d(x, *geometry),
            "average backward": lambda: aten.avg_pool2d_backward(gy, x, *geometry, False, True, None),
            "adaptive": lambda: torch.nn.functional.adaptive_avg_pool2d(x, outputs),
            "adaptive backward": lambda: aten._adaptive_avg_pool2d_backward(gy, x),
        }[kind]

    return {"NCHW": variant(torch.contiguous_format), "channels-last": variant(torch.channels_last)}


if __name__ == "__main__":
    main("pool", cases(), ours, theirs)
