"""Functions of two operands beyond arithmetic: fmod, hypot, logaddexp, xlogy, lerp, addcmul, gcd, shifts, ..."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.backends.precision import rounded, widened
from deepgpu.errors import takes
from deepgpu.ops.arithmetic import Binary, add, div, mul, pow, refuse_zero_divisor
from deepgpu.ops.assign import assign
from deepgpu.ops.broadcast import as_dtype, promoted, refuse_bools
from deepgpu.ops.cast import cast
from deepgpu.ops.comparison import Compare
from deepgpu.ops.op import alias, op
from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor, method

Grads = tuple[Tensor | None, Tensor | None]


class Fmod(Binary):
    """``a - b trunc(a / b)``, with the sign of ``a``."""

    op = "fmod"
    keep_inputs = (0, 1)

    def compute(self, a: Any, b: Any) -> Any:
        refuse_zero_divisor(self, b)
        return self.xp.fmod(a, b)

    def partial(self, g: Tensor) -> Grads:
        a, b = self.saved
        return g, -g * div(a, b, rounding_mode="trunc") if self.needs_input_grad[1] else None


class Hypot(Binary):
    """``sqrt(a^2 + b^2)`` without overflow; its gradient is ``(a, b)`` over the result."""

    op = "hypot"
    keep_inputs = (0, 1)
    keep_outputs = (0,)

    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.hypot(a, b)

    def partial(self, g: Tensor) -> Grads:
        a, b, y = self.saved
        return g * (a / y), g * (b / y)


class Atan2(Binary):
    """The angle of ``(b, a)``; its gradient is ``(b, -a) / (a^2 + b^2)``."""

    op = "atan2"
    keep_inputs = (0, 1)

    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.arctan2(a, b)

    def partial(self, g: Tensor) -> Grads:
        a, b = self.saved
        share = g / (a * a + b * b)
        return share * b, -share * a


class Logaddexp(Binary):
    """``log(base^a + base^b)`` for base e or 2."""

    keep_inputs = (0, 1)

    def __init__(self, op: str) -> None:
        self.op = op
        self.log_base = 1.0 if op == "logaddexp" else 0.6931471805599453

    def compute(self, a: Any, b: Any) -> Any:
        return rounded(getattr(self.xp, self.op)(widened(a), widened(b)), a.dtype)

    def partial(self, g: Tensor) -> Grads:
        a, b = self.saved
        share = ((a - b) * self.log_base).sigmoid()
        return g * share, g * ((b - a) * self.log_base).sigmoid()


class Xlogy(Binary):
    """``a log(b)``, which is 0 where ``a`` is 0 (unless ``b`` is NaN)."""

    op = "xlogy"
    keep_inputs = (0, 1)

    def compute(self, a: Any, b: Any) -> Any:
        dtype = a.dtype
        a, b = widened(a), widened(b)
        y = a * self.xp.log(b)
        return rounded(self.xp.where((a == 0) & ~self.xp.isnan(b), y.dtype.type(0), y), dtype)

    def partial(self, g: Tensor) -> Grads:
        a, b = (x if isinstance(x, Tensor) else g.new_full((), x) for x in self.saved)
        ga = (g * b.log()).masked_fill((a == 0) & (b <= 0), 0.0) if self.needs_input_grad[0] else None
        return ga, g * a / b if self.needs_input_grad[1] else None


class Copysign(Binary):
    """The size of ``a`` with the sign of ``b``; only ``a`` has a gradient."""

    op = "copysign"
    keep_inputs = (0,)
    keep_outputs = (0,)

    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.copysign(a, b)

    def partial(self, g: Tensor) -> Grads:
        a, y = self.saved
        ratio = (y.detach() / a.detach()).masked_fill(a == 0, 0.0) if isinstance(a, Tensor) else None
        return None if ratio is None else g * ratio, g.new_zeros(g.shape)


class FiniteExtremum(Binary):
    """``fmax`` and ``fmin``: a NaN loses against a number; of equal elements the first has the gradient."""

    keep_inputs = (0, 1)

    def __init__(self, op: str) -> None:
        self.op = op

    def compute(self, a: Any, b: Any) -> Any:
        return getattr(self.xp, self.op)(a, b)

    def partial(self, g: Tensor) -> Grads:
        a, b = self.saved
        first = (a >= b if self.op == "fmax" else a <= b) | b.isnan()
        return g.masked_fill(~first, 0.0), g.masked_fill(first, 0.0)


@op(method=True, inplace=True)
def fmod(input: Tensor, other: Any) -> Tensor:
    """The remainder of ``input / other`` rounded towards zero: it has the sign of ``input``.

    Raises
    ------
    RuntimeError
        If integers are divided by 0.
    """
    refuse_bools("fmod", *promoted("fmod", input, other))
    return Fmod()(*promoted("fmod", input, other))


@op(method=True, inplace=True)
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """``sqrt(input^2 + other^2)`` without overflow."""
    return Hypot()(*_floats("hypot", input, other))


def _floats(name: str, a: Tensor, b: Tensor) -> tuple[Any, Any]:
    """Both tensors in their promoted dtype, which must be floating-point."""
    if not isinstance(b, Tensor):
        raise TypeError(takes(name, "other", "a tensor", f"{b!r} of type {type(b).__name__}"))
    x, y = promoted(name, a, b)
    if not x.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "floating-point tensors", x.dtype))
    return x, y


@op(method=True, inplace=True)
def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle of the points ``(other, input)`` in the plane, in (-pi, pi]."""
    return Atan2()(*promoted("atan2", input, other, floating=True))


@op(method=True)
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """``log(exp(input) + exp(other))`` without overflow."""
    return Logaddexp("logaddexp")(*_floats("logaddexp", input, other))


@op(method=True)
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """``log2(2^input + 2^other)`` without overflow."""
    return Logaddexp("logaddexp2")(*_floats("logaddexp2", input, other))


@op(method=True, inplace=True)
def xlogy(input: Any, other: Any) -> Tensor:
    """``input * log(other)``, which is 0 where ``input`` is 0; either may be a number."""
    return Xlogy()(*promoted("xlogy", input, other, floating=True))


@op(method=True, inplace=True)
def copysign(input: Tensor, other: Any) -> Tensor:
    """The magnitude of ``input`` with the sign of ``other``, that of zeros too."""
    return Copysign()(*promoted("copysign", input, other, floating=True))


@op(method=True)
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two elements; a NaN loses against a number."""
    return _finite_extremum("fmax", input, other)


@op(method=True)
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two elements; a NaN loses against a number."""
    return _finite_extremum("fmin", input, other)


def _finite_extremum(name: str, input: Tensor, other: Tensor) -> Tensor:
    if not isinstance(other, Tensor):
        raise TypeError(takes(name, "other", "a tensor", f"{other!r} of type {type(other).__name__}"))
    return FiniteExtremum(name)(*promoted(name, input, other))


@op(method=True)
def float_power(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent``, computed as float64."""
    a, b = promoted("float_power", input, exponent)
    return pow(*[as_dtype(x, dtypes.float64) if isinstance(x, Tensor) else float(x) for x in (a, b)])


@method
def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """In-place version of :func:`float_power`, for float64 tensors."""
    if self.dtype is not dtypes.float64:
        raise RuntimeError(takes("float_power_", "self", "a float64 tensor, as the result is one", self.dtype))
    return assign(self, float_power(self, exponent), "float_power_")


@op(method=True, inplace=True)
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """``input * 2 ** other``."""
    return mul(input, pow(2.0, other))


# --- three operands ---------------------------------------------------------------------------------------------------


@op(method=True, inplace=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """``input + weight (end - input)``, exact at weights 0 and 1.

    Parameters
    ----------
    weight
        A number, or a tensor that broadcasts.
    """
    for argument, x in (("end", end), ("weight", weight)):
        if isinstance(x, Tensor) and x.dtype is not input.dtype:
            raise RuntimeError(takes("lerp", argument, f"the dtype of `input`, {input.dtype}", x.dtype))
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes("lerp", "input", "a floating-point tensor", input.dtype))
    span = end - input
    if not isinstance(weight, Tensor):
        return input + weight * span if abs(weight) < 0.5 else end - (1 - weight) * span
    return where(weight.abs() < 0.5, input + weight * span, end - (1 - weight) * span)


@op(method=True, inplace=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``; integers take the whole part of ``value``."""
    product = mul(tensor1, tensor2)
    if value != 1:
        product = mul(product, value if product.dtype.is_floating_point else int(value))
    refuse_bools("addcmul", *promoted("addcmul", input, product))
    return add(input, product)


@op(method=True, inplace=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``, of floating-point numbers."""
    if not tensor1.dtype.is_floating_point and not tensor2.dtype.is_floating_point:
        raise RuntimeError(
            takes("addcdiv", "tensor1", "a floating-point dividend or divisor", f"{tensor1.dtype} and {tensor2.dtype}")
        )
    quotient = div(tensor1, tensor2)
    return add(input, mul(quotient, value) if value != 1 else quotient)


# --- without gradient -------------------------------------------------------------------------------------------------


@op(method=True, inplace=True, differentiable=False)
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where ``input`` is negative, 1 where it is positive, ``values`` where it is 0."""
    if input.dtype is not values.dtype:
        raise RuntimeError(takes("heaviside", "values", f"the dtype of `input`, {input.dtype}", values.dtype))
    x, v = input.detach(), values.detach()
    return where(x == 0, v, cast(x > 0, input.dtype))


@op(method=True, inplace=True, differentiable=False)
def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number after ``input`` in the direction of ``other``."""
    return Compare("nextafter", "nextafter")(*_floats("nextafter", input, other))


def _integers(name: str, input: Any, other: Any) -> tuple[Any, Any]:
    a, b = promoted(name, input, other)
    for x in (a, b):
        if isinstance(x, Tensor) and (x.dtype.is_floating_point or x.dtype is dtypes.bool):
            raise RuntimeError(takes(name, "input", "integer tensors", x.dtype))
        if isinstance(x, float):
            raise RuntimeError(takes(name, "other", "an integer", x))
    return a, b


@op(method=True, inplace=True, differentiable=False)
def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisor of integers."""
    return Compare("gcd", "gcd")(*_integers("gcd", input, other))


@op(method=True, inplace=True, differentiable=False)
def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiple of integers."""
    return Compare("lcm", "lcm")(*_integers("lcm", input, other))


@op(method=True, inplace=True, differentiable=False)
def bitwise_left_shift(input: Any, other: Any) -> Tensor:
    """The bits of integers moved up: ``input * 2 ** other``, without what leaves at the top."""
    return Compare("left_shift", "bitwise_left_shift")(*_integers("bitwise_left_shift", input, other))


@op(method=True, inplace=True, differentiable=False)
def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    """The bits of integers moved down; the sign stays."""
    return Compare("right_shift", "bitwise_right_shift")(*_integers("bitwise_right_shift", input, other))


arctan2 = alias("arctan2", atan2)
for _name, _function in [("lshift", bitwise_left_shift), ("rshift", bitwise_right_shift)]:
    method(_function, name=f"__{_name}__")
