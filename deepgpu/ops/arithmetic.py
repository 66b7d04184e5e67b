"""Sums, products, quotients, powers of two operands, with broadcasting and type promotion."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded, widened
from deepgpu.errors import takes
from deepgpu.ops.broadcast import binary_operator, check_shapes, promoted, refuse_bools, unbroadcast, with_number
from deepgpu.ops.op import alias, op
from deepgpu.pending import Pending, Recipe
from deepgpu.tensor import Tensor, method


class Binary(Node):
    """An op of two operands that broadcast; ``partial`` gives both gradients in the shape of the result."""

    op: str
    """Its public name, for messages."""

    def forward(self, a: Any, b: Any) -> Any:
        self.shapes = shapes = getattr(a, "shape", None), getattr(b, "shape", None)
        if None in shapes:
            return with_number(self.compute, a, b)
        try:
            return self.compute(a, b)
        except ValueError:
            check_shapes(self.op, a.shape, b.shape)
            raise

    def compute(self, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        raise NotImplementedError

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        ga, gb = self.partial(g)
        a, b = self.shapes
        return unbroadcast(ga, a), unbroadcast(gb, b)


LARGE = 1 << 15
"""Elements from which on it is worth asking whether the device has a kernel of its own."""


class Arithmetic(Binary):
    """A sum, difference, product or quotient; ``ufunc`` is its name in NumPy."""

    ufunc: str

    def compute(self, a: Any, b: Any) -> Any:
        if a.size >= LARGE or b.size >= LARGE:
            y = self.backend.arithmetic(self.ufunc, a, b)
            if y is not None:
                return y
        return getattr(self.xp, self.ufunc)(a, b)


class Add(Arithmetic):
    """``a + b``; the gradient goes to both as it is."""

    op = ufunc = "add"
    fuses = True

    def forward(self, a: Any, b: Any) -> Any:
        if type(a) is not Recipe and type(b) is not Recipe:
            return Binary.forward(self, a, b)
        recipe, other = (a, b) if type(a) is Recipe else (b, a)
        if type(other) is Recipe:
            other = other.values()
        self.shapes = recipe.shape, other.shape
        fused = recipe.plus(other)
        return super().forward(recipe.values(), other) if fused is None else fused

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return g, g


class Sub(Arithmetic):
    """``a - b``; the gradient goes to ``b`` with its sign changed."""

    op = "sub"
    ufunc = "subtract"

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return g, -g if self.needs_input_grad[1] else None


class Mul(Arithmetic):
    """``a b``, with the partial derivatives ``b`` and ``a``."""

    op = "mul"
    ufunc = "multiply"
    keep_inputs = (0, 1)
    needed_for: ClassVar = {0: (1,), 1: (0,)}

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        need_a, need_b = self.needs_input_grad
        return g * b if need_a else None, g * a if need_b else None


class Div(Arithmetic):
    """``a / b``, with the partial derivatives ``1 / b`` and ``-a / b^2``."""

    op = "div"
    ufunc = "true_divide"
    keep_inputs = (0, 1)
    needed_for: ClassVar = {0: (1,)}

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        need_a, need_b = self.needs_input_grad
        ga = g / b
        return ga if need_a else None, -ga * (a / b) if need_b else None


class Pow(Binary):
    """``a^b``, with the partial derivatives ``b a^(b-1)`` and ``a^b log(a)``, which is 0 where ``a`` is 0."""

    op = "pow"
    keep_inputs = (0, 1)

    def _product(self, a: Any, b: Any) -> Any:
        y = self.backend.arithmetic("multiply", a, b) if a.size >= LARGE else None
        return a * b if y is None else y

    def compute(self, a: Any, b: Any) -> Any:
        if a.dtype.kind in "iu" and b.dtype.kind == "i" and b.ndim and bool((b < 0).any()):
            # of the integers only 1 and -1 have an integer reciprocal; the others' is rounded to 0
            power = self.xp.power(a, self.xp.abs(b))
            return self.xp.where((b >= 0) | (self.xp.abs(a) == 1), power, a.dtype.type(0))
        if a.dtype.kind == "f" and isinstance(b, np.generic) and b in (2, 3):  # power() takes ten times as long
            x = widened(a)
            square = self._product(x, x)
            return rounded(square if b == 2 else self._product(square, x), a.dtype)
        return self.xp.power(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        need_a, need_b = self.needs_input_grad
        ga = gb = None
        if need_a:
            # d/da a**b = b a**(b-1), which is 0 and not NaN where b is 0
            if not isinstance(b, Tensor):
                ga = g * (pow(a, b - 1) * b) if b != 0 else g.new_zeros(g.shape)
            else:
                ga = g * (b * pow(a, b - 1)).masked_fill(b == 0, 0.0)
        if need_b:
            # d/db a**b = a**b log(a), which is 0 where a is 0 and b >= 0
            base = a if isinstance(a, Tensor) else g.new_full((), a)
            gb = g * (pow(a, b) * base.log()).masked_fill((base == 0).logical_and(b >= 0), 0.0)
        return ga, gb


class Remainder(Binary):
    """``a - b floor(a / b)``, with the sign of ``b``."""

    op = "remainder"
    keep_inputs = (0, 1)

    def compute(self, a: Any, b: Any) -> Any:
        refuse_zero_divisor(self, b)
        return self.xp.remainder(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        return g, -g * floor_divide(a, b) if self.needs_input_grad[1] else None


class FloorDivide(Binary):
    """``floor(a / b)``: no gradient."""

    op = "floor_divide"

    def compute(self, a: Any, b: Any) -> Any:
        refuse_zero_divisor(self, b)
        return self.xp.floor_divide(a, b)

    def partial(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        zeros = g.new_zeros(g.shape)
        return zeros, zeros


class TruncDivide(FloorDivide):
    """``a / b`` rounded towards 0."""

    op = "div"
    ufunc = "true_divide"

    def compute(self, a: Any, b: Any) -> Any:
        refuse_zero_divisor(self, b)
        if b.dtype.kind not in "iu":
            return self.xp.trunc(self.xp.true_divide(a, b))
        floor = self.xp.floor_divide(a, b)
        return floor + ((floor * b != a) & ((a < 0) != (b < 0)))


def refuse_zero_divisor(node: Binary, b: Any) -> None:
    """Integers have no infinity. (A GPU would have to be waited for: there the result is undefined, as in PyTorch.)"""
    if b.dtype.kind in "iu" and node.backend.type == "cpu" and not b.all():
        raise RuntimeError(f"`{node.op}`: `other` takes integers other than 0, but got 0 (ZeroDivisionError)")


class Neg(Node):
    """``-x``, and so is its gradient."""

    def forward(self, x: Any) -> Any:
        return self.xp.negative(x)

    def backward(self, g: Tensor) -> Tensor:
        return -g


@op(method=True, inplace=True)
def add(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``input + alpha * other``."""
    if (type(input) is Pending or type(other) is Pending) and alpha == 1 and _alike(input, other):
        return Add()(input, other)
    a, b = promoted("add", input, other)
    return Add()(a, b if type(alpha) is int and alpha == 1 else _scaled(b, alpha, a, "add"))


@op(method=True, inplace=True)
def sub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``input - alpha * other``."""
    a, b = promoted("sub", input, other)
    if _is_bool(input) or _is_bool(other):
        raise RuntimeError("`sub`: bools cannot be subtracted; use `logical_xor`, or `~` to invert a mask")
    return Sub()(a, b if type(alpha) is int and alpha == 1 else _scaled(b, alpha, a, "sub"))


def _alike(a: Any, b: Any) -> bool:
    """Whether two operands are tensors of one shape and dtype, on one device."""
    both = isinstance(a, Tensor) and isinstance(b, Tensor)
    return both and a.shape == b.shape and a.dtype is b.dtype and a._backend is b._backend


def _is_bool(x: Any) -> bool:
    return x is True or x is False or getattr(x, "dtype", None) in (dtypes.bool, np.bool_)


def _scaled(b: Any, alpha: Any, a: Any, name: str) -> Any:
    """``alpha * b``, in the dtype of the result."""
    d = b.dtype if isinstance(b, Tensor) else a.dtype
    kind = dtypes.of_scalar(alpha)
    if kind.category > max(d.category, 1) or (kind is dtypes.bool and d is not dtypes.bool):
        expected = "a number for a floating-point result, an integer for an integer one"
        raise RuntimeError(takes(name, "alpha", expected, f"{alpha!r} for {d}"))
    return Mul()(b, alpha) if isinstance(b, Tensor) else b * alpha


@op(method=True, inplace=True)
def mul(input: Tensor, other: Any) -> Tensor:
    """``input * other``."""
    return Mul()(*promoted("mul", input, other))


@op(method=True, inplace=True)
def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """``input / other``, as floating-point numbers.

    Parameters
    ----------
    rounding_mode
        ``"floor"`` rounds towards minus infinity, ``"trunc"`` towards zero; both keep integer dtypes.

    Raises
    ------
    RuntimeError
        If integers are divided by 0 with a ``rounding_mode``.
    """
    if rounding_mode is None:
        return Div()(*promoted("div", input, other, floating=True))
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(takes("div", "rounding_mode", "None, 'floor' or 'trunc'", repr(rounding_mode)))
    a, b = promoted("div", input, other)
    refuse_bools("div", a, b)
    return (FloorDivide() if rounding_mode == "floor" else TruncDivide())(a, b)


@op(method=True, inplace=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent``; either may be a number.

    Raises
    ------
    RuntimeError
        If the exponent is a negative integer and the result would be of an integer dtype.
    """
    a, b = promoted("pow", input, exponent)
    refuse_bools("pow", a, b)
    if isinstance(a, Tensor) and not a.dtype.is_floating_point and not isinstance(b, Tensor) and b < 0:
        expected = "no negative integers for an integer tensor (make it floating-point)"
        raise RuntimeError(takes("pow", "exponent", expected, b))
    return Pow()(a, b)


@op(method=True, inplace=True)
def remainder(input: Any, other: Any) -> Tensor:
    """Python's ``%``: the result has the sign of ``other``.

    Raises
    ------
    RuntimeError
        If integers are divided by 0.
    """
    a, b = promoted("remainder", input, other)
    refuse_bools("remainder", a, b)
    return Remainder()(a, b)


@op(method=True, inplace=True, differentiable=False)
def floor_divide(input: Any, other: Any) -> Tensor:
    """``floor(input / other)``, in the promoted dtype.

    Raises
    ------
    RuntimeError
        If integers are divided by 0.
    """
    a, b = promoted("floor_divide", input, other)
    refuse_bools("floor_divide", a, b)
    return FloorDivide()(a, b)


@op(method=True, inplace=True)
def neg(input: Tensor) -> Tensor:
    """``-input``."""
    if input.dtype is dtypes.bool:
        raise RuntimeError("`neg`: a bool tensor cannot be negated; use `~` to invert a mask")
    return Neg()(input)


@op
def rsub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``other - alpha * input``."""
    return sub(other, input, alpha=alpha)


def _reflected(function: Any) -> Any:
    def operator(self: Tensor, other: Any) -> Tensor:
        return function(other, self)

    return operator


for _name, _function in [
    ("add", add),
    ("sub", sub),
    ("mul", mul),
    ("truediv", div),
    ("pow", pow),
    ("mod", remainder),
    ("floordiv", floor_divide),
]:
    method(binary_operator(_function), name=f"__{_name}__")
    method(binary_operator(_reflected(_function)), name=f"__r{_name}__")
    method(getattr(Tensor, f"{_function.__name__}_"), name=f"__i{_name}__")
method(neg, name="__neg__")

subtract = alias("subtract", sub)
multiply = alias("multiply", mul)
divide = alias("divide", div)
true_divide = alias("true_divide", div)
negative = alias("negative", neg)
