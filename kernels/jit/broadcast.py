"""Sums, differences, products and quotients of a large array and a smaller one that is broadcast to it; its repetition.

In the order of the large one's memory, the smaller one's elements either go along with a row of it, or one of them
stays for all of it. Each result is rounded once, as NumPy does. Bytes, float32: 8 an element.
"""

from __future__ import annotations

from .elementwise import by_rows


@by_rows
def add(a, b):
    """``a + b``."""
    return a + b


@by_rows
def subtract(a, b):
    """``a - b``."""
    return a - b


@by_rows
def subtract_from(a, b):
    """``b - a``."""
    return b - a


@by_rows
def multiply(a, b):
    """``a b``."""
    return a * b


@by_rows
def divide_by(a, b):
    """``a / b``."""
    return a / b


@by_rows
def divide(a, b):
    """``b / a``."""
    return b / a


@by_rows
def repeat(a, b):
    """`b`, whatever `a` is."""
    return b
