"""Group norm, forward and backward, of images in both memory formats, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

SHAPES = {"8x64 @28, 8 groups": ((8, 64, 28, 28), 8), "32x256 @14, 32 groups": ((32, 256, 14, 14), 32)}
QUICK = {"8x64 @28, 8 groups"}
FORMATS = {"planar": False, "channels-last": True}


def cases() -> list[Case]:
    return [
        Case(f"group norm {kind} {name} {layout}", (kind, *SHAPES[name], last), quick=name in QUICK)
        for name in SHAPES
        for layout, last in FORMATS.items()
        for kind in ("forward", "backward")
    ]


def ours(kind: str, shape: tuple[int, ...], groups: int, channels_last: bool) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry
    from deepgpu.backends.layout import channels_last as laid_out

    cpu, rng = registry.get("cpu"), np.random.default_rng(0)
    x, gy = (rng.standard_normal(shape, np.float32) for _ in range(2))
    if channels_last:
        x, gy = laid_out(np, x), laid_out(np, gy)
    weight, bias = rng.standard_normal((2, shape[1]), np.float32)
    _, mean, invstd = cpu.group_norm(x, groups, weight, bias, 1e-5)
    if kind == "backward":
        return lambda: cpu.group_norm_backward(gy, x, weight, mean, invstd)
    return lambda: cpu.group_norm(x, groups, weight, bias, 1e-5)


def theirs(kind: str, shape: tuple[int, ...], groups: int, channels_last: bool) -> Callable[[], Any]:
    import torch

    order = torch.channels_last if channels_last else torch.contiguous_format
    x, gy = (torch.randn(shape).contiguous(memory_format=order) for _ in range(2))
    weight, bias = torch.randn(2, shape[1])
    aten, (n, channels, height, width) = torch.ops.aten, shape
    sizes = (n, channels, height * width, groups)
    _, mean, rstd = aten.native_group_norm(x, weight, bias, *sizes, 1e-5)
    if kind == "backward":
        backward = aten.native_group_norm_backward
        return lambda: backward(gy, x, mean, rstd, weight, *sizes, [True, True, True])
    return lambda: aten.native_group_norm(x, weight, bias, *sizes, 1e-5)


if __name__ == "__main__":
    main("groupnorm", cases(), ours, theirs)
