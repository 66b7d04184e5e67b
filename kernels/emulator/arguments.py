"""Packs the arguments of a kernel, by CuPy's conventions, and says which one does not fit."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import ArgumentError
from .runtime import Kernel, Parameter

_KINDS = {"f": "floating-point number", "i": "signed integer", "u": "unsigned integer", "b": "bool", "V": "struct"}
_TYPES = {
    ("f", 2): "half", ("f", 4): "float", ("f", 8): "double", ("b", 1): "bool",
    ("i", 1): "signed char", ("i", 2): "short", ("i", 4): "int", ("i", 8): "long long",
    ("u", 1): "unsigned char", ("u", 2): "unsigned short", ("u", 4): "unsigned int", ("u", 8): "unsigned long long",
}  # fmt: skip


def type_name(parameter: Parameter) -> str:
    """The C++ type of a parameter, as far as it is known."""
    kind, size = chr(parameter.kind), parameter.value_size
    name = "void" if kind == "v" else _TYPES.get((kind, size), f"a type of {size} bytes")
    return f"{name}*" if parameter.is_pointer else name


@dataclass
class PackedArguments:
    """Values in memory for the launch: ``pointers[i]`` points at the i-th; ``arrays`` are those passed as pointers."""

    pointers: ctypes.Array
    arrays: list[tuple[str, np.ndarray]]
    values: list[ctypes.Array]

    def set_address(self, index: int, address: int) -> None:
        """Passes another address for a pointer."""
        ctypes.memmove(self.values[index], ctypes.byref(ctypes.c_uint64(address)), 8)


def _label(kernel: str, index: int, names: Sequence[str]) -> str:
    name = names[index] if index < len(names) else ""
    return f"{kernel}: argument {index}" + (f" `{name}`" if name and not name.startswith("#") else "")


def _check_pointer(label: str, parameter: Parameter, argument: Any) -> int:
    """The address to pass for a pointer parameter."""
    if argument is None:
        return 0
    if isinstance(argument, np.ndarray):
        _check_pointee(label, parameter, argument)
        return argument.ctypes.data
    if isinstance(argument, (int, np.integer)) and not isinstance(argument, (bool, np.bool_)):
        return int(argument)
    raise ArgumentError(
        f"{label} is a pointer (`{type_name(parameter)}`): takes a NumPy array, an address or None, "
        f"got {type(argument).__name__}"
    )


def _check_pointee(label: str, parameter: Parameter, array: np.ndarray) -> None:
    """Refuses an array whose elements are certainly not what the kernel reads."""
    kind, size = chr(parameter.kind), parameter.value_size
    have, have_size = array.dtype.kind, array.dtype.itemsize
    if kind not in "fiub" or have not in "fiub" or (have_size == 1 and have in "iu") or (size == 1 and kind in "iu"):
        return  # structs, half types, bytes: anything goes
    same_kind = have == kind or {have, kind} <= set("iu") or "b" in (have, kind)
    if size != have_size or not same_kind:
        raise ArgumentError(
            f"{label} is `{type_name(parameter)}`, got an array of {array.dtype}; "
            "pass `array.view(...)` if that is meant"
        )


def _value(label: str, parameter: Parameter, argument: Any) -> bytes:
    """The bytes of an argument that is passed by value."""
    expected = type_name(parameter)
    if isinstance(argument, np.ndarray):
        raise ArgumentError(f"{label} is a value (`{expected}`), got an array: pass a NumPy scalar such as `array[()]`")
    if isinstance(argument, ctypes.Structure):
        data, kind = bytes(argument), "V"
    else:
        scalar = np.asarray(argument)
        if scalar.dtype.kind == "O" or scalar.ndim:
            raise ArgumentError(
                f"{label} is a value (`{expected}`), got {type(argument).__name__}: pass a NumPy scalar"
            )
        data, kind = scalar.tobytes(), scalar.dtype.kind
    wanted = chr(parameter.kind)
    floating = {"f"} == {wanted} & {"f"} | {kind} & {"f"}
    if len(data) != parameter.size or (wanted in "fiub" and kind in "fiub" and floating and wanted != kind):
        hint = {
            "f": {4: "np.float32", 8: "np.float64"},
            "i": {4: "np.int32", 8: "np.int64"},
            "u": {4: "np.uint32", 8: "np.uint64"},
        }
        fix = hint.get(wanted, {}).get(parameter.size)
        got = f"{type(argument).__name__} ({_KINDS.get(kind, kind)} of {len(data)} bytes)"
        raise ArgumentError(
            f"{label} is `{expected}` ({parameter.size} bytes), got {got}" + (f"; pass {fix}(...)" if fix else "")
        )
    return data


def pack(kernel: Kernel, name: str, parameter_names: Sequence[str], arguments: Sequence[Any]) -> PackedArguments:
    """Packs `arguments` for a kernel.

    Arrays and None are passed as pointers; NumPy scalars, structured scalars and ctypes structures by value. A Python
    int is 8 bytes and a float is a double, as CuPy passes them.

    Raises
    ------
    ArgumentError
        Naming the argument, what it got and what it takes.
    """
    if len(arguments) != kernel.parameters:
        listed = ", ".join(f"{type_name(kernel.parameter[i])} {n}" for i, n in enumerate(parameter_names))
        raise ArgumentError(f"{name} takes {kernel.parameters} arguments ({listed}), got {len(arguments)}")
    values: list[ctypes.Array] = []
    arrays = []
    for i, argument in enumerate(arguments):
        label, parameter = _label(name, i, parameter_names), kernel.parameter[i]
        if parameter.is_pointer:
            data = _check_pointer(label, parameter, argument).to_bytes(8, "little")
            if isinstance(argument, np.ndarray):
                arrays.append((parameter_names[i] if i < len(parameter_names) else f"#{i}", argument))
        else:
            data = _value(label, parameter, argument)
        # Structs of vector types are aligned to up to 32 bytes: an array of 16-byte units, cut to a 64-byte boundary.
        buffer = (ctypes.c_uint8 * (len(data) + 64))()
        offset = -ctypes.addressof(buffer) % 64
        value = (ctypes.c_uint8 * len(data)).from_buffer(buffer, offset)
        ctypes.memmove(value, data, len(data))
        values.append(value)
    pointers = (ctypes.c_void_p * max(1, len(values)))(*[ctypes.addressof(v) for v in values])
    return PackedArguments(pointers, arrays, values)
