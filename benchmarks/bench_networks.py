"""Whole networks: a training step (forward, backward, SGD with momentum) and inference, against PyTorch's best format.

The same model code runs on both sides; see ``networks.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main
from networks import NETWORKS

QUICK = {"MLP", "ResNet-18"}
LAYOUTS = ("NCHW", "channels-last")


def cases() -> list[Case]:
    return [
        Case(f"{name}, {mode}", (mode, name), quick=name.split()[0] in QUICK)
        for mode in ("training", "inference")
        for name in NETWORKS
    ]


def ours(mode: str, name: str, batch: int | None = None, side: int | None = None) -> Callable[[], Any]:
    """A call of our network; ``batch`` images, or those of another ``side``, in place of the usual ones."""
    import deepgpu as dg
    from deepgpu import nn
    from deepgpu.nn import functional as F

    make, usual, shape, classes = NETWORKS[name]
    number, shape = batch or usual, _resized(shape, side)
    dg.manual_seed(0)
    return _call(mode, make(nn), dg.randn(number, *shape), dg.arange(number) % classes, F, dg)


def theirs(mode: str, name: str, batch: int | None = None, side: int | None = None) -> dict[str, Callable[[], Any]]:
    """PyTorch's network, in both formats."""
    return {layout: theirs_in(layout, mode, name, batch, side) for layout in LAYOUTS}


def theirs_in(
    layout: str, mode: str, name: str, batch: int | None = None, side: int | None = None
) -> Callable[[], Any]:
    """PyTorch's network in one format."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    memory_format = torch.contiguous_format if layout == "NCHW" else torch.channels_last
    torch.manual_seed(0)
    make, usual, shape, classes = NETWORKS[name]
    number, shape = batch or usual, _resized(shape, side)
    model = make(nn).to(memory_format=memory_format)
    x = torch.randn(number, *shape).contiguous(memory_format=memory_format)
    return _call(mode, model, x, torch.arange(number) % classes, F, torch)


def _resized(shape: tuple[int, ...], side: int | None) -> tuple[int, ...]:
    return shape if side is None else (*shape[:-2], side, side)


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
