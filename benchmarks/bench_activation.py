"""ReLU and PReLU, forward and backward, on images of well-known networks and on small arrays, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

SHAPES = {
    "128x256": (128, 256),
    "64x512 @4": (64, 512, 4, 4),
    "64x256 @8": (64, 256, 8, 8),
    "64x64 @32": (64, 64, 32, 32),
    "8x64 @112": (8, 64, 112, 112),
}
QUICK = {"128x256", "64x64 @32"}


PRELU = "64x64 @32"
"""The size of PReLU's images."""


def cases() -> list[Case]:
    return [
        Case(f"{kind} {name}", (kind, shape), quick=name in QUICK and kind.startswith("relu"))
        for name, shape in SHAPES.items()
        for kind in ("relu", "relu backward", "prelu", "prelu backward")
        if kind.startswith("relu") or name == PRELU
    ]


def ours(kind: str, shape: tuple[int, ...]) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry

    cpu, rng = registry.get("cpu"), np.random.default_rng(0)
    x, gy = (rng.standard_normal(shape, np.float32) for _ in range(2))
    y, slopes = cpu.relu(x), np.full(shape[1], 0.25, np.float32)
    return {
        "relu": lambda: cpu.relu(x),
        "relu backward": lambda: cpu.relu_backward(gy, y),
        "prelu": lambda: cpu.prelu(x, slopes),
        "prelu backward": lambda: cpu.prelu_backward(gy, x, slopes),
    }[kind]


def theirs(kind: str, shape: tuple[int, ...]) -> Callable[[], Any]:
    import torch

    x, gy = torch.randn(shape), torch.randn(shape)
    y, slopes, aten = torch.relu(x), torch.full((shape[1],), 0.25), torch.ops.aten
    return {
        "relu": lambda: torch.relu(x),
        "relu backward": lambda: aten.threshold_backward(gy, y, 0),
        "prelu": lambda: aten.prelu(x, slopes),
        "prelu backward": lambda: aten._prelu_kernel_backward(gy, x, slopes.view(-1, *[1] * (len(shape) - 2))),
    }[kind]


if __name__ == "__main__":
    main("activation", cases(), ours, theirs)
