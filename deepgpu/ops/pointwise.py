"""Functions of one operand, element by element."""

from __future__ import annotations

import builtins
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded, widened
from deepgpu.errors import takes
from deepgpu.ops.broadcast import as_dtype, check_shapes, elementwise, fitting, floating, promoted, unbroadcast
from deepgpu.ops.cast import cast
from deepgpu.ops.op import number, op
from deepgpu.tensor import Tensor, method

TWO_OVER_SQRT_PI = 1.1283791670955126


class Exp(Node):
    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.exp(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * y


class Expm1(Node):
    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.expm1(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * (y + 1)


class Exp2(Node):
    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.exp2(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * y * 0.6931471805599453


class Log(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.log(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g / x


class Log1p(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.log1p(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g / (x + 1)


class Log2(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.log2(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g / (x * 0.6931471805599453)


class Log10(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.log10(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g / (x * 2.302585092994046)


class Sqrt(Node):
    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.sqrt(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g / (2 * y)


class Rsqrt(Node):
    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return rounded(1 / self.xp.sqrt(widened(x)), x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * (-0.5) * y * y * y


class Reciprocal(Node):
    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.reciprocal(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return -g * y * y


class Square(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return x * x

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * 2 * x


class Abs(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.abs(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * x.sign()


class Sin(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.sin(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * x.cos()


class Cos(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.cos(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return -g * x.sin()


class Tan(Node):
    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.tan(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * (y * y + 1)


class Asin(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.arcsin(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * (1 - x * x).rsqrt()


class Acos(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.arccos(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return -g * (1 - x * x).rsqrt()


class Atan(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.arctan(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g / (x * x + 1)


class Sinh(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.sinh(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * x.cosh()


class Cosh(Node):
    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.cosh(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * x.sinh()


class Tanh(Node):
    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.xp.tanh(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * (1 - y * y)


class Sigmoid(Node):
    """``1 / (1 + exp(-x))``, which is 0 where the exponential overflows."""

    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return rounded(1 / (self.xp.exp(-widened(x)) + 1), x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return g * (y * (1 - y))


class Erf(Node):
    """The error function; ``d/dx erf(x) = 2/sqrt(pi) exp(-x^2)``."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.backend.erf(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * (TWO_OVER_SQRT_PI * (-(x * x)).exp())


class Step(Node):
    """Piecewise constant functions: the gradient is zero."""

    def __init__(self, ufunc: str) -> None:
        self.ufunc = ufunc

    def forward(self, x: Any) -> Any:
        return getattr(self.xp, self.ufunc)(x)

    def backward(self, g: Tensor) -> Tensor:
        return g.new_zeros(g.shape)


class Round(Step):
    """To a number of decimal places, which may be negative."""

    def __init__(self, decimals: int) -> None:
        super().__init__("rint")
        self.decimals = decimals

    def forward(self, x: Any) -> Any:
        wide = widened(x)
        scale = wide.dtype.type(10.0 ** builtins.abs(self.decimals))
        up, down = (self.xp.multiply, self.xp.divide) if self.decimals > 0 else (self.xp.divide, self.xp.multiply)
        return rounded(down(self.xp.rint(up(wide, scale)), scale), x.dtype)


class Sign(Step):
    """-1, 0 or 1; a NaN is neither above nor below 0, and gives 0."""

    def __init__(self) -> None:
        super().__init__("sign")

    def forward(self, x: Any) -> Any:
        if x.dtype.kind in "bu":
            return x != 0 if x.dtype.kind == "b" else self.xp.sign(x)
        return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)


class Clamp(Node):
    """``min`` and ``max`` are numbers or None. The gradient passes where ``min <= x <= max``."""

    keep_inputs = (0,)

    def __init__(self, low: Any, high: Any) -> None:
        self.low = low
        self.high = high

    def forward(self, x: Any) -> Any:
        y = x if self.low is None else self.xp.maximum(x, fitting(self.low, x.dtype, "clamp", "min"))
        return y if self.high is None else self.xp.minimum(y, fitting(self.high, x.dtype, "clamp", "max"))

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g.masked_fill(_outside(x, self.low, self.high), 0.0)


def _outside(x: Tensor, low: Any, high: Any) -> Tensor:
    below = None if low is None else x < low
    if high is None:
        assert below is not None
        return below
    above = x > high
    return above if below is None else below | above


class ClampByTensors(Node):
    """Bounds are tensors or None. Where ``min > max`` the result is ``max``."""

    keep_inputs = (0, 1, 2)

    def forward(self, x: Any, low: Any, high: Any) -> Any:
        self.shapes = [None if a is None else a.shape for a in (x, low, high)]
        y = x if low is None else elementwise("clamp", self.xp.maximum, x, low)
        return y if high is None else elementwise("clamp", self.xp.minimum, y, high)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        x, low, high = self.saved
        gx = g.masked_fill(_outside(x, low, high), 0.0)
        g_low = g_high = None
        if low is not None and self.needs_input_grad[1]:
            takes_low = x < low if high is None else (x < low) & (low < high)
            g_low = unbroadcast(g.masked_fill(~takes_low, 0.0), self.shapes[1])
        if high is not None and self.needs_input_grad[2]:
            takes_high = x > high if low is None else (x > high) | (high < low)
            g_high = unbroadcast(g.masked_fill(~takes_high, 0.0), self.shapes[2])
        return unbroadcast(gx, self.shapes[0]), g_low, g_high


class Extremum(Node):
    """Elementwise maximum or minimum of two; equal elements share the gradient, as in PyTorch."""

    keep_inputs = (0, 1)

    def __init__(self, ufunc: str) -> None:
        self.ufunc = ufunc

    def forward(self, a: Any, b: Any) -> Any:
        return elementwise(self.ufunc, getattr(self.xp, self.ufunc), a, b)

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        a_loses = a < b if self.ufunc == "maximum" else a > b
        b_loses = b < a if self.ufunc == "maximum" else b > a
        shared = g * (1 - 0.5 * (a == b).to(g.dtype))
        ga = unbroadcast(shared.masked_fill(a_loses, 0.0), a._data.shape)
        return ga, unbroadcast(shared.masked_fill(b_loses, 0.0), b._data.shape)


class Where(Node):
    """Choose by a mask."""

    keep_inputs = (0,)

    def forward(self, mask: Any, a: Any, b: Any) -> Any:
        self.shapes = getattr(a, "shape", None), getattr(b, "shape", None)
        # where() would promote a Python number by NumPy's rules, not by ours
        if not hasattr(a, "dtype"):
            a = fitting(a, b.dtype, "where", "input")
        elif not hasattr(b, "dtype"):
            b = fitting(b, a.dtype, "where", "other")
        return elementwise("where", self.xp.where, mask, self.xp.asarray(a), self.xp.asarray(b))

    def backward(self, g: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (mask,) = self.saved
        a, b = self.shapes
        need = self.needs_input_grad
        ga = unbroadcast(where(mask, g, 0.0), a) if need[1] else None
        gb = unbroadcast(where(mask, 0.0, g), b) if need[2] else None
        return None, ga, gb


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
    _refuse_bool(input, "abs")
    return Abs()(input)


def _refuse_bool(input: Tensor, name: str) -> None:
    if input.dtype is dtypes.bool:
        raise RuntimeError(takes(name, "input", "numbers", "a bool tensor; convert it, e.g. with `.long()`"))


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
def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-input))``."""
    return Sigmoid()(floating(input))


@op(method=True, inplace=True)
def erf(input: Tensor) -> Tensor:
    """The error function ``2/sqrt(pi) * integral of exp(-t^2) from 0 to input``."""
    return Erf()(floating(input))


def _whole(ufunc: str, input: Tensor, name: str) -> Tensor:
    """Rounding leaves integers as they are."""
    _refuse_bool(input, name)
    return Step(ufunc)(input) if input.dtype.is_floating_point else input.clone()


@op(method=True, inplace=True)
def floor(input: Tensor) -> Tensor:
    """The largest integer not above each element."""
    return _whole("floor", input, "floor")


@op(method=True, inplace=True)
def ceil(input: Tensor) -> Tensor:
    """The smallest integer not below each element."""
    return _whole("ceil", input, "ceil")


@op(method=True, inplace=True)
def trunc(input: Tensor) -> Tensor:
    """The integer part of each element."""
    return _whole("trunc", input, "trunc")


@op(method=True, inplace=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Round to the nearest integer, half to even; or to ``decimals`` places."""
    if decimals == 0 or not input.dtype.is_floating_point:
        return _whole("rint", input, "round")
    return Round(decimals)(input)


@op(method=True, inplace=True)
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1; 0 for NaN."""
    return Sign()(input)


@op(method=True, inplace=True)
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Limit every element to ``[min, max]``, numbers or tensors; None is no limit. ``max`` wins over ``min``."""
    if min is None and max is None:
        raise RuntimeError(takes("clamp", "min", "a number or a tensor, unless `max` is given", "None for both"))
    low, high = number(min), number(max)
    d = dtypes.result_type(input, *[b for b in (low, high) if b is not None])
    if d is dtypes.bool and low is not None and high is not None:  # PyTorch takes one bound of bools, not both
        _refuse_bool(input, "clamp")
    x = as_dtype(input, d)
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return ClampByTensors()(x, *[None if b is None else as_dtype(_like(b, x), d) for b in (low, high)])
    return Clamp(low, high)(x)


def _like(x: Any, other: Tensor) -> Tensor:
    return x if isinstance(x, Tensor) else other.new_full((), x)


@op(method=True)
def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two elements; NaN if either is. Equal elements share the gradient."""
    return _extremum("maximum", input, other)


@op(method=True)
def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two elements; NaN if either is. Equal elements share the gradient."""
    return _extremum("minimum", input, other)


def _extremum(name: str, input: Tensor, other: Tensor) -> Tensor:
    if not isinstance(other, Tensor):
        raise TypeError(takes(name, "other", "a tensor (`clamp` takes numbers)", f"{other!r} of {type(other)}"))
    return Extremum(name)(*promoted(name, input, other))


@op
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition``, else ``other``; with a condition only, the indices where it holds."""
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition.dtype not in (dtypes.bool, dtypes.uint8):
        raise RuntimeError(takes("where", "condition", "a bool tensor", condition.dtype))
    a, b = promoted("where", input, other)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        a = condition.new_full((), a, dtype=dtypes.result_type(a, b))
    return Where()(cast(condition, dtypes.bool), a, b)


@method(name="where")
def _where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """``self`` where ``condition``, else ``other``."""
    return where(condition, self, other)


@op(method=True, inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``input`` with ``value``, a number or a 0-d tensor, where ``mask``."""
    if mask.dtype is not dtypes.bool:
        raise RuntimeError(takes("masked_fill", "mask", "a bool tensor", mask.dtype))
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise RuntimeError(takes("masked_fill", "value", "a number or a 0-d tensor", f"shape {tuple(value.shape)}"))
    else:
        value = input.new_full((), fitting(number(value), input._data.dtype, "masked_fill", "value"))
    fill = as_dtype(value, input.dtype)
    if input._data.shape != mask._data.shape:
        check_shapes("masked_fill", input._data.shape, mask._data.shape)
    return Where()(mask, fill, input)


absolute, arcsin, arccos, arctan, clip, fix = abs, asin, acos, atan, clamp, trunc
for _alias, _function in [
    ("absolute", abs),
    ("arcsin", asin),
    ("arccos", acos),
    ("arctan", atan),
    ("clip", clamp),
    ("fix", trunc),
    ("__abs__", abs),
]:
    method(_function, name=_alias)


@method
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """``clamp(input, min=min)``."""
    return clamp(input, min=min)


@method
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """``clamp(input, max=max)``."""
    return clamp(input, max=max)
