"""Circular and hyperbolic functions, in radians."""

from __future__ import annotations

import math
from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded, widened
from deepgpu.ops.broadcast import floating
from deepgpu.ops.elementwise import FusedElementwise
from deepgpu.ops.op import alias, op
from deepgpu.tensor import Tensor


class Sin(Node):
    """``sin(x)``, with the derivative ``cos(x)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.sin(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * x.cos()


class Cos(Node):
    """``cos(x)``, with the derivative ``-sin(x)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.cos(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return -g * x.sin()


class Tan(Node):
    """``tan(x)``, with the derivative ``1 + y^2``."""

    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.tan(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * (y * y + 1)


class Asin(Node):
    """The inverse of sine, with the derivative ``1 / sqrt(1 - x^2)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.arcsin(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * (1 - x * x).rsqrt()


class Acos(Node):
    """The inverse of cosine, with the derivative ``-1 / sqrt(1 - x^2)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.arccos(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return -g * (1 - x * x).rsqrt()


class Atan(Node):
    """The inverse of tangent, with the derivative ``1 / (1 + x^2)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.arctan(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g / (x * x + 1)


class Sinh(Node):
    """``(e^x - e^-x) / 2``, with the derivative ``cosh(x)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.sinh(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * x.cosh()


class Cosh(Node):
    """``(e^x + e^-x) / 2``, with the derivative ``sinh(x)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.cosh(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * x.sinh()


class Asinh(Node):
    """The inverse of sinh, with the derivative ``1 / sqrt(x^2 + 1)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.arcsinh(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * (x * x + 1).rsqrt()


class Acosh(Node):
    """The inverse of cosh, with the derivative ``1 / sqrt(x^2 - 1)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.arccosh(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * (x * x - 1).rsqrt()


class Atanh(Node):
    """The inverse of tanh, with the derivative ``1 / (1 - x^2)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.arctanh(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g / (1 - x * x)


class Sinc(Node):
    """``sin(pi x) / (pi x)``, which is 1 at 0, where its slope is 0."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return rounded(self.xp.sinc(widened(x)), x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        angle = x * math.pi
        slope = (angle * angle.cos() - angle.sin()) / (angle * x)
        return g * slope.masked_fill(angle * x == 0, 0.0)


class Tanh(FusedElementwise):
    """``tanh(x)``, with the derivative ``1 - y^2``."""

    keep_inputs = ()
    keep_outputs = (0,)
    kernel = "tanh"

    def value(self, x: Any) -> Any:
        return self.xp.tanh(x)

    def slope(self, y: Tensor) -> Tensor:
        return 1 - y * y


@op(method=True, inplace=True)
def sin(input: Tensor) -> Tensor:
    """The sine of an angle in radians."""
    return Sin()(floating(input))


@op(method=True, inplace=True)
def cos(input: Tensor) -> Tensor:
    """The cosine of an angle in radians."""
    return Cos()(floating(input))


@op(method=True, inplace=True)
def tan(input: Tensor) -> Tensor:
    """The tangent of an angle in radians."""
    return Tan()(floating(input))


@op(method=True, inplace=True)
def asin(input: Tensor) -> Tensor:
    """The arc sine, in radians."""
    return Asin()(floating(input))


@op(method=True, inplace=True)
def acos(input: Tensor) -> Tensor:
    """The arc cosine, in radians."""
    return Acos()(floating(input))


@op(method=True, inplace=True)
def atan(input: Tensor) -> Tensor:
    """The arc tangent, in radians."""
    return Atan()(floating(input))


@op(method=True, inplace=True)
def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine."""
    return Sinh()(floating(input))


@op(method=True, inplace=True)
def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine."""
    return Cosh()(floating(input))


@op(method=True, inplace=True)
def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return Tanh()(floating(input))


@op(method=True, inplace=True)
def asinh(input: Tensor) -> Tensor:
    """The inverse hyperbolic sine."""
    return Asinh()(floating(input))


@op(method=True, inplace=True)
def acosh(input: Tensor) -> Tensor:
    """The inverse hyperbolic cosine; NaN below 1."""
    return Acosh()(floating(input))


@op(method=True, inplace=True)
def atanh(input: Tensor) -> Tensor:
    """The inverse hyperbolic tangent; NaN outside of [-1, 1]."""
    return Atanh()(floating(input))


@op(method=True, inplace=True)
def sinc(input: Tensor) -> Tensor:
    """``sin(pi input) / (pi input)``, which is 1 at 0."""
    return Sinc()(floating(input))


@op(method=True, inplace=True)
def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians."""
    return floating(input) * (math.pi / 180)


@op(method=True, inplace=True)
def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees."""
    return floating(input) * (180 / math.pi)


arcsin = alias("arcsin", asin)
arccos = alias("arccos", acos)
arctan = alias("arctan", atan)
arcsinh = alias("arcsinh", asinh)
arccosh = alias("arccosh", acosh)
arctanh = alias("arctanh", atanh)
