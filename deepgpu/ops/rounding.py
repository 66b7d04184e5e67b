"""Piecewise constant functions: rounding and the sign. Their gradient is zero."""

from __future__ import annotations

import builtins
import math
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded, widened
from deepgpu.errors import takes
from deepgpu.ops.broadcast import refuse_bools
from deepgpu.ops.op import alias, op
from deepgpu.tensor import Tensor, method, wrap


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


def _whole(ufunc: str, input: Tensor, name: str) -> Tensor:
    """Rounding leaves integers as they are."""
    refuse_bools(name, input)
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
def sgn(input: Tensor) -> Tensor:
    """As :func:`sign`, for real numbers."""
    return Sign()(input)


@op(method=True, inplace=True)
def frac(input: Tensor) -> Tensor:
    """The fractional part, with the sign of the element."""
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes("frac", "input", "a floating-point tensor", input.dtype))
    return input - trunc(input)


@op(method=True, differentiable=False)
def signbit(input: Tensor) -> Tensor:
    """Where the sign is negative, that of zeros and NaN too."""
    if not input.dtype.is_floating_point:
        return input < 0
    return wrap(input._backend.xp.signbit(input._data), input._backend)


@op(method=True)
def positive(input: Tensor) -> Tensor:
    """The tensor itself."""
    refuse_bools("positive", input)
    return input


class NanToNum(Node):
    """NaN and infinities replaced by numbers, which have no gradient."""

    keep_inputs = (0,)

    def __init__(self, nan: float, posinf: float | None, neginf: float | None) -> None:
        self.nan, self.posinf, self.neginf = nan, posinf, neginf

    def forward(self, x: Any) -> Any:
        info = dtypes.finfo(dtypes.from_numpy(x.dtype))
        high = info.max if self.posinf is None else self.posinf
        low = info.min if self.neginf is None else self.neginf
        typed = [x.dtype.type(v) for v in (self.nan, high, low)]
        y = self.xp.where(self.xp.isnan(x), typed[0], x)
        return self.xp.where(x == x.dtype.type(math.inf), typed[1], self.xp.where(x == -math.inf, typed[2], y))

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g.masked_fill(~x.isfinite(), 0.0)


@op(method=True, inplace=True)
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN and infinities replaced, by default by 0 and the largest and the smallest finite number."""
    if not input.dtype.is_floating_point:
        return input.clone()
    return NanToNum(0.0 if nan is None else nan, posinf, neginf)(input)


method(positive, name="__pos__")
fix = alias("fix", trunc)
