"""Dimension arguments: ``dim=-1``, ``dim=(0, 2)``, ``size=(2, -1)``."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from deepgpu.errors import takes

F = TypeVar("F", bound=Callable[..., Any])


def dimension(dim: Any, ndim: int, op: str, argument: str = "dim") -> int:
    """``dim`` counted from the front.

    Raises
    ------
    IndexError
        If there is no such dimension.
    """
    dim = int(dim)
    limit = max(ndim, 1)
    if not -limit <= dim < limit:
        raise IndexError(f"`{op}`: `{argument}` takes a dimension in [{-limit}, {limit - 1}], but got {dim}")
    return dim % limit


def dimensions(dim: Any, ndim: int, op: str) -> tuple[int, ...]:
    """A dimension, several, or None for all of them, counted from the front."""
    if dim is None:
        return tuple(range(ndim))
    if not isinstance(dim, int) and isinstance(dim, Sequence):
        if not dim:
            return tuple(range(ndim))
        found = tuple([dimension(d, ndim, op) for d in dim])
        if len(set(found)) != len(found):
            raise RuntimeError(f"`{op}`: `dim` names a dimension twice: {tuple(dim)}")
        return found if ndim else ()
    return (dimension(dim, ndim, op),) if ndim else ()


def sizes(value: Any) -> tuple[int, ...]:
    """One size or a sequence of them. TypeError if one is no integer."""
    if not isinstance(value, (tuple, list)):  # the usual ones first: whether it is a Sequence takes longer to find out
        value = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    return tuple(map(operator.index, value))


def one_by_one(function: F) -> F:
    """Let an op's sizes be given one by one: ``x.permute(1, 0)`` for ``x.permute((1, 0))``.

    They are the parameter behind the tensor; of a function without a tensor, the first.
    """
    parameters = list(inspect.signature(function).parameters)
    place = 1 if parameters[0] == "input" else 0
    name = parameters[place]

    @functools.wraps(function)
    def spread(*args: Any, **kwargs: Any) -> Any:
        if len(args) > place + 1 or (len(args) == place and name not in kwargs):
            args = (*args[:place], args[place:])
        return function(*args, **kwargs)

    return spread  # type: ignore[return-value]


def new_shape(size: Any, op: str) -> tuple[int, ...]:
    """The shape of a new tensor.

    Raises
    ------
    TypeError
        If a size is no integer.
    RuntimeError
        If a size is negative.
    """
    try:
        shape = sizes(size)
    except TypeError:
        types = ", ".join([type(a).__name__ for a in size] if isinstance(size, Sequence) else [type(size).__name__])
        raise TypeError(takes(op, "size", "integers, or a sequence of them", f"{size} ({types})")) from None
    if min(shape, default=0) < 0:
        raise RuntimeError(takes(op, "size", "sizes that are not negative", shape))
    return shape
