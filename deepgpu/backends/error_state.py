"""Results that are infinite or NaN are values, as in PyTorch, and no reason for NumPy to warn.

``with np.errstate(all="ignore")`` says so too, but takes longer than the sum of two small arrays. NumPy keeps its error
state in a context variable, which belongs to the running thread or task: here it is found once, and set for each op::

    before = ignore()
    try:
        y = np.log(x)
    finally:
        restore(before)
"""

from __future__ import annotations

import contextvars
import functools

import numpy as np


def _find() -> tuple[contextvars.ContextVar, object]:
    """NumPy's context variable, and its value while nothing is reported."""
    before = contextvars.copy_context()
    with np.errstate(all="ignore"):
        inside = contextvars.copy_context()
    (changed,) = [variable for variable in inside if inside[variable] is not before.get(variable)]
    return changed, inside[changed]


_variable, _ignoring = _find()

ignore = functools.partial(_variable.set, _ignoring)
"""Let NumPy report nothing until :data:`restore` is given what this returns."""

restore = _variable.reset
