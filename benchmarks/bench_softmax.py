"""Softmax and its logarithm along the last dimension, forward and backward, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

SHAPES = [(64, 10), (128, 100), (128, 1000), (4096, 64), (512, 4000)]
QUICK = {(64, 10), (128, 1000)}
KINDS = ("softmax", "softmax backward", "log_softmax", "log_softmax backward")


def cases() -> list[Case]:
    return [
        Case(f"{kind} {rows}x{columns}", (kind, rows, columns), quick=(rows, columns) in QUICK)
        for rows, columns in SHAPES
        for kind in KINDS
    ]


def ours(kind: str, rows: int, columns: int) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry

    cpu, rng = registry.get("cpu"), np.random.default_rng(0)
    x, gy = (rng.standard_normal((rows, columns), np.float32) for _ in range(2))
    y, logarithm = cpu.softmax(x, 1), cpu.log_softmax(x, 1)
    return {
        "softmax": lambda: cpu.softmax(x, 1),
        "softmax backward": lambda: cpu.softmax_backward(gy, y, 1),
        "log_softmax": lambda: cpu.log_softmax(x, 1),
        "log_softmax backward": lambda: cpu.log_softmax_backward(gy, logarithm, 1),
    }[kind]


def theirs(kind: str, rows: int, columns: int) -> Callable[[], Any]:
    import torch

    aten, x, gy = torch.ops.aten, torch.randn(rows, columns), torch.randn(rows, columns)
    y, logarithm = torch.softmax(x, 1), torch.log_softmax(x, 1)
    return {
        "softmax": lambda: torch.softmax(x, 1),
        "softmax backward": lambda: aten._softmax_backward_data(gy, y, 1, torch.float32),
        "log_softmax": lambda: torch.log_softmax(x, 1),
        "log_softmax backward": lambda: aten._log_softmax_backward_data(gy, logarithm, 1, torch.float32),
    }[kind]


if __name__ == "__main__":
    main("softmax", cases(), ours, theirs)
