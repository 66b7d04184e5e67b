"""Broadcasting and type promotion for elementwise ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.backends import error_state
from deepgpu.backends.registry import backend_of
from deepgpu.errors import takes
from deepgpu.ops.cast import cast
from deepgpu.ops.op import number
from deepgpu.tensor import Tensor, wrap


def unbroadcast(g: Tensor | None, shape: Sequence[int] | None) -> Tensor | None:
    """Sum a gradient over the dimensions along which its tensor was broadcast from ``shape`` (None: a number)."""
    if g is None or shape is None or g._data.shape == tuple(shape):
        return None if shape is None else g
    added = g._data.ndim - len(shape)
    dims = [*range(added), *[added + i for i, s in enumerate(shape) if s == 1 and g._data.shape[added + i] != 1]]
    g = g.sum(dims, keepdim=True)
    return g.reshape(tuple(shape))


def promoted(name: str, a: Any, b: Any, *, floating: bool = False) -> tuple[Any, Any]:
    """Both operands in the dtype of their result; Python numbers stay numbers unless they decide it.

    Parameters
    ----------
    name
        The op, for messages.
    a, b
        Tensors, numbers, or arrays, which rank as tensors do.
    floating
        The op is only defined for floating-point numbers: integers become the default dtype.

    Raises
    ------
    TypeError
        If an operand is none of these.
    """
    # The usual case first: it is on the path of every elementwise op.
    if isinstance(a, Tensor) and a._data.dtype.kind in "fV":  # V: bfloat16
        same = b._data.dtype == a._data.dtype if isinstance(b, Tensor) else type(b) is float or type(b) is int
        if same:
            return a, b
    a, b = _operand(a, name, "input"), _operand(b, name, "other")
    d = dtypes.result_type(a, b)
    if floating and not d.is_floating_point:
        d = dtypes.get_default_dtype()
    return as_dtype(a, d), as_dtype(b, d)


def _operand(x: Any, name: str, argument: str) -> Any:
    """A tensor or a Python number."""
    if isinstance(x, (Tensor, int, float, np.generic)):
        return number(x)
    if hasattr(x, "__array__"):
        return as_operand(x)
    raise TypeError(takes(name, argument, "a tensor or a number", f"{x!r} of type {type(x).__name__}"))


def as_operand(x: Any) -> Tensor:
    """A tensor, or a NumPy or CuPy array as one that shares its memory."""
    if isinstance(x, Tensor):
        return x
    dtypes.from_numpy(x.dtype)
    t = wrap(x, backend_of(x))
    t._pin()
    return t


def as_dtype(x: Any, d: dtypes.dtype) -> Any:
    """A tensor cast to ``d``; a number as it is."""
    return cast(x, d) if isinstance(x, Tensor) and x._data.dtype != d.numpy else x


def floating(x: Tensor) -> Tensor:
    """An integer or bool tensor cast to the default floating-point dtype; others as they are."""
    return x if x.dtype.is_floating_point else cast(x, dtypes.get_default_dtype())


def elementwise(name: str, compute: Callable[..., Any], *arrays: Any) -> Any:
    """``compute`` of raw arrays of one dtype that broadcast.

    Raises
    ------
    RuntimeError
        If the shapes do not broadcast.
    """
    try:
        return compute(*arrays)
    except ValueError:
        check_shapes(name, *[x.shape for x in arrays])
        raise


def with_number(compute: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """``compute`` of a raw array and a Python number, or the other way round, in the dtype of the array.

    The half types are computed in float32 where they have no exact value for the number.
    """
    array, value = (a, b) if hasattr(a, "shape") else (b, a)
    dtype = array.dtype
    typed = scalar(value, dtype)
    if dtype.itemsize != 2 or dtype.kind in "iu" or typed == value:
        return compute(a, typed) if array is a else compute(typed, b)
    wide, value = array.astype(np.float32), np.float32(value)
    return (compute(wide, value) if array is a else compute(value, wide)).astype(dtype)


def scalar(value: Any, dtype: Any) -> Any:
    """A Python number in a NumPy dtype; integers out of range wrap around.

    Raises
    ------
    OverflowError
        If an integer does not fit in 64 bits.
    """
    if dtype.kind in "iu":
        return np.asarray(value, np.int64).astype(dtype)[()]
    return dtype.type(value)


def fitting(value: Any, dtype: Any, name: str, argument: str) -> Any:
    """:func:`scalar`, for ops that refuse integers which the dtype cannot hold (a negative one may wrap, as in C).

    Raises
    ------
    RuntimeError
        If it does not fit.
    """
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        lowest = -int(limits.max) if dtype.kind == "u" else int(limits.min)
        if not lowest <= value <= int(limits.max):
            expected = f"a number that {dtype.name} can hold, {limits.min} to {limits.max}"
            raise RuntimeError(takes(name, argument, expected, value))
        value = int(value)
    before = error_state.ignore()  # a float out of range is infinite
    try:
        return scalar(value, dtype)
    finally:
        error_state.restore(before)


def refuse_bools(name: str, *operands: Any) -> None:
    """Raise RuntimeError if one of the operands is a bool tensor."""
    if any(isinstance(x, Tensor) and x.dtype is dtypes.bool for x in operands):
        raise RuntimeError(takes(name, "input", "numbers", "a bool tensor; convert it, e.g. with `.long()`"))


def check_shapes(name: str, *shapes: Sequence[int]) -> None:
    """Raise RuntimeError unless the shapes broadcast."""
    if not any(shapes):  # as the batches of two matrices
        return
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        shown = " and ".join([str(tuple(s)) for s in shapes])
        raise RuntimeError(
            f"`{name}`: shapes {shown} do not broadcast; counted from the last, dimensions must be equal, 1 or absent"
        ) from None


def check_expands(name: str, argument: str, shape: Sequence[int], wanted: Sequence[int]) -> None:
    """Raise RuntimeError unless a shape broadcasts to the wanted one, which it must not enlarge."""
    last = wanted[len(wanted) - len(shape) :]
    if len(shape) > len(wanted) or any(n not in (1, w) for n, w in zip(shape, last, strict=True)):
        raise RuntimeError(
            takes(name, argument, f"a shape that broadcasts to {tuple(wanted)}", f"shape {tuple(shape)}")
        )


def binary_operator(function: Callable[..., Any]) -> Callable[..., Any]:
    """An op as a Python operator: operands that it does not know are left to their own class."""

    def operator(self: Tensor, other: Any) -> Any:
        if isinstance(other, (Tensor, int, float)) or hasattr(other, "__array__"):
            return function(self, other)
        return NotImplemented

    return operator
