"""Matrix products as networks have them: linear layers in their three directions, and stacks for attention.

A linear layer multiplies ``y = x @ w.T``, ``gx = gy @ w`` and ``gw = gy.T @ x``, with ``w (out, in)`` as it is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

LINEAR = {  # batch, in, out
    "MLP": [(128, 784, 512), (128, 512, 512), (128, 512, 10)],
    "classifier": [(64, 512, 1000), (8, 2048, 1000)],
    "VGG-16": [(4, 4096, 4096)],
    "square": [(512, 512, 512), (2048, 2048, 2048)],
    "transformer": [(1024, 256, 1024)],
}
STACKS = [(256, 64, 32, 64), (256, 64, 64, 32)]  # stack, m, k, n


def cases() -> list[Case]:
    linear = [
        Case(f"{name} {n}x{i}x{o} {direction}", ("linear", direction, n, i, o), 2.0 * n * i * o, name == "MLP")
        for name, shapes in LINEAR.items()
        for n, i, o in shapes
        for direction in ("y", "gx", "gw")
    ]
    stacks = [
        Case(f"stack of {s}: {m}x{k}x{n}", ("stack", "", s, m, k, n), 2.0 * s * m * k * n) for s, m, k, n in STACKS
    ]
    return linear + stacks


def operands(kind: str, direction: str, sizes: tuple[int, ...], random: Callable[..., Any]) -> tuple[Any, Any]:
    """The two factors, views of arrays that are stored as a network stores them."""
    if kind == "stack":
        s, m, k, n = sizes
        return random(s, m, k), random(s, k, n)
    n, i, o = sizes
    if direction == "y":
        return random(n, i), random(o, i).T
    return (random(n, o), random(o, i)) if direction == "gx" else (random(n, o).T, random(n, i))


def ours(kind: str, direction: str, *sizes: int) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends.cpu import gemm

    a, b = operands(kind, direction, sizes, lambda *shape: np.random.default_rng(0).standard_normal(shape, np.float32))
    return lambda: gemm.matmul(a, b)


def theirs(kind: str, direction: str, *sizes: int) -> Callable[[], Any]:
    import torch

    torch.set_grad_enabled(False)
    a, b = operands(kind, direction, sizes, torch.randn)
    return lambda: torch.matmul(a, b)


if __name__ == "__main__":
    main("matmul", cases(), ours, theirs)
