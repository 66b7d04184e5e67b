"""Running sums along rows and along columns, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

KINDS = {"along rows, 256x4096": 1, "along columns, 256x4096": 0}


def cases() -> list[Case]:
    return [Case(kind, (dim,)) for kind, dim in KINDS.items()]


def ours(dim: int) -> Callable[[], Any]:
    import deepgpu as dg

    return _call(dg, dim)


def theirs(dim: int) -> Callable[[], Any]:
    import torch

    return _call(torch, dim)


def _call(library: Any, dim: int) -> Callable[[], Any]:
    x = library.randn(256, 4096)
    return lambda: x.cumsum(dim)


if __name__ == "__main__":
    main("cumsum", cases(), ours, theirs)
