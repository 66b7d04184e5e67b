"""Functions of each element: what computes the values, and what the slope."""

from __future__ import annotations

from typing import Any

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded, widened
from deepgpu.ops.formula import FusedGradient
from deepgpu.tensor import Tensor, wrap


class Elementwise(Node):
    """A function of each element: ``value`` computes it, in float32 for the half types; ``slope`` is its derivative."""

    keep_inputs: tuple[int, ...] = (0,)

    def forward(self, x: Any) -> Any:
        return rounded(self.value(widened(x)), x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * self.slope(x)

    def value(self, x: Any) -> Any:
        raise NotImplementedError

    def slope(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class FusedElementwise(Elementwise):
    """One that is a single kernel where the device has it, and its gradient another.

    One that keeps its output in place of its input gets it in ``slope``, or in ``gradient`` in place of that.
    """

    kernel: str
    factors: tuple[float, ...] = ()
    least = 0
    """Elements from which on a kernel is worth its call."""

    def forward(self, x: Any) -> Any:
        y = self.backend.elementwise(self.kernel, x, *self.factors) if x.size >= self.least else None
        return super().forward(x) if y is None else y

    def backward(self, g: Tensor) -> Tensor:
        (at,) = self.saved
        return FusedElementwiseGrad(self)(g, at) if at._data.size >= self.least else self.gradient(g, at)

    def gradient(self, g: Tensor, at: Tensor) -> Tensor:
        """``g`` times the slope."""
        return g * self.slope(at)


class FusedElementwiseGrad(FusedGradient):
    """``g`` times the slope."""

    keep_inputs = (0, 1)

    def __init__(self, function: FusedElementwise) -> None:
        self.function = function

    def forward(self, g: Any, at: Any) -> Any:
        gx = self.backend.elementwise_backward(self.function.kernel, g, at, *self.function.factors)
        if gx is not None:
            return gx
        with no_grad():
            return self.formula(wrap(g, self.backend), wrap(at, self.backend))[0]._data

    def formula(self, g: Tensor, at: Tensor) -> tuple[Tensor]:
        return (self.function.gradient(g, at),)
