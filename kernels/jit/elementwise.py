"""Functions of each element over flat arrays: what is written is the function of one element, all around it is here.

>>> @elementwise
... def scaled(x, factor):
...     return factor * x
>>> scaled(tasks, x, y, (np.float32(2),), tasks)        # y[i] = scaled(x[i], 2)

``@elementwise(arrays=2)`` takes elements of two arrays. A task is one of `parts` runs of elements.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

from .compile import kernel
from .parallel import parallel_for

FUSED = {"contract"}
"""A product and a sum may become one instruction, which rounds once."""


def elementwise(function: Callable[..., Any] | None = None, *, arrays: int = 1, **options: Any) -> Any:
    """Make of `function(*elements, *factors)` a kernel ``(tasks, *arrays, y, factors, parts)``.

    Parameters
    ----------
    function
        What an element of `y` is. It is compiled into the loop, and becomes vectors if all it calls does.
    arrays
        How many arrays there are, one to three. Each, and `y`, is one-dimensional and contiguous.
    **options
        :func:`numba.njit`'s.
    """
    if function is None:
        return functools.partial(elementwise, arrays=arrays, **options)
    return _around(function, (_of_one, _of_two, _of_three)[arrays - 1], options)


def by_rows(function: Callable[[Any, Any], Any]) -> Any:
    """Make of `function(element, other)` a kernel ``(tasks, x, other, starts, step, y, parts)``.

    The flat `x` and `y` are so many rows as there are starts: places in the flat `other` where a row of `x` finds its
    elements, one after the other if the step is 1, or its only one if it is 0.
    """
    return _around(function, _of_rows, {})


def _around(function: Callable[..., Any], loop: Callable[..., Any], options: dict[str, Any]) -> Any:
    """The kernel of a loop that calls the function ``of``."""
    of = kernel(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True, **options)
    made = FunctionType(loop.__code__, {**globals(), "of": of}, function.__name__)
    made.__qualname__, made.__module__, made.__doc__ = function.__qualname__, function.__module__, function.__doc__
    return parallel_for(made, **options)


def _of_one(part, x, y, factors, parts):
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    a, b = x[first:end], y[first:end]
    for i in range(end - first):
        b[i] = of(a[i], *factors)  # noqa: F821 - a global of each copy


def _of_two(part, p, q, y, factors, parts):
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    a, b, c = p[first:end], q[first:end], y[first:end]
    for i in range(end - first):
        c[i] = of(a[i], b[i], *factors)  # noqa: F821 - a global of each copy


def _of_three(part, p, q, r, y, factors, parts):
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    a, b, c, d = p[first:end], q[first:end], r[first:end], y[first:end]
    for i in range(end - first):
        d[i] = of(a[i], b[i], c[i], *factors)  # noqa: F821 - a global of each copy


def _of_rows(part, x, other, starts, step, y, parts):
    n = len(y) // len(starts)
    for r in range(len(starts) * part // parts, len(starts) * (part + 1) // parts):
        a, c, start = x[r * n : r * n + n], y[r * n : r * n + n], starts[r]
        if step:
            b = other[start : start + n]
            for i in range(n):
                c[i] = of(a[i], b[i])  # noqa: F821 - a global of each copy
        else:
            number = other[start]
            for i in range(n):
                c[i] = of(a[i], number)  # noqa: F821 - a global of each copy
