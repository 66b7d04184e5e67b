"""Functions with a name of their own: erfc, erfinv, logit, lgamma, digamma, polygamma."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepgpu.autograd.node import Node
from deepgpu.ops.broadcast import floating
from deepgpu.ops.op import op
from deepgpu.ops.pointwise import TWO_OVER_SQRT_PI
from deepgpu.tensor import Tensor, method


class Special(Node):
    """Computed as float64 and rounded once."""

    keep_inputs: tuple[int, ...] = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.asarray(self.value(x.astype(np.float64))).astype(x.dtype)

    def value(self, x: Any) -> Any:
        raise NotImplementedError


class Erfc(Special):
    """``1 - erf`` near 0; from 2 on Laplace's continued fraction, whose 60 terms are exact to the last digit there."""

    def value(self, x: Any) -> Any:
        xp = self.xp
        size = xp.maximum(xp.abs(x), 2.0)
        fraction = size
        for k in range(60, 0, -1):
            fraction = size + (k / 2) / fraction
        tail = xp.exp(-size * size) / (math.sqrt(math.pi) * fraction)
        near = 1 - self.backend.erf(xp.asarray(x))
        y = xp.where(xp.abs(x) < 2, near, xp.where(x < 0, 2 - tail, tail))
        return xp.where(xp.isnan(x), x, y)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * (-TWO_OVER_SQRT_PI * (-(x * x)).exp())


class Erfinv(Special):
    """Winitzki's approximation, made exact by iteration."""

    keep_inputs: tuple[int, ...] = ()
    keep_outputs = (0,)

    def value(self, x: Any) -> Any:
        xp = self.xp
        size = xp.abs(x)
        log = xp.log1p(-(xp.minimum(size, 1 - 1e-16) ** 2))
        first = 2 / (math.pi * 0.147) + log / 2
        y = xp.sqrt(xp.sqrt(first * first - log / 0.147) - first)
        erfc = Erfc()
        erfc.xp, erfc.backend = xp, self.backend
        for _ in range(3):  # Halley's steps; the distance to 1 keeps its digits where the value itself would not
            error = (1 - size) - erfc.value(y)
            y = y - error / (TWO_OVER_SQRT_PI * xp.exp(-y * y) + y * error)
        y = xp.copysign(xp.where(size == 1, xp.inf, y), x)
        return xp.where(size <= 1, y, xp.nan)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * ((y * y).exp() / TWO_OVER_SQRT_PI)


SERIES = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
"""Bernoulli's numbers from the second on, every other one."""

SHIFT = 12
"""From here on eight terms of the asymptotic series give all digits of float64."""


class Lgamma(Special):
    """Stirling's series after :data:`SHIFT` steps of the recurrence; by reflection below 1/2."""

    def value(self, x: Any) -> Any:
        xp = self.xp
        z = xp.where(x < 0.5, 1 - x, x)
        log_product = xp.zeros_like(z)
        moved = z
        for _ in range(SHIFT):
            small = moved < SHIFT
            log_product = log_product + xp.where(small, xp.log(xp.where(small, moved, 1.0)), 0.0)
            moved = xp.where(small, moved + 1, moved)
        y = (moved - 0.5) * xp.log(moved) - moved + 0.5 * math.log(2 * math.pi) - log_product
        power = 1 / moved
        for k, b in enumerate(SERIES, 1):
            y = y + b / (2 * k * (2 * k - 1)) * power
            power = power / (moved * moved)
        y = xp.where(xp.isinf(moved), xp.inf, y)
        reflected = math.log(math.pi) - xp.log(xp.abs(xp.sin(math.pi * (x - xp.rint(x))))) - y
        y = xp.where(x < 0.5, reflected, y)
        y = xp.where((x <= 0) & (x == xp.floor(x)), xp.inf, y)
        return xp.where((x == 1) | (x == 2), 0.0, y)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * digamma(x)


class Digamma(Special):
    """The asymptotic series after steps of the recurrence; by reflection below 0."""

    def value(self, x: Any) -> Any:
        xp = self.xp
        z = xp.where(x < 0, 1 - x, x)
        y = xp.zeros_like(z)
        for _ in range(SHIFT):
            small = z < SHIFT
            y = y - xp.where(small, 1 / z, 0.0)
            z = xp.where(small, z + 1, z)
        y = y + xp.log(z) - 0.5 / z
        power = 1 / (z * z)
        for k, b in enumerate(SERIES, 1):
            y = y - b / (2 * k) * power
            power = power / (z * z)
        y = xp.where(x < 0, y - math.pi / xp.tan(math.pi * (x - xp.rint(x))), y)
        y = xp.where((x < 0) & (x == xp.floor(x)), xp.nan, y)
        return xp.where(x == 0, xp.copysign(xp.inf, -x), y)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * polygamma(1, x)


class Polygamma(Special):
    """The n-th derivative of digamma: ``(-1)^(n+1) n! sum over k of (x + k)^-(n+1)``, the tail by Euler-Maclaurin."""

    def __init__(self, n: int) -> None:
        self.n = n

    def value(self, x: Any) -> Any:
        xp, n = self.xp, self.n
        total, z = xp.zeros_like(x), x
        for _ in range(2 * SHIFT):
            total = total + z ** -(n + 1.0)
            z = z + 1
        total = total + z**-n / n + 0.5 * z ** -(n + 1.0)
        rising = 1.0  # (n + 1) (n + 2) ... / (2k)!
        for k, b in enumerate(SERIES, 1):
            rising *= (n + 2 * k - 1) / (2 * k) * ((n + 2 * k - 2) / (2 * k - 1) if k > 1 else 1.0)
            total = total + b * rising * z ** -(n + 2.0 * k)
        return (-1.0) ** (n + 1) * math.factorial(n) * total

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * polygamma(self.n + 1, x)


@op(method=True, inplace=True)
def erfc(input: Tensor) -> Tensor:
    """``1 - erf(input)``, with all digits where that is tiny."""
    return Erfc()(floating(input))


@op(method=True, inplace=True)
def erfinv(input: Tensor) -> Tensor:
    """The inverse of the error function: infinite at -1 and 1, NaN outside."""
    return Erfinv()(floating(input))


@op(method=True, inplace=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """``log(input / (1 - input))``, of the input limited to ``[eps, 1 - eps]`` if that is given; else NaN outside."""
    x = floating(input)
    if eps is not None:
        x = x.clamp(eps, 1 - eps)
    return (x / (1 - x)).log()


@op(method=True, inplace=True)
def lgamma(input: Tensor) -> Tensor:
    """The logarithm of the absolute value of the gamma function."""
    return Lgamma()(floating(input))


@op(method=True, inplace=True)
def digamma(input: Tensor) -> Tensor:
    """The derivative of :func:`lgamma`."""
    return Digamma()(floating(input))


@op
def polygamma(n: int, input: Tensor) -> Tensor:
    """The ``n``-th derivative of :func:`digamma`, of positive numbers."""
    return digamma(input) if n == 0 else Polygamma(n)(floating(input))


@method(name="polygamma")
def _polygamma(self: Tensor, n: int) -> Tensor:
    """:func:`polygamma`; the method takes the order behind the tensor."""
    return polygamma(n, self)
