"""Functions of each element that are one kernel, forward and backward, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

SHAPES = {"128x256": (128, 256), "64x64 @32": (64, 64, 32, 32)}
QUICK = {"128x256"}
SMALL = ("exp", "gelu", "square", "tanh")
"""Functions of which the small size is timed, where what counts is to start."""

FACTORS: dict[str, tuple[float, ...]] = {
    "abs": (),
    "elu": (1.0, 1.0, 1.0),
    "exp": (),
    "gelu": (),
    "hardswish": (),
    "huber": (1.0,),
    "leaky_relu": (0.2,),
    "log": (),
    "log_sigmoid": (),
    "mish": (),
    "sigmoid": (),
    "silu": (),
    "softplus": (1.0, 20.0),
    "sqrt": (),
    "square": (),
    "tanh": (),
    "tanh_gelu": (),
}

POSITIVE = ("log", "sqrt")
"""Functions of positive numbers."""


def cases() -> list[Case]:
    return [
        Case(f"{name}{' backward' if backward else ''} {size}", (name, backward, shape), quick=size in QUICK)
        for size, shape in SHAPES.items()
        for name in FACTORS
        for backward in (False, True)
        if name in SMALL or size not in QUICK
    ]


def ours(name: str, backward: bool, shape: tuple[int, ...]) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry

    cpu, rng, factors = registry.get("cpu"), np.random.default_rng(0), FACTORS[name]
    x, gy = (rng.standard_normal(shape, np.float32) for _ in range(2))
    x = abs(x) if name in POSITIVE else x
    if backward:
        return lambda: cpu.elementwise_backward(name, gy, x, *factors)
    return lambda: cpu.elementwise(name, x, *factors)


def theirs(name: str, backward: bool, shape: tuple[int, ...]) -> Callable[[], Any]:
    import torch
    from torch.nn import functional as F

    aten, x, gy, zeros = torch.ops.aten, torch.randn(shape), torch.randn(shape), torch.zeros(shape)
    x = abs(x) if name in POSITIVE else x
    forward = {
        "abs": lambda: torch.abs(x),
        "elu": lambda: F.elu(x),
        "exp": lambda: torch.exp(x),
        "gelu": lambda: F.gelu(x),
        "hardswish": lambda: F.hardswish(x),
        "huber": lambda: F.smooth_l1_loss(x, zeros, reduction="none"),
        "leaky_relu": lambda: F.leaky_relu(x, 0.2),
        "log": lambda: torch.log(x),
        "log_sigmoid": lambda: F.logsigmoid(x),
        "mish": lambda: F.mish(x),
        "sigmoid": lambda: torch.sigmoid(x),
        "silu": lambda: F.silu(x),
        "softplus": lambda: F.softplus(x),
        "sqrt": lambda: torch.sqrt(x),
        "square": lambda: torch.square(x),
        "tanh": lambda: torch.tanh(x),
        "tanh_gelu": lambda: F.gelu(x, approximate="tanh"),
    }
    aside = aten.log_sigmoid_forward(x)[1]
    gradient = {
        "abs": lambda: gy * torch.sign(x),
        "elu": lambda: aten.elu_backward(gy, 1.0, 1.0, 1.0, False, x),
        "exp": lambda: gy * x,
        "gelu": lambda: aten.gelu_backward(gy, x),
        "hardswish": lambda: aten.hardswish_backward(gy, x),
        "huber": lambda: aten.smooth_l1_loss_backward(gy, x, zeros, 0, 1.0),
        "leaky_relu": lambda: aten.leaky_relu_backward(gy, x, 0.2, False),
        "log": lambda: gy / x,
        "log_sigmoid": lambda: aten.log_sigmoid_backward(gy, x, aside),
        "mish": lambda: aten.mish_backward(gy, x),
        "sigmoid": lambda: aten.sigmoid_backward(gy, x),
        "silu": lambda: aten.silu_backward(gy, x),
        "softplus": lambda: aten.softplus_backward(gy, x, 1.0, 20.0),
        "sqrt": lambda: gy / (2 * x),
        "square": lambda: gy * 2 * x,
        "tanh": lambda: aten.tanh_backward(gy, x),
        "tanh_gelu": lambda: aten.gelu_backward(gy, x, approximate="tanh"),
    }
    return (gradient if backward else forward)[name]


if __name__ == "__main__":
    main("elementwise", cases(), ours, theirs)
