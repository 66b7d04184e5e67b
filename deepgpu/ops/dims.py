"""Dimension arguments: ``dim=-1``, ``dim=(0, 2)``, ``size=(2, -1)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


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
    """Sizes given one by one or as a sequence."""
    if len(args) == 1 and isinstance(args[0], Sequence):
        args = tuple(args[0])
    return tuple([int(a) for a in args])
