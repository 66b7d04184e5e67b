"""Choosing between elements: limits, the larger and the smaller of two, masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.broadcast import as_dtype, check_shapes, elementwise, fitting, promoted, refuse_bools, unbroadcast
from deepgpu.ops.cast import cast
from deepgpu.ops.op import alias, number, op
from deepgpu.tensor import Tensor, method

LARGE = 1 << 12
"""Elements from which on a kernel is worth its call."""


class Clamp(Node):
    """``min`` and ``max`` are numbers or None. The gradient passes where ``min <= x <= max``."""

    keep_inputs = (0,)

    def __init__(self, low: Any, high: Any) -> None:
        self.low = low
        self.high = high

    def forward(self, x: Any) -> Any:
        low = None if self.low is None else fitting(self.low, x.dtype, "clamp", "min")
        high = None if self.high is None else fitting(self.high, x.dtype, "clamp", "max")
        if x.size >= LARGE and x.dtype.kind == "f" and low == low and high == high:  # a bound that is NaN makes all NaN
            return self.backend.hardtanh(x, -math.inf if low is None else low, math.inf if high is None else high)
        y = x if low is None else self.xp.maximum(x, low)
        return y if high is None else self.xp.minimum(y, high)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g.masked_fill(_outside(x, self.low, self.high), 0.0)


def _outside(x: Tensor, low: Any, high: Any) -> Tensor:
    """Where an element is not within the bounds; NaN is not, nor is anything if a bound is NaN."""
    above = None if low is None else x >= low
    if high is None:
        assert above is not None
        return ~above
    below = x <= high
    return ~below if above is None else ~(above & below)


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
        return elementwise("where", self.backend.where, mask, self._array(a), self._array(b))

    def _array(self, x: Any) -> Any:
        return self.backend.scalar(x) if isinstance(x, np.generic) else self.xp.asarray(x)

    def backward(self, g: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (mask,) = self.saved
        a, b = self.shapes
        need = self.needs_input_grad
        ga = unbroadcast(where(mask, g, 0.0), a) if need[1] else None
        gb = unbroadcast(where(mask, 0.0, g), b) if need[2] else None
        return None, ga, gb


@op(method=True, inplace=True)
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Limit every element to ``[min, max]``, numbers or tensors; None is no limit. ``max`` wins over ``min``."""
    if min is None and max is None:
        raise RuntimeError(takes("clamp", "min", "a number or a tensor, unless `max` is given", "None for both"))
    low, high = number(min), number(max)
    d = dtypes.result_type(input, *[b for b in (low, high) if b is not None])
    if d is dtypes.bool and low is not None and high is not None:  # PyTorch takes one bound of bools, not both
        refuse_bools("clamp", input)
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
        value = fitting(number(value), input._data.dtype, "masked_fill", "value")
    fill = as_dtype(value, input.dtype)
    if input._data.shape != mask._data.shape:
        check_shapes("masked_fill", input._data.shape, mask._data.shape)
    return Where()(mask, fill, input)


@op(method=True, inplace=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """``clamp(input, min=min)``."""
    return clamp(input, min=min)


@op(method=True, inplace=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """``clamp(input, max=max)``."""
    return clamp(input, max=max)


clip = alias("clip", clamp)
