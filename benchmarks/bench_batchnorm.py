"""Batch norms of well-known networks, against PyTorch's best memory format. Every call allocates its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

# batch, channels, size
LAYERS = {
    "ResNet-18 CIFAR 64 @32": (64, 64, 32),
    "ResNet-18 CIFAR 128 @16": (64, 128, 16),
    "ResNet-18 CIFAR 256 @8": (64, 256, 8),
    "ResNet-18 CIFAR 512 @4": (64, 512, 4),
    "ResNet-50 64 @112": (8, 64, 112),
    "ResNet-50 256 @56": (8, 256, 56),
    "ResNet-50 2048 @7": (8, 2048, 7),
    "MobileNetV2 96 @32": (64, 96, 32),
    "MobileNetV2 24 @32": (64, 24, 32),
    "3 channels @32": (128, 3, 32),
}
QUICK = {"ResNet-18 CIFAR 64 @32", "ResNet-18 CIFAR 512 @4", "MobileNetV2 96 @32"}


def cases() -> list[Case]:
    return [
        Case(f"{kind} {layer}", (kind, *arguments), quick=layer in QUICK)
        for layer, arguments in LAYERS.items()
        for kind in ("train", "backward", "eval")
    ]


def ours(kind: str, n: int, c: int, size: int) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry

    cpu, rng, eps = registry.get("cpu"), np.random.default_rng(0), 1e-5
    x, gy = (rng.standard_normal((n, size, size, c), np.float32).transpose(0, 3, 1, 2) for _ in range(2))
    weight, bias = np.ones(c, np.float32), np.zeros(c, np.float32)
    _, mean, var = cpu.batch_norm_train(x, weight, bias, eps)
    return {
        "train": lambda: cpu.batch_norm_train(x, weight, bias, eps)[0](),
        "eval": lambda: cpu.batch_norm_eval(x, weight, bias, mean, var, eps)(),
        "backward": lambda: cpu.batch_norm_backward(gy, x, weight, mean, var, eps, True),
    }[kind]


def theirs(kind: str, n: int, c: int, size: int) -> dict[str, Callable[[], Any]]:
    import torch

    aten, eps = torch.ops.aten, 1e-5

    def variant(layout: torch.memory_format) -> Callable[[], Any]:
        x, gy = (torch.randn(n, c, size, size).contiguous(memory_format=layout) for _ in range(2))
        weight, bias = torch.ones(c), torch.zeros(c)
        _, mean, invstd = torch.native_batch_norm(x, weight, bias, None, None, True, 0.1, eps)
        running = mean, invstd**-2
        wanted = [True] * 3
        return {
            "train": lambda: torch.native_batch_norm(x, weight, bias, None, None, True, 0.1, eps),
            "eval": lambda: torch.native_batch_norm(x, weight, bias, *running, False, 0.1, eps),
            "backward": lambda: aten.native_batch_norm_backward(
                gy, x, weight, None, None, mean, invstd, True, eps, wanted
            ),
        }[kind]

    return {"NCHW": variant(torch.contiguous_format), "channels-last": variant(torch.channels_last)}


if __name__ == "__main__":
    main("batchnorm", cases(), ours, theirs)
