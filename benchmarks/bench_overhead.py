"""What an op costs beside its arithmetic: tensors so small that only Python, autograd and dispatch take time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

KINDS = (
    "add",
    "relu",
    "ten ops forward",
    "ten ops forward and backward",
    "MLP 16-32-10, batch 8, training step",
)


def cases() -> list[Case]:
    return [Case(kind, (kind,)) for kind in KINDS]


def ours(kind: str) -> Callable[[], Any]:
    import deepgpu as dg
    from deepgpu import nn
    from deepgpu.nn import functional as F

    return _call(kind, dg, nn, F)


def theirs(kind: str) -> Callable[[], Any]:
    import torch
    from torch import nn
    from torch.nn import functional as F

    return _call(kind, torch, nn, F)


def _call(kind: str, library: Any, nn: Any, F: Any) -> Callable[[], Any]:
    """The same code for both sides."""
    library.manual_seed(0)
    if kind.startswith("MLP"):
        return _training_step(library, nn, F)
    a, b = library.randn(4, 4), library.randn(4, 4)
    x = library.randn(4, 4).requires_grad_()

    def forward() -> Any:
        y = x
        for _ in range(2):
            y = ((y * a + b).relu() - a) * 0.5
        return y

    def both_ways() -> None:
        x.grad = None
        forward().sum().backward()

    return {
        "add": lambda: a + b,
        "relu": lambda: a.relu(),
        "ten ops forward": forward,
        "ten ops forward and backward": both_ways,
    }[kind]


def _training_step(library: Any, nn: Any, F: Any) -> Callable[[], Any]:
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = library.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    x, targets = library.randn(8, 16), library.arange(8)

    def step() -> None:
        loss = F.cross_entropy(model(x), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main("overhead", cases(), ours, theirs)
