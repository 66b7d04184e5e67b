"""Launch plans, and the argument structs that several sources of ``kernels/cuda`` declare.

A plan is a function of shapes, strides and dtypes: it needs no GPU, and is made once for all calls with the same ones.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.cuda import runtime

i32, u32, i64 = ctypes.c_int32, ctypes.c_uint32, ctypes.c_int64

C_TYPES = {
    "float32": "float",
    "float64": "double",
    "float16": "__half",
    "bfloat16": "__nv_bfloat16",
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned",
    "int64": "long long",
    "uint64": "unsigned long long",
}
"""The name of an element type in CUDA C++, by dtype."""

MULTIPROCESSORS = 132
"""Blocks that should at least run at the same time: the multiprocessors of an H100.

A constant, so that how a sum is split, and with it the last bit of the result, does not depend on the GPU.
"""


class Launch(NamedTuple):
    """One kernel launch. Arrays among the arguments are given by name; everything else is passed as it is."""

    file: str
    kernel: str
    grid: tuple[int, int, int]
    threads: int
    arguments: tuple[Any, ...]
    shared_bytes: int = 0


class Plan(NamedTuple):
    """Launches in order, and the array that they need beside the operands: ``"workspace"``, elements and dtype."""

    launches: tuple[Launch, ...]
    workspace: int = 0
    workspace_dtype: str = "float32"


def run(xp: Any, plan: Plan, **arrays: Array | None) -> None:
    """Launch a plan's kernels on arrays of the device."""
    if plan.workspace:
        arrays["workspace"] = xp.empty(plan.workspace, plan.workspace_dtype)
    for launch in plan.launches:
        arguments = bound(launch.arguments, arrays)
        runtime.launch(launch.file, launch.kernel, launch.grid, (launch.threads,), arguments, launch.shared_bytes)


def strides(x: Array) -> tuple[int, ...]:
    """An array's strides in elements."""
    return tuple(step // x.itemsize for step in x.strides)


def is_aligned(x: Array) -> bool:
    """Whether an array begins at a multiple of 16 bytes, as 128-bit accesses must."""
    return x.data.ptr % 16 == 0


def bound(arguments: Sequence[Any], arrays: dict[str, Array | None]) -> tuple[Any, ...]:
    """The arguments with the arrays in place of their names."""
    return tuple(arrays[a] if isinstance(a, str) else a for a in arguments)


class FastDiv(ctypes.Structure):
    """See fastdiv.cuh."""

    _fields_ = [(name, u32) for name in ("divisor", "multiplier", "shift")]


def fast_div(divisor: int) -> FastDiv:
    """What a kernel needs to divide ``0 <= n < 2**31`` by `divisor` with a multiplication and a shift."""
    divisor = max(divisor, 1)
    if divisor == 1:
        return FastDiv(1, 0, 0)
    power = 31 + (divisor - 1).bit_length()
    return FastDiv(divisor, -(-(1 << power) // divisor), power - 32)


def accumulator(dtype: str) -> str:
    """The dtype in which a kernel sums: see ``Accumulator`` in numeric.cuh."""
    if dtype in ("float32", "float16", "bfloat16"):
        return "float32"
    if dtype == "float64":
        return "float64"
    return "uint64" if dtype in ("int64", "uint64") else "uint32"


ACTIVATIONS = {"identity": 0, "relu": 1, "gelu": 2}
"""``enum Activation`` of epilogue.cuh."""


def epilogue(dtype: str, alpha: float = 1.0, aligned: bool = False) -> ctypes.Structure:
    """``Epilogue<A>`` of epilogue.cuh for the accumulator A of `dtype`.

    Parameters
    ----------
    aligned
        Whether every row of the output begins at a whole vector and consists of whole vectors.
    """
    kind = epilogue_type(dtype)
    return kind(alpha if kind in (_EPILOGUES["float32"], _EPILOGUES["float64"]) else int(alpha), aligned)


def epilogue_type(dtype: str) -> type[ctypes.Structure]:
    """The ctypes structure of ``Epilogue<A>``."""
    return _EPILOGUES[accumulator(dtype)]


def _epilogue(alpha: Any) -> type[ctypes.Structure]:
    return type("Epilogue", (ctypes.Structure,), {"_fields_": [("alpha", alpha), ("aligned", i32)]})


_EPILOGUES = {
    "float32": _epilogue(ctypes.c_float),
    "float64": _epilogue(ctypes.c_double),
    "uint32": _epilogue(u32),
    "uint64": _epilogue(ctypes.c_uint64),
}


def by_value(struct: ctypes.Structure) -> np.void:
    """A structure as a NumPy scalar, which CuPy and the emulator pass by value."""
    return np.frombuffer(bytes(struct), np.dtype(("V", ctypes.sizeof(struct))))[0]


def up(a: int, b: int) -> int:
    """``a / b`` rounded up."""
    return -(-a // b)
