"""What the other benchmarks do not show: networks of the course, and single images of the well-known ones.

A training step (mean square of the result, Adam) and inference, against PyTorch's better format. Not part of ``make
bench``, which is long enough: ``python benchmarks/course.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bench_networks
from course_networks import NETWORKS
from harness import Case, main

LAYOUTS = bench_networks.LAYOUTS
ONE = "one image"


def cases() -> list[Case]:
    found = [Case(f"{name}, {mode}", (mode, name)) for mode in ("training", "inference") for name in NETWORKS]
    return found + [Case(f"{name.split(',')[0]}, {ONE}", (ONE, name)) for name in bench_networks.NETWORKS]


def ours(mode: str, name: str) -> Callable[[], Any]:
    import deepgpu

    if mode == ONE:
        return bench_networks.ours("inference", name, 1)
    net, shape = NETWORKS[name](deepgpu)
    return _call(mode, deepgpu, net, deepgpu.randn(*shape))


def theirs(mode: str, name: str) -> dict[str, Callable[[], Any]]:
    return {layout: _theirs_in(layout, mode, name) for layout in LAYOUTS}


def _theirs_in(layout: str, mode: str, name: str) -> Callable[[], Any]:
    import torch

    if mode == ONE:
        return bench_networks.theirs_in(layout, "inference", name, 1)
    memory_format = torch.contiguous_format if layout == "NCHW" else torch.channels_last
    net, shape = NETWORKS[name](torch)
    x = torch.randn(shape).contiguous(memory_format=memory_format)
    return _call(mode, torch, net.to(memory_format=memory_format), x)


def _call(mode: str, lib: Any, net: Any, x: Any) -> Callable[[], Any]:
    if mode == "inference":
        net.eval()

        def infer() -> None:
            with lib.no_grad():
                net(x)

        return infer
    optimizer = lib.optim.Adam(net.parameters(), lr=1e-4)

    def step() -> None:
        loss = (net(x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main("course", cases(), ours, theirs)
