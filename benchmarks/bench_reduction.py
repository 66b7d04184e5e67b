"""Sums of large arrays over everything, over rows, over columns and over all but the channels, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

KINDS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "everything, 256x4096": ((256, 4096), (0, 1)),
    "rows, 256x4096": ((256, 4096), (1,)),
    "rows, 65536x16": ((65536, 16), (1,)),
    "columns, 256x4096": ((256, 4096), (0,)),
    "columns, 65536x16": ((65536, 16), (0,)),
    "pixels, 64x64x32x32": ((64, 64, 32, 32), (2, 3)),
    "all but channels, 64x64x32x32": ((64, 64, 32, 32), (0, 2, 3)),
}
"""A shape, and the dimensions to sum over; images are channels-last."""


def cases() -> list[Case]:
    return [Case(kind, (kind,), quick="256" in kind) for kind in KINDS]


def ours(kind: str) -> Callable[[], Any]:
    import deepgpu as dg

    return _call(dg, kind)


def theirs(kind: str) -> Callable[[], Any]:
    import torch

    return _call(torch, kind)


def _call(library: Any, kind: str) -> Callable[[], Any]:
    shape, dims = KINDS[kind]
    x = library.randn(*shape)
    if len(shape) == 4:
        x = x.contiguous(memory_format=library.channels_last)
    return lambda: x.sum(dims)


if __name__ == "__main__":
    main("reduction", cases(), ours, theirs)
