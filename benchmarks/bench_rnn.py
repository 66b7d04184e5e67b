"""Recurrent layers, a training step without the optimizer and inference, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

# input, hidden, layers, steps, batch
SIZES = {"small": (128, 256, 2, 35, 20), "wide": (512, 512, 1, 50, 64), "long": (2, 128, 1, 200, 32)}
QUICK = {"small"}


def cases() -> list[Case]:
    return [
        Case(f"{layer} {name}, {mode}", (layer, mode, *size), quick=name in QUICK)
        for layer in ("LSTM", "GRU", "RNN")
        for name, size in SIZES.items()
        for mode in ("training", "inference")
    ]


def ours(layer: str, mode: str, *size: int) -> Callable[[], Any]:
    import deepgpu as dg

    return _call(dg, layer, mode, *size)


def theirs(layer: str, mode: str, *size: int) -> Callable[[], Any]:
    import torch

    return _call(torch, layer, mode, *size)


def _call(library: Any, layer: str, mode: str, width: int, hidden: int, layers: int, steps: int, batch: int) -> Any:
    model = getattr(library.nn, layer)(width, hidden, layers)
    x = library.randn(steps, batch, width)

    def infer() -> None:
        with library.no_grad():
            model(x)

    def train() -> None:
        model(x)[0].sum().backward()
        model.zero_grad()

    return infer if mode == "inference" else train


if __name__ == "__main__":
    main("rnn", cases(), ours, theirs)
