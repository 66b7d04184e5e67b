"""Copies into another order of dimensions, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

KINDS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "64x64x32x32 to channels-last": ((64, 64, 32, 32), (0, 2, 3, 1)),
    "64x64x32x32 from channels-last": ((64, 32, 32, 64), (0, 3, 1, 2)),
    "8x3x224x224 to channels-last": ((8, 3, 224, 224), (0, 2, 3, 1)),
    "1000x777": ((1000, 777), (1, 0)),
}
"""A shape, and the order of its dimensions."""


def cases() -> list[Case]:
    return [Case(kind, (kind,), quick=kind == "1000x777") for kind in KINDS]


def ours(kind: str) -> Callable[[], Any]:
    import deepgpu as dg

    return _call(dg, kind)


def theirs(kind: str) -> Callable[[], Any]:
    import torch

    return _call(torch, kind)


def _call(library: Any, kind: str) -> Callable[[], Any]:
    shape, order = KINDS[kind]
    x = library.randn(*shape).permute(*order)
    return lambda: x.contiguous()


if __name__ == "__main__":
    main("transpose", cases(), ours, theirs)
