"""Machine code that is compiled once and called by its address.

What a kernel calls as a function is compiled again with each kernel that does. For long code that many kernels use,
such as Winograd's transforms, that would be most of the time of a first start. An address costs a few nanoseconds::

    table = machine_code("pairs", [sum_of_pairs, ...])     # emitting functions, as vector_kernel takes them
    (address, ...) = table()                               # compiled, or loaded from disk

    @kernel
    def f(a, b):
        call(address, (a, b))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compile import kernel
from .vector import INT64, emitted


def machine_code(name: str, functions: Sequence[Callable[..., None] | None]) -> Any:
    """A kernel that returns the addresses of what these functions emit, 0 for None. They are valid while it lives."""

    @intrinsic
    def addresses(typingctx: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: list) -> Any:
            found = []
            for k, function in enumerate(functions):
                place = ir.Constant(INT64, 0)
                if function is not None:
                    place = builder.ptrtoint(emitted(builder.module, f"{name}.{k}", function), INT64)
                found.append(place)
            return context.make_tuple(builder, signature.return_type, found)

        return types.UniTuple(types.int64, len(functions))(), generate

    # as in `parallel_for`: the same code for every table, with globals and, for the disk cache, a name of its own
    table = FunctionType(_table.__code__, {**globals(), "addresses": addresses}, name)
    table.__qualname__ = name
    return kernel(table, linked=False)


def _table():
    return addresses()  # noqa: F821 - a global of each copy, see machine_code


@intrinsic
def call(typingctx, address, arguments):
    """Call the code at an address with a tuple of integers."""

    def generate(context, builder, signature, args):
        values = cgutils.unpack_tuple(builder, args[1])
        values = [context.cast(builder, v, kind, types.int64) for v, kind in zip(values, arguments.types, strict=True)]
        code = ir.FunctionType(ir.VoidType(), [INT64] * len(values))
        builder.call(builder.inttoptr(args[0], code.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), generate
