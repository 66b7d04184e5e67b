"""Neuron models of the textbooks: what a unit makes of its induced field ``w . x + b``.

They have no counterpart in PyTorch. Step, ramp, sigmoid and Gaussian are as in Mehrotra, Mohan & Ranka, "Elements of
Artificial Neural Networks" (1997), section 1.2.
"""

from __future__ import annotations

from deepgpu.nn.modules.module import Module
from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor


class Step(Module):
    """``a`` up to the threshold ``c``, ``b`` above it: the unit of McCulloch & Pitts, and of the perceptron.

    The derivative is 0 wherever there is one, so none is recorded: the output does not require grad.
    """

    def __init__(self, a: float = 0.0, b: float = 1.0, c: float = 0.0) -> None:
        super().__init__()
        self.a, self.b, self.c = a, b, c

    def forward(self, input: Tensor) -> Tensor:
        return where(input.detach() > self.c, input.detach() * 0 + self.b, self.a)

    def extra_repr(self) -> str:
        return f"a={self.a}, b={self.b}, c={self.c}"


class Ramp(Module):
    """``a`` up to ``c``, ``b`` from ``d`` on, and the straight line between them; ``c < d``."""

    def __init__(self, a: float = 0.0, b: float = 1.0, c: float = 0.0, d: float = 1.0) -> None:
        super().__init__()
        if not c < d:
            raise ValueError(f"Ramp: `c` takes a number below `d`, but got c={c} and d={d}")
        self.a, self.b, self.c, self.d = a, b, c, d

    def forward(self, input: Tensor) -> Tensor:
        slope = (self.b - self.a) / (self.d - self.c)
        return (input.clamp(self.c, self.d) - self.c) * slope + self.a

    def extra_repr(self) -> str:
        return f"a={self.a}, b={self.b}, c={self.c}, d={self.d}"


class ParametricSigmoid(Module):
    """``offset + scale / (1 + exp(-steepness x))``; with -1, 2 and 2 it is tanh.

    Its derivative follows from its value: ``f' = steepness (f - offset) (1 - (f - offset) / scale)``.
    """

    def __init__(self, offset: float = 0.0, scale: float = 1.0, steepness: float = 1.0) -> None:
        super().__init__()
        self.offset, self.scale, self.steepness = offset, scale, steepness

    def forward(self, input: Tensor) -> Tensor:
        return (input * self.steepness).sigmoid() * self.scale + self.offset

    def extra_repr(self) -> str:
        return f"offset={self.offset}, scale={self.scale}, steepness={self.steepness}"


class Gaussian(Module):
    """``exp(-((x - mean) / sigma)^2 / 2)``: answers to fields near ``mean`` only, with 1 at most."""

    def __init__(self, mean: float = 0.0, sigma: float = 1.0) -> None:
        super().__init__()
        if not sigma > 0:
            raise ValueError(f"Gaussian: `sigma` takes a number above 0, but got {sigma}")
        self.mean, self.sigma = mean, sigma

    def forward(self, input: Tensor) -> Tensor:
        return (((input - self.mean) / self.sigma) ** 2 * -0.5).exp()

    def extra_repr(self) -> str:
        return f"mean={self.mean}, sigma={self.sigma}"
