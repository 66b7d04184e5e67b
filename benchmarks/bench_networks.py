"""Whole networks: a training step (forward, backward, SGD with momentum) and inference, against PyTorch's best format.

The same model code runs on both sides; see ``networks.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main
from networks import NETWORKS

QUICK = {"MLP", "ResNet-18"}


def cases() -> list[Case]:
    return [
        Case(f"{name}, {mode}", (mode, name), quick=name.split()[0] in QUICK)
        for mode in ("training", "inference")
        for name in NETWORKS
    ]


def ours(mode: str, name: str) -> Callable[[], Any]:
    import deepgpu as dg
    from deepgpu import nn
    from deepgpu.nn import functional as F

    make, batch, shape, classes = NETWORKS[name]
    dg.manual_seed(0)
    return _call(mode, make(nn), dg.randn(batch, *shape), dg.arange(batch) % classes, F, dg)


def theirs(mode: str, name: str) -> dict[str, Callable[[], Any]]:
    import torch
    from torch import nn
    from torch.nn import functional as F

    def variant(layout: torch.memory_format) -> Callable[[], Any]:
        torch.manual_seed(0)
        make, batch, shape, classes = NETWORKS[name]
        model, x = make(nn).to(memory_format=layout), torch.randn(batch, *shape).contiguous(memory_format=layout)
        return _call(mode, model, x, torch.arange(batch) % classes, F, torch)

    return {"NCHW": variant(torch.contiguous_format), "channels-last": variant(torch.channels_last)}


def _call(mode: str, model: Any, x: Any, targets: Any, F: Any, library: Any) -> Callable[[], Any]:
    if mode == "inference":
        model.eval()

        def infer() -> None:
            with library.no_grad():
                model(x)

        return infer
    optimizer = library.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        loss = F.cross_entropy(model(x), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main("networks", cases(), ours, theirs)
