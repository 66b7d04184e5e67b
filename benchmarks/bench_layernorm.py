"""Layer norm, forward and backward, on rows of Transformers and on images' groups, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

SHAPES = {"512x512": (512, 512), "6304x768": (6304, 768), "512x8192": (512, 8192)}
QUICK = {"512x512"}


def cases() -> list[Case]:
    return [
        Case(f"layer norm {kind} {name}", (kind, shape), quick=name in QUICK)
        for name, shape in SHAPES.items()
        for kind in ("forward", "backward")
    ]


def ours(kind: str, shape: tuple[int, int]) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry

    cpu, rng = registry.get("cpu"), np.random.default_rng(0)
    x, gy = (rng.standard_normal(shape, np.float32) for _ in range(2))
    weight, bias = rng.standard_normal((2, shape[1]), np.float32)
    _, mean, invstd = cpu.layer_norm(x, weight, bias, 1e-5, True)
    if kind == "backward":
        return lambda: cpu.layer_norm_backward(gy, x, weight, mean, invstd, True)
    return lambda: cpu.layer_norm(x, weight, bias, 1e-5, True)


def theirs(kind: str, shape: tuple[int, int]) -> Callable[[], Any]:
    import torch

    (x, gy), (weight, bias) = torch.randn(2, *shape), torch.randn(2, shape[1])
    aten, last = torch.ops.aten, [shape[1]]
    _, mean, rstd = aten.native_layer_norm(x, last, weight, bias, 1e-5)
    if kind == "backward":
        backward = aten.native_layer_norm_backward
        return lambda: backward(gy, x, last, mean, rstd, weight, bias, [True, True, True])
    return lambda: aten.native_layer_norm(x, last, weight, bias, 1e-5)


if __name__ == "__main__":
    main("layernorm", cases(), ours, theirs)
