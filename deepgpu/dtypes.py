"""Element types: PyTorch's names, NumPy's storage, PyTorch's promotion rules.

``bfloat16`` is stored as ``ml_dtypes.bfloat16``, an extension dtype of NumPy's.
"""

from __future__ import annotations

import builtins
import functools
from typing import Any

import ml_dtypes
import numpy as np

_BOOL, _INT, _FLOAT = 0, 1, 2


class dtype:
    """An element type such as ``deepgpu.float32``.

    Attributes
    ----------
    name
        ``"float32"``, ``"int64"``, ...
    numpy
        The ``numpy.dtype`` that stores it.
    itemsize
        Bytes an element.
    is_floating_point
        Whether gradients can flow through tensors of this type.
    """

    __slots__ = ("category", "is_complex", "is_floating_point", "is_signed", "itemsize", "name", "numpy")

    def __init__(self, name: str, numpy: Any) -> None:
        self.name = name
        self.numpy = np.dtype(numpy)
        self.itemsize = self.numpy.itemsize
        kind = "f" if self.numpy == ml_dtypes.bfloat16 else self.numpy.kind
        self.category = {"b": _BOOL, "u": _INT, "i": _INT, "f": _FLOAT}[kind]
        self.is_floating_point = kind == "f"
        self.is_complex = False
        self.is_signed = kind in "if"

    def __repr__(self) -> str:
        return f"deepgpu.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return named, (self.name,)


float16 = half = dtype("float16", np.float16)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16)
float32 = float = dtype("float32", np.float32)
float64 = double = dtype("float64", np.float64)
int8 = dtype("int8", np.int8)
int16 = short = dtype("int16", np.int16)
int32 = int = dtype("int32", np.int32)
int64 = long = dtype("int64", np.int64)
uint8 = dtype("uint8", np.uint8)
bool = dtype("bool", np.bool_)

ALL = (float16, bfloat16, float32, float64, int8, int16, int32, int64, uint8, bool)
_by_numpy = {d.numpy: d for d in ALL}
_by_name = {d.name: d for d in ALL}
_LADDER = {d: i for i, d in enumerate((bool, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64))}

_default = float32


def named(name: str) -> dtype:
    """The dtype called ``name``."""
    return _by_name[name]


def from_numpy(numpy_dtype: Any) -> dtype:
    """The dtype stored as ``numpy_dtype``.

    Raises
    ------
    TypeError
        For types that have no counterpart here (complex numbers, strings, unsigned integers of more than 8 bits).
    """
    found = _by_numpy.get(numpy_dtype) or _by_numpy.get(np.dtype(numpy_dtype))
    if found is None:
        known = ", ".join(d.name for d in ALL)
        raise TypeError(f"no tensor dtype for numpy's {np.dtype(numpy_dtype).name}; supported are {known}")
    return found


def get_default_dtype() -> dtype:
    """The floating-point type of tensors made from Python numbers; float32 unless changed."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Make ``d``, a floating-point dtype, the type of tensors made from Python numbers."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"set_default_dtype takes a floating-point dtype, but got {d!r}")
    _default = d


@functools.cache
def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype that holds both, by PyTorch's table."""
    if a is b:
        return a
    low, high = sorted((a, b), key=_LADDER.__getitem__)
    if {low, high} == {float16, bfloat16}:
        return float32
    if low is uint8 and high is int8:
        return int16
    return high


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """An operand of higher rank decides, unless one of lower rank is of a higher category."""
    if higher is None:
        return lower
    if lower is None or lower.category <= higher.category:
        return higher
    return lower


def of_scalar(value: Any) -> dtype:
    """The dtype a Python number takes as a tensor: bool, int64 or the default floating-point type."""
    if isinstance(value, builtins.bool):
        return bool
    if isinstance(value, builtins.int):
        return int64
    if isinstance(value, (builtins.float, np.floating)):
        return _default
    if isinstance(value, np.generic):
        return from_numpy(value.dtype)
    raise TypeError(f"expected a number or a tensor, but got {type(value).__name__}")


def result_type(*operands: Any) -> dtype:
    """The dtype of an elementwise op on tensors and Python numbers.

    Tensors with dimensions rank above 0-d tensors, and these above Python numbers: an operand of lower rank only
    matters if its category (bool < integer < floating point) is higher.
    """
    ranks: list[dtype | None] = [None, None, None]
    for x in operands:
        d = getattr(x, "dtype", None)
        if isinstance(d, dtype):
            rank = 0 if x.ndim else 1
        else:
            rank, d = 2, of_scalar(x)
        seen = ranks[rank]
        ranks[rank] = d if seen is None else promote_types(seen, d)
    result = _combine(_combine(ranks[0], ranks[1]), ranks[2])
    assert result is not None
    return result


def can_cast(source: dtype, target: dtype) -> builtins.bool:
    """Whether an in-place result of type ``source`` may be stored as ``target``: never down a category."""
    return source.category <= target.category


class finfo:
    """Limits of a floating-point dtype: ``bits``, ``eps``, ``max``, ``min``, ``tiny``, ``resolution``."""

    def __init__(self, d: dtype | None = None) -> None:
        d = d or _default
        if not d.is_floating_point:
            raise TypeError(f"finfo takes a floating-point dtype, but got {d!r}; use iinfo")
        info = ml_dtypes.finfo(d.numpy)
        self.dtype, self.bits = d.name, d.itemsize * 8
        self.eps, self.max, self.min = (builtins.float(v) for v in (info.eps, info.max, info.min))
        self.tiny = self.smallest_normal = builtins.float(info.tiny)
        self.resolution = 10.0**-info.precision  # of the last decimal digit that is always right


class iinfo:
    """Limits of an integer dtype: ``bits``, ``max``, ``min``."""

    def __init__(self, d: dtype) -> None:
        if d.category != _INT:
            raise TypeError(f"iinfo takes an integer dtype, but got {d!r}; floating-point ones have a finfo")
        info = np.iinfo(d.numpy)
        self.dtype, self.bits, self.max, self.min = (
            d.name,
            d.itemsize * 8,
            builtins.int(info.max),
            builtins.int(info.min),
        )
