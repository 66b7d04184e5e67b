"""The least time that an op can take on a card: its multiplications at the matrix rate, or its bytes at the copy rate.

Bytes count every operand once: what a perfect cache would read and write. Rates are measured on the card by the report
itself, so a share of the roofline says how far a kernel is from what this very card gives.
"""

from __future__ import annotations

import math
from typing import NamedTuple

ITEMSIZE = {"float32": 4, "tf32": 4, "float16": 2, "bfloat16": 2, "float64": 8}
"""Bytes an element; ``tf32`` is float32 with products in TF32."""


class Work(NamedTuple):
    """What an op does at least.

    Attributes
    ----------
    flops
        Multiplications and additions of matrix products; 0 for an op that is bound by memory anyway.
    bytes
        Read and written.
    """

    flops: float
    bytes: float

    def __add__(self, other: object) -> Work:
        assert isinstance(other, Work)
        return Work(self.flops + other.flops, self.bytes + other.bytes)


class Rates(NamedTuple):
    """What a card was measured to do.

    Attributes
    ----------
    flops
        Matrix products a second, by dtype.
    bandwidth
        Bytes a second that a copy reads and writes together.
    """

    flops: dict[str, float]
    bandwidth: float

    def least_seconds(self, work: Work, dtype: str) -> float:
        """The roofline."""
        by_products = work.flops / self.flops[dtype] if work.flops else 0.0
        return max(by_products, work.bytes / self.bandwidth)


def gemm(m: int, n: int, k: int, dtype: str, batch: int = 1) -> Work:
    """``(m, k) @ (k, n)``."""
    return Work(2.0 * batch * m * n * k, float(batch * (m * k + k * n + m * n) * ITEMSIZE[dtype]))


class Conv(NamedTuple):
    """A convolution with square images and windows."""

    batch: int
    channels: int
    filters: int
    size: int
    window: int
    stride: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        """Half the window: the size stays at stride 1."""
        return self.window // 2

    @property
    def output(self) -> int:
        """Height and width of the result."""
        return (self.size + 2 * self.padding - self.window) // self.stride + 1

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """``(K, C / groups, R, S)``."""
        return self.filters, self.channels // self.groups, self.window, self.window

    def __str__(self) -> str:
        kind = f"dw {self.filters}" if self.groups == self.channels > 1 else f"{self.channels}->{self.filters}"
        return f"{self.window}x{self.window}/{self.stride} {kind} @{self.size} x{self.batch}"


def conv(layer: Conv, dtype: str) -> Work:
    """Any direction of a convolution: each has as many products, and the three arrays are its operands and result."""
    image = layer.batch * layer.channels * layer.size**2
    result = layer.batch * layer.filters * layer.output**2
    weight = math.prod(layer.weight_shape)
    products = layer.batch * layer.filters * layer.output**2 * layer.channels // layer.groups * layer.window**2
    return Work(2.0 * products, float((image + result + weight) * ITEMSIZE[dtype]))


def passes(elements: int, arrays: int, dtype: str) -> Work:
    """An op that reads or writes so many arrays of one size, once each."""
    return Work(0.0, float(elements * arrays * ITEMSIZE[dtype]))
