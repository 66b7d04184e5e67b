"""Sums, products, quotients, powers of two operands, with broadcasting and type promotion."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.ops.broadcast import promoted, unbroadcast
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, method


class Binary(Node):
    """An op of two operands that broadcast; ``partial`` gives both gradients in the shape of the result."""

    def forward(self, a: Any, b: Any) -> Any:
        self.shapes = getattr(a, "shape", None), getattr(b, "shape", None)
        return self.compute(a, b)

    def compute(self, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        raise NotImplementedError

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        ga, gb = self.partial(g)
        a, b = self.shapes
        return (None if a is None else unbroadcast(ga, a)), (None if b is None else unbroadcast(gb, b))


class Add(Binary):
    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.add(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return g, g


class Sub(Binary):
    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.subtract(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return g, -g if self.needs_input_grad[1] else None


class Mul(Binary):
    keep_inputs = (0, 1)

    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.multiply(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        need_a, need_b = self.needs_input_grad
        return g * b if need_a else None, g * a if need_b else None


class Div(Binary):
    keep_inputs = (0, 1)

    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.true_divide(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        need_a, need_b = self.needs_input_grad
        ga = g / b
        return ga if need_a else None, -ga * (a / b) if need_b else None


class Pow(Binary):
    keep_inputs = (0, 1)

    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.power(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        need_a, need_b = self.needs_input_grad
        ga = gb = None
        if need_a:
            # d/da a**b = b a**(b-1), which is 0 and not NaN where b is 0
            slope = b * pow(a, b - 1)
            if isinstance(b, Tensor):
                slope = slope.masked_fill(b == 0, 0.0)
            elif b == 0:
                slope = slope.new_zeros(slope.shape)
            ga = g * slope
        if need_b:
            # d/db a**b = a**b log(a), which is 0 where a is 0 and b >= 0
            base = a if isinstance(a, Tensor) else g.new_full((), a)
            gb = g * (pow(a, b) * base.log()).masked_fill((base == 0).logical_and(b >= 0), 0.0)
        return ga, gb


class Remainder(Binary):
    keep_inputs = (0, 1)

    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.remainder(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        return g, -g * floor_divide(a, b) if self.needs_input_grad[1] else None


class FloorDivide(Binary):
    def compute(self, a: Any, b: Any) -> Any:
        return self.xp.floor_divide(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return g * 0, g * 0


class Neg(Node):
    def forward(self, x: Any) -> Any:
        return self.xp.negative(x)

    def backward(self, g: Tensor) -> Tensor:
        return -g


@op(method=True, inplace=True)
def add(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``input + alpha * other``."""
    a, b = promoted(input, other)
    return Add()(a, b if alpha == 1 else b * alpha)


@op(method=True, inplace=True)
def sub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``input - alpha * other``."""
    a, b = promoted(input, other)
    if (isinstance(a, Tensor) and a.dtype is dtypes.bool) or (isinstance(b, Tensor) and b.dtype is dtypes.bool):
        raise RuntimeError("`sub`: bool tensors cannot be subtracted; use `logical_xor`, or `~` to invert a mask")
    return Sub()(a, b if alpha == 1 else b * alpha)


@op(method=True, inplace=True)
def mul(input: Tensor, other: Any) -> Tensor:
    """``input * other``."""
    return Mul()(*promoted(input, other))


@op(method=True, inplace=True)
def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """``input / other``, as floating-point numbers.

    Parameters
    ----------
    rounding_mode
        ``"floor"`` rounds towards minus infinity, ``"trunc"`` towards zero; both keep integer dtypes.
    """
    if rounding_mode is None:
        return Div()(*promoted(input, other, floating=True))
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        a, b = promoted(input, other)
        d = dtypes.result_type(a, b)
        return Div()(*promoted(a, b, floating=True)).trunc().to(d)
    raise RuntimeError(f"`div`: `rounding_mode` takes None, 'floor' or 'trunc', but got {rounding_mode!r}")


@op(method=True, inplace=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent``; either may be a number."""
    return Pow()(*promoted(input, exponent))


@op(method=True, inplace=True)
def remainder(input: Any, other: Any) -> Tensor:
    """Python's ``%``: the result has the sign of ``other``."""
    return Remainder()(*promoted(input, other))


@op(method=True, inplace=True, differentiable=False)
def floor_divide(input: Any, other: Any) -> Tensor:
    """``floor(input / other)``, in the promoted dtype."""
    return FloorDivide()(*promoted(input, other))


@op(method=True, inplace=True)
def neg(input: Tensor) -> Tensor:
    """``-input``."""
    if input.dtype is dtypes.bool:
        raise RuntimeError("`neg`: a bool tensor cannot be negated; use `~` to invert a mask")
    return Neg()(input)


@op
def rsub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``other - alpha * input``."""
    a, b = promoted(other, input)
    return Sub()(a, b if alpha == 1 else b * alpha)


def _reflected(function: Any) -> Any:
    def operator(self: Tensor, other: Any) -> Tensor:
        return function(other, self)

    return operator


def _operator(function: Any) -> Any:
    """A binary operator: unknown operands are left to their own class."""

    def operator(self: Tensor, other: Any) -> Any:
        if isinstance(other, _OPERANDS) or hasattr(other, "__array__"):
            return function(self, other)
        return NotImplemented

    return operator


_OPERANDS = (Tensor, int, float, bool)

for _name, _function in [
    ("add", add),
    ("sub", sub),
    ("mul", mul),
    ("truediv", div),
    ("pow", pow),
    ("mod", remainder),
    ("floordiv", floor_divide),
]:
    method(_operator(_function), name=f"__{_name}__")
    method(_operator(_reflected(_function)), name=f"__r{_name}__")
    method(getattr(Tensor, f"{_function.__name__}_"), name=f"__i{_name}__")
method(neg, name="__neg__")

subtract, multiply, divide, true_divide, negative = sub, mul, div, div, neg
for _alias, _function in [
    ("subtract", sub),
    ("multiply", mul),
    ("divide", div),
    ("true_divide", div),
    ("negative", neg),
]:
    method(_function, name=_alias)
    method(getattr(Tensor, f"{_function.__name__}_"), name=f"{_alias}_")
