"""Cross-entropy of class labels, mean over the batch, forward and with the gradient, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

SHAPES = [(64, 10), (128, 100), (128, 1000), (512, 30000)]
QUICK = {(64, 10), (128, 1000)}


def cases() -> list[Case]:
    return [
        Case(f"{kind} {rows}x{classes}", (kind, rows, classes), quick=(rows, classes) in QUICK)
        for rows, classes in SHAPES
        for kind in ("forward", "forward and backward")
    ]


def ours(kind: str, rows: int, classes: int) -> Callable[[], Any]:
    import deepgpu as dg
    from deepgpu.nn import functional as F

    return _call(kind, dg.randn(rows, classes, requires_grad=kind != "forward"), dg.arange(rows) % classes, F)


def theirs(kind: str, rows: int, classes: int) -> Callable[[], Any]:
    import torch
    from torch.nn import functional as F

    return _call(kind, torch.randn(rows, classes, requires_grad=kind != "forward"), torch.arange(rows) % classes, F)


def _call(kind: str, x: Any, labels: Any, F: Any) -> Callable[[], Any]:
    if kind == "forward":
        return lambda: F.cross_entropy(x, labels)
    return lambda: F.cross_entropy(x, labels).backward()


if __name__ == "__main__":
    main("cross_entropy", cases(), ours, theirs)
