"""GELU, SiLU and Hardswish, forward and backward, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

SHAPES = {"128x256": (128, 256), "64x64 @32": (64, 64, 32, 32), "32x197x768": (32, 197, 768)}
QUICK = {"128x256"}
NAMES = ("gelu", "tanh_gelu", "silu", "hardswish")


def cases() -> list[Case]:
    return [
        Case(f"{name}{' backward' if backward else ''} {size}", (name, backward, shape), quick=size in QUICK)
        for size, shape in SHAPES.items()
        for name in NAMES
        for backward in (False, True)
    ]


def ours(name: str, backward: bool, shape: tuple[int, ...]) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry

    cpu, rng = registry.get("cpu"), np.random.default_rng(0)
    x, gy = (rng.standard_normal(shape, np.float32) for _ in range(2))
    return (lambda: cpu.elementwise_backward(name, gy, x)) if backward else lambda: cpu.elementwise(name, x)


def theirs(name: str, backward: bool, shape: tuple[int, ...]) -> Callable[[], Any]:
    import torch
    from torch.nn import functional as F

    aten, x, gy = torch.ops.aten, torch.randn(shape), torch.randn(shape)
    forward = {
        "gelu": lambda: F.gelu(x),
        "tanh_gelu": lambda: F.gelu(x, approximate="tanh"),
        "silu": lambda: F.silu(x),
        "hardswish": lambda: F.hardswish(x),
    }
    gradient = {
        "gelu": lambda: aten.gelu_backward(gy, x),
        "tanh_gelu": lambda: aten.gelu_backward(gy, x, approximate="tanh"),
        "silu": lambda: aten.silu_backward(gy, x),
        "hardswish": lambda: aten.hardswish_backward(gy, x),
    }
    return (gradient if backward else forward)[name]


if __name__ == "__main__":
    main("gated", cases(), ours, theirs)
