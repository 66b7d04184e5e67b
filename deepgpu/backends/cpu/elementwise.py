"""Functions of each element on the CPU, over flat memory: the layout of the input is the layout of the result."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cpu.copy import compact
from deepgpu.backends.cpu.flat import each_element

WORTH = 1 << 13
"""Elements that are worth a task of their own."""

MODULES = {
    "abs": "magnitude",
    "elu": "elu",
    "exp": "exp",
    "gelu": "gated",
    "hardsigmoid": "gated",
    "hardswish": "gated",
    "huber": "magnitude",
    "leaky_relu": "activation",
    "log": "log",
    "log1p": "log",
    "log_sigmoid": "softplus",
    "mish": "gated",
    "rsqrt": "power",
    "sigmoid": "sigmoid",
    "silu": "gated",
    "softplus": "softplus",
    "sqrt": "power",
    "square": "power",
    "tanh": "sigmoid",
    "tanh_gelu": "gated",
}
"""Where in :mod:`deepgpu.kernels.jit` the kernels of each function are."""


@functools.cache
def _kernels(name: str) -> tuple[Any, Any]:
    """Of a function, and of its gradient; Numba is imported with the first of them."""
    module = importlib.import_module(f"deepgpu.kernels.jit.{MODULES[name]}")
    return getattr(module, name), getattr(module, f"{name}_backward")


def elementwise(name: str, x: Array, *factors: float) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.elementwise`."""
    if x.dtype != np.float32:
        return None
    return each_element(_kernels(name)[0], WORTH, tuple(map(np.float32, factors)), compact(x))


def elementwise_backward(name: str, gy: Array, at: Array, *factors: float) -> Array | None:
    """See :meth:`deepgpu.backends.base.Backend.elementwise_backward`."""
    if not gy.dtype == at.dtype == np.float32:
        return None
    return each_element(_kernels(name)[1], WORTH, tuple(map(np.float32, factors)), compact(at), gy)
