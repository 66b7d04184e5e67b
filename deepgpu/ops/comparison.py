"""Comparisons, logic and bits: results without gradient."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.broadcast import binary_operator, elementwise, promoted, scalar
from deepgpu.ops.cast import cast
from deepgpu.ops.op import alias, op
from deepgpu.tensor import Tensor, method


class Compare(Node):
    """A NumPy ufunc whose result has no gradient; numbers are taken in the dtype of the tensor beside them."""

    non_differentiable = (0,)

    def __init__(self, ufunc: str, op: str) -> None:
        self.ufunc = ufunc
        self.op = op

    def forward(self, *arrays: Any) -> Any:
        dtype = next(a.dtype for a in arrays if hasattr(a, "dtype"))
        typed = [a if hasattr(a, "dtype") else self.backend.scalar(scalar(a, dtype)) for a in arrays]
        return elementwise(self.op, getattr(self.xp, self.ufunc), *typed)


def _compare(ufunc: str, name: str, *operands: Any) -> Tensor:
    return Compare(ufunc, name)(*(promoted(name, *operands) if len(operands) == 2 else operands))


@op(method=True, inplace=True, differentiable=False)
def eq(input: Tensor, other: Any) -> Tensor:
    """``input == other``, elementwise."""
    return _compare("equal", "eq", input, other)


@op(method=True, inplace=True, differentiable=False)
def ne(input: Tensor, other: Any) -> Tensor:
    """``input != other``, elementwise."""
    return _compare("not_equal", "ne", input, other)


@op(method=True, inplace=True, differentiable=False)
def lt(input: Tensor, other: Any) -> Tensor:
    """``input < other``, elementwise."""
    return _compare("less", "lt", input, other)


@op(method=True, inplace=True, differentiable=False)
def le(input: Tensor, other: Any) -> Tensor:
    """``input <= other``, elementwise."""
    return _compare("less_equal", "le", input, other)


@op(method=True, inplace=True, differentiable=False)
def gt(input: Tensor, other: Any) -> Tensor:
    """``input > other``, elementwise."""
    return _compare("greater", "gt", input, other)


@op(method=True, inplace=True, differentiable=False)
def ge(input: Tensor, other: Any) -> Tensor:
    """``input >= other``, elementwise."""
    return _compare("greater_equal", "ge", input, other)


@op(method=True, differentiable=False)
def isnan(input: Tensor) -> Tensor:
    """Where elements are NaN."""
    return ne(input, input)


@op(method=True, differentiable=False)
def isinf(input: Tensor) -> Tensor:
    """Where elements are plus or minus infinity."""
    return _compare("isinf", "isinf", input)


@op(method=True, differentiable=False)
def isfinite(input: Tensor) -> Tensor:
    """Where elements are neither infinite nor NaN."""
    return _compare("isfinite", "isfinite", input)


@op(method=True, differentiable=False)
def isposinf(input: Tensor) -> Tensor:
    """Where elements are plus infinity."""
    return isinf(input) & gt(input, 0)


@op(method=True, differentiable=False)
def isneginf(input: Tensor) -> Tensor:
    """Where elements are minus infinity."""
    return isinf(input) & lt(input, 0)


@op(method=True, differentiable=False)
def isreal(input: Tensor) -> Tensor:
    """True everywhere: there are no complex tensors."""
    return eq(input, input) | ne(input, input)


@op(method=True, inplace=True, differentiable=False)
def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Both are non-zero."""
    return _compare("logical_and", "logical_and", input, other)


@op(method=True, inplace=True, differentiable=False)
def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """One or both are non-zero."""
    return _compare("logical_or", "logical_or", input, other)


@op(method=True, inplace=True, differentiable=False)
def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Exactly one is non-zero."""
    return _compare("logical_xor", "logical_xor", input, other)


@op(method=True, inplace=True, differentiable=False)
def logical_not(input: Tensor) -> Tensor:
    """The element is zero."""
    return _compare("logical_not", "logical_not", input)


def _bits(ufunc: str, name: str, *operands: Any) -> Tensor:
    for x in operands:
        if isinstance(x, Tensor) and x.dtype.is_floating_point:
            raise RuntimeError(f"`{name}`: takes integer or bool tensors, but got {x.dtype}")
    return _compare(ufunc, name, *operands)


@op(method=True, inplace=True, differentiable=False)
def bitwise_and(input: Tensor, other: Any) -> Tensor:
    """Bitwise and; logical and for bool tensors."""
    return _bits("bitwise_and", "bitwise_and", input, other)


@op(method=True, inplace=True, differentiable=False)
def bitwise_or(input: Tensor, other: Any) -> Tensor:
    """Bitwise or; logical or for bool tensors."""
    return _bits("bitwise_or", "bitwise_or", input, other)


@op(method=True, inplace=True, differentiable=False)
def bitwise_xor(input: Tensor, other: Any) -> Tensor:
    """Bitwise exclusive or."""
    return _bits("bitwise_xor", "bitwise_xor", input, other)


@op(method=True, inplace=True, differentiable=False)
def bitwise_not(input: Tensor) -> Tensor:
    """All bits inverted; logical not for bool tensors."""
    return _bits("invert", "bitwise_not", input)


@op(method=True, differentiable=False)
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """``|input - other| <= atol + rtol |other|``, elementwise; infinities are close if equal."""
    if input.dtype is not other.dtype:
        raise RuntimeError(takes("isclose", "other", f"the dtype of `input`, {input.dtype}", other.dtype))
    if input.dtype is dtypes.bool:
        input, other = cast(input, dtypes.get_default_dtype()), cast(other, dtypes.get_default_dtype())
    difference = (input - other).abs()
    close = eq(input, other) | (le(difference, atol + rtol * other.abs()) & isfinite(difference))
    return close | (isnan(input) & isnan(other)) if equal_nan else close


@op(method=True, differentiable=False)
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are close, as :func:`isclose` says."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@op(method=True, differentiable=False)
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    return input.shape == other.shape and bool(cast(eq(input, other), dtypes.bool).all())


def _loose(function: Any, otherwise: bool) -> Any:
    """``==`` and ``!=`` also take operands that are no numbers, and then compare identity."""

    def operator(self: Tensor, other: Any) -> Any:
        if not isinstance(other, (Tensor, int, float)) and not hasattr(other, "__array__"):
            return otherwise
        return function(self, other)

    return operator


method(_loose(eq, False), name="__eq__")
method(_loose(ne, True), name="__ne__")
for _name, _function in [("lt", lt), ("le", le), ("gt", gt), ("ge", ge)]:
    method(binary_operator(_function), name=f"__{_name}__")
for _name, _function in [("and", bitwise_and), ("or", bitwise_or), ("xor", bitwise_xor)]:
    method(binary_operator(_function), name=f"__{_name}__")
    method(binary_operator(_function), name=f"__r{_name}__")
    method(getattr(Tensor, f"{_function.__name__}_"), name=f"__i{_name}__")
method(bitwise_not, name="__invert__")
not_equal = alias("not_equal", ne)
less = alias("less", lt)
less_equal = alias("less_equal", le)
greater = alias("greater", gt)
greater_equal = alias("greater_equal", ge)
