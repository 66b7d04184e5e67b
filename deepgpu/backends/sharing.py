"""Who else can see an array's memory: decided by reference counts, so that what nobody sees is taken over, not copied.

A count that is too high (a debugger's, a local variable's) only costs a copy.
"""

from __future__ import annotations

import sys
from typing import Any


def is_sole(array: Any, references: int) -> bool:
    """Whether an array has just so many references beside the argument itself, and its memory is not seen otherwise.

    Parameters
    ----------
    array
        An array of any backend. Its ``base``, and the base of that, must serve nothing else; memory that belongs to
        another library counts as seen.
    references
        Attributes, entries and variables that are known to hold the array object.
    """
    if sys.getrefcount(array) != references + _ARGUMENT:
        return False
    base = array.base
    while base is not None:
        if sys.getrefcount(base) != _BASE or not hasattr(base, "base"):
            return False
        base = base.base
    return True


def has_references(thing: Any, references: int) -> bool:
    """Whether so many attributes, entries and variables hold an object, beside the argument itself."""
    return sys.getrefcount(thing) == references + _ARGUMENT


class _Holder:
    """One reference to an object whose ``base`` is another."""

    def __init__(self, base: Any) -> None:
        self.base = base


def _calibrate() -> tuple[int, int]:
    """What ``getrefcount`` gives an argument that an attribute holds too, less 1; and a base that one object holds."""

    def argument(thing: Any) -> int:
        return sys.getrefcount(thing)

    def walked(thing: Any) -> int:
        base = thing.base
        while base is not None:
            return sys.getrefcount(base)
        return 0

    holder = _Holder(_Holder(None))
    return argument(holder.base) - 1, walked(holder)


_ARGUMENT, _BASE = _calibrate()
