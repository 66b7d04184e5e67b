"""Kernels over a grid of tasks: the function is one task, a call runs all of them on all threads.

>>> @parallel_for
... def scale(task, x, factor):
...     for c in range(x.shape[1]):
...         x[task, c] *= factor
>>> scale(x.shape[0], x, 2.0)           # for task in range(x.shape[0]): scale(task, x, 2.0)

Structures of numbers go to a kernel as plain tuples: the class of a named one is looked up anew at each call, in 2 us
and more. The kernel gives the names, ``p = Problem(*p)``, and that costs nothing.

It is ``numba.prange`` underneath, in one small function that is compiled once and calls the task through a pointer.
A ``prange`` in every kernel would have Numba optimise and assemble each body four times over; so it is twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.ufunc import parallel as threading_layer

from .compile import kernel

_INTP = ir.IntType(64)
_TASK = ir.FunctionType(ir.VoidType(), [_INTP, _INTP])  # void task(index, address of the arguments)


def threads() -> int:
    """How many threads work: :func:`numba.get_num_threads` without the two locks that it takes to start them first."""
    return threading_layer._get_num_threads() if threading_layer._is_initialized else numba.get_num_threads()


def parallel_for(function: Callable[..., None] | None = None, **options: Any) -> Any:
    """Make of `function(task, *arguments)` a kernel ``(tasks, *arguments)`` that runs all the tasks.

    They run in any order on all threads, and must not raise. A single task runs on the calling thread, without the
    microseconds that it takes to wake the others. Options are :func:`numba.njit`'s.
    """
    if function is None:
        return functools.partial(parallel_for, **options)
    # Inlined, so that there is one machine code of the body. Otherwise a process that compiles it runs one, and the
    # next process, which loads the launcher from disk, another with sums contracted elsewhere: different bits.
    body = kernel(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True, **options)
    # the same code for every kernel, with globals and (for the disk cache) a name of its own
    launch = FunctionType(_launch.__code__, {**globals(), "outlined": _outlining(body)}, function.__name__)
    launch.__qualname__, launch.__module__, launch.__doc__ = (
        function.__qualname__,
        function.__module__,
        function.__doc__,
    )
    return kernel(launch, nogil=True, linked=False)


def _launch(tasks, *arguments):
    task, address = outlined(arguments)  # noqa: F821 - a global of each copy, see parallel_for
    if tasks == 1:
        _call(task, 0, address)
    else:
        _on_all_threads(tasks, task, address)


@intrinsic
def _call(typingctx, function, task, arguments):
    """``function(task, arguments)``, the function given by its address."""

    def generate(context, builder, signature, args):
        builder.call(builder.inttoptr(args[0], _TASK.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@kernel(parallel=True, nogil=True)
def _on_all_threads(tasks, function, arguments):
    for task in numba.prange(tasks):
        _call(function, task, arguments)


def _borrowed(context: Any, builder: ir.IRBuilder, kind: types.Type, value: ir.Value) -> ir.Value:
    """An array without its reference count; the caller of the kernel holds it.

    A count would go up and down with every row that a task takes of the array, and all threads would wait for the cache
    line of the one count: half of the time of a softmax over rows of 64.
    """
    if not isinstance(kind, types.Array):
        return value
    array = context.make_array(kind)(context, builder, value)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    return array._getvalue()


def _outlining(body: Any) -> Any:
    """An intrinsic that puts its arguments on the stack: ``(address of a function that runs body on them, theirs)``."""

    @intrinsic
    def outlined(typingctx, arguments):
        signature = types.Dispatcher(body).get_call_type(typingctx, (types.intp, *arguments.types), {})

        def generate(context, builder, _, args):
            stack = cgutils.alloca_once_value(builder, args[0])
            task = ir.Function(builder.module, _TASK, builder.module.get_unique_name("task"))
            task.linkage = "internal"
            _call_body(context, ir.IRBuilder(task.append_basic_block()), task.args, stack.type)
            addresses = [builder.ptrtoint(pointer, _INTP) for pointer in (task, stack)]
            return context.make_tuple(builder, types.UniTuple(types.intp, 2), addresses)

        def _call_body(context, builder, args, stack_type):
            compiled = body.overloads[signature.args]
            context.active_code_library.add_linking_library(compiled.library)
            function = context.declare_function(builder.module, compiled.fndesc)
            values = cgutils.unpack_tuple(builder, builder.load(builder.inttoptr(args[1], stack_type)))
            values = [_borrowed(context, builder, t, v) for t, v in zip(signature.args[1:], values, strict=True)]
            context.call_conv.call_function(builder, function, types.none, signature.args, [args[0], *values])
            builder.ret_void()

        return types.UniTuple(types.intp, 2)(arguments), generate

    return outlined
