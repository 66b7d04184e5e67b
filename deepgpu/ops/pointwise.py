"""Functions of one operand, element by element: exponentials, logarithms, roots, the sigmoid, the error function."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.ops.broadcast import floating, refuse_bools
from deepgpu.ops.cast import cast
from deepgpu.ops.elementwise import FusedElementwise
from deepgpu.ops.op import alias, op
from deepgpu.tensor import Tensor, method

TWO_OVER_SQRT_PI = 1.1283791670955126

LARGE = 1 << 12
"""Elements from which on the kernel of a cheap function is worth its call."""


class Exp(FusedElementwise):
    """``e^x``, which is its own derivative."""

    keep_inputs = ()
    keep_outputs = (0,)
    kernel = "exp"

    def value(self, x: Any) -> Any:
        return self.xp.exp(x)

    def slope(self, y: Tensor) -> Tensor:
        return y


class Expm1(Node):
    """``e^x - 1``, exact near 0; the derivative is ``y + 1``."""

    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.expm1(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * (y + 1)


class Exp2(Node):
    """``2^x``, with the derivative ``y log(2)``."""

    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.exp2(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * y * 0.6931471805599453


class Log(FusedElementwise):
    """``log(x)``, with the derivative ``1 / x``."""

    kernel = "log"
    least = LARGE

    def value(self, x: Any) -> Any:
        return self.xp.log(x)

    def gradient(self, g: Tensor, x: Tensor) -> Tensor:
        return g / x


class Log1p(FusedElementwise):
    """``log(1 + x)``, exact near 0."""

    kernel = "log1p"
    least = LARGE

    def value(self, x: Any) -> Any:
        return self.xp.log1p(x)

    def gradient(self, g: Tensor, x: Tensor) -> Tensor:
        return g / (x + 1)


class Log2(Node):
    """``log(x) / log(2)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.log2(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g / (x * 0.6931471805599453)


class Log10(Node):
    """``log(x) / log(10)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.log10(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g / (x * 2.302585092994046)


class Sqrt(FusedElementwise):
    """``sqrt(x)``, with the derivative ``1 / (2 y)``."""

    keep_inputs = ()
    keep_outputs = (0,)
    kernel = "sqrt"
    least = LARGE

    def value(self, x: Any) -> Any:
        return self.xp.sqrt(x)

    def gradient(self, g: Tensor, y: Tensor) -> Tensor:
        return g / (2 * y)


class Rsqrt(FusedElementwise):
    """``1 / sqrt(x)``, with the derivative ``-y^3 / 2``."""

    keep_inputs = ()
    keep_outputs = (0,)
    kernel = "rsqrt"
    least = LARGE

    def value(self, x: Any) -> Any:
        return 1 / self.xp.sqrt(x)

    def gradient(self, g: Tensor, y: Tensor) -> Tensor:
        return g * (-0.5) * y * y * y


class Reciprocal(Node):
    """``1 / x``, with the derivative ``-y^2``."""

    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.reciprocal(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return -g * y * y


class Square(FusedElementwise):
    """``x^2``, with the derivative ``2 x``."""

    kernel = "square"
    least = LARGE

    def value(self, x: Any) -> Any:
        return x * x

    def gradient(self, g: Tensor, x: Tensor) -> Tensor:
        return g * 2 * x


class Abs(FusedElementwise):
    """The size of ``x``; the gradient at 0 is 0."""

    kernel = "abs"
    least = LARGE

    def value(self, x: Any) -> Any:
        return self.xp.abs(x)

    def slope(self, x: Tensor) -> Tensor:
        return x.sign()


class Sigmoid(FusedElementwise):
    """``1 / (1 + exp(-x))``, which is 0 where the exponential overflows."""

    keep_inputs = ()
    keep_outputs = (0,)
    kernel = "sigmoid"

    def value(self, x: Any) -> Any:
        return 1 / (self.xp.exp(-x) + 1)

    def slope(self, y: Tensor) -> Tensor:
        return y * (1 - y)


class Erf(Node):
    """The error function; ``d/dx erf(x) = 2/sqrt(pi) exp(-x^2)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.backend.erf(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * (TWO_OVER_SQRT_PI * (-(x * x)).exp())


@op(method=True, inplace=True)
def exp(input: Tensor) -> Tensor:
    """``e ** input``."""
    return Exp()(floating(input))


@op(method=True, inplace=True)
def expm1(input: Tensor) -> Tensor:
    """``exp(input) - 1``, exact near 0."""
    return Expm1()(floating(input))


@op(method=True, inplace=True)
def exp2(input: Tensor) -> Tensor:
    """``2 ** input``."""
    return Exp2()(floating(input))


@op(method=True, inplace=True)
def log(input: Tensor) -> Tensor:
    """The natural logarithm."""
    return Log()(floating(input))


@op(method=True, inplace=True)
def log1p(input: Tensor) -> Tensor:
    """``log(1 + input)``, exact near 0."""
    return Log1p()(floating(input))


@op(method=True, inplace=True)
def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2."""
    return Log2()(floating(input))


@op(method=True, inplace=True)
def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10."""
    return Log10()(floating(input))


@op(method=True, inplace=True)
def sqrt(input: Tensor) -> Tensor:
    """The square root; NaN for negative elements."""
    return Sqrt()(floating(input))


@op(method=True, inplace=True)
def rsqrt(input: Tensor) -> Tensor:
    """``1 / sqrt(input)``."""
    return Rsqrt()(floating(input))


@op(method=True, inplace=True)
def reciprocal(input: Tensor) -> Tensor:
    """``1 / input``."""
    return Reciprocal()(floating(input))


@op(method=True, inplace=True)
def square(input: Tensor) -> Tensor:
    """``input ** 2``."""
    return Square()(cast(input, dtypes.int64) if input.dtype is dtypes.bool else input)


@op(method=True, inplace=True)
def abs(input: Tensor) -> Tensor:
    """The absolute value; its gradient is 0 at 0."""
    refuse_bools("abs", input)
    return Abs()(input)


@op(method=True, inplace=True)
def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-input))``."""
    return Sigmoid()(floating(input))


@op(method=True, inplace=True)
def erf(input: Tensor) -> Tensor:
    """The error function ``2/sqrt(pi) * integral of exp(-t^2) from 0 to input``."""
    return Erf()(floating(input))


absolute = alias("absolute", abs)
method(abs, name="__abs__")
