"""Dimension arguments: ``dim=-1``, ``dim=(0, 2)``, ``size=(2, -1)``."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from deepgpu.errors import takes


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
    if isinstance(dim, Sequence):
        if not dim:
            return tuple(range(ndim))
        found = tuple([dimension(d, ndim, op) for d in dim])
        if len(set(found)) != len(found):
            raise RuntimeError(f"`{op}`: `dim` names a dimension twice: {tuple(dim)}")
        return found if ndim else ()
    return (dimension(dim, ndim, op),) if ndim else ()


def sizes(args: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as a sequence. TypeError if one is no integer."""
    if len(args) == 1 and isinstance(args[0], Sequence) and not isinstance(args[0], str):
        args = tuple(args[0])
    return tuple([operator.index(a) for a in args])


def new_shape(size: tuple[Any, ...], op: str) -> tuple[int, ...]:
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
        types = ", ".join([type(a).__name__ for a in size])
        raise TypeError(takes(op, "size", "integers, or a sequence of them", f"{size} ({types})")) from None
    if min(shape, default=0) < 0:
        raise RuntimeError(takes(op, "size", "sizes that are not negative", shape))
    return shape
