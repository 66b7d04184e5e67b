"""The CPU behind the contract: each method goes to the module of its noun."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.backends.base import Array, Pair
from deepgpu.backends.composed import ComposedBackend
from deepgpu.backends.cpu import conv, erf, gemm


class CPUBackend(ComposedBackend):
    """NumPy arrays; kernels are imported, and compiled, at the first call that needs them."""

    type = "cpu"
    index = None
    xp = np

    def from_numpy(self, array: Array) -> Array:
        return array

    def to_numpy(self, array: Array) -> Array:
        return array

    def synchronize(self) -> None:
        """Return at once: every call has finished when it returns."""

    def add_at(self, out: Array, index: Any, values: Array) -> None:
        np.add.at(out, index, values)

    def erf(self, x: Array) -> Array:
        return erf.erf(x)

    def matmul(self, a: Array, b: Array) -> Array:
        return gemm.matmul(a, b)

    def conv2d_fprop(
        self, x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        return conv.fprop(x, w, bias, stride, padding, dilation, groups)

    def conv2d_dgrad(
        self, gy: Array, w: Array, input_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        return conv.dgrad(gy, w, input_size, stride, padding, dilation, groups)

    def conv2d_wgrad(
        self, gy: Array, x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        return conv.wgrad(gy, x, kernel_size, stride, padding, dilation, groups)
