"""ReLU, forward and backward, on images of well-known networks and on small arrays, against PyTorch."""

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


def cases() -> list[Case]:
    return [
        Case(f"{kind} {name}", (kind, shape), quick=name in QUICK)
        for name, shape in SHAPES.items()
        for kind in ("relu", "relu backward")
    ]


def ours(kind: str, shape: tuple[int, ...]) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry

    cpu, rng = registry.get("cpu"), np.random.default_rng(0)
    x, gy = (rng.standard_normal(shape, np.float32) for _ in range(2))
    y = cpu.relu(x)
    return {"relu": lambda: cpu.relu(x), "relu backward": lambda: cpu.relu_backward(gy, y)}[kind]


def theirs(kind: str, shape: tuple[int, ...]) -> Callable[[], Any]:
    import torch

    x, gy = torch.randn(shape), torch.randn(shape)
    y = torch.relu(x)
    backward = torch.ops.aten.threshold_backward
    return {"relu": lambda: torch.relu(x), "relu backward": lambda: backward(gy, y, 0)}[kind]


if __name__ == "__main__":
    main("activation", cases(), ours, theirs)
