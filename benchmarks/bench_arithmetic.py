"""Sums, products, quotients of large arrays: of two, of one with a number or with a smaller one, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

SHAPES = {"256x4096": (256, 4096), "64x64x32x32": (64, 64, 32, 32)}
KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "a + b": lambda a, b: a + b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "a * 0.5": lambda a, b: a * 0.5,
    "a + b[:1]": lambda a, b: a + b[:1],
    "a * b[..., :1]": lambda a, b: a * b[..., :1],
    "a * b * 0.5 + a": lambda a, b: a * b * 0.5 + a,
}


def cases() -> list[Case]:
    return [
        Case(f"{kind}, {size}", (kind, shape), quick=size == "256x4096")
        for size, shape in SHAPES.items()
        for kind in KINDS
    ]


def ours(kind: str, shape: tuple[int, ...]) -> Callable[[], Any]:
    import deepgpu as dg

    return _call(dg, kind, shape)


def theirs(kind: str, shape: tuple[int, ...]) -> Callable[[], Any]:
    import torch

    return _call(torch, kind, shape)


def _call(library: Any, kind: str, shape: tuple[int, ...]) -> Callable[[], Any]:
    library.manual_seed(0)
    a, b = library.randn(*shape), library.randn(*shape)
    return lambda: KINDS[kind](a, b)


if __name__ == "__main__":
    main("arithmetic", cases(), ours, theirs)
