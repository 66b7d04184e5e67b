"""Sums, differences, products and quotients of large flat arrays, and of one with a number: one pass, all threads.

Each result is rounded once, as NumPy does. Bytes, float32: 12 an element, with a number 8.
"""

from __future__ import annotations

from .elementwise import elementwise


@elementwise(arrays=2)
def add(a, b):
    """``a + b``."""
    return a + b


@elementwise(arrays=2)
def subtract(a, b):
    """``a - b``."""
    return a - b


@elementwise(arrays=2)
def multiply(a, b):
    """``a b``."""
    return a * b


@elementwise(arrays=2)
def true_divide(a, b):
    """``a / b``."""
    return a / b


@elementwise
def add_number(a, number):
    """``a + number``."""
    return a + number


@elementwise
def subtract_number(a, number):
    """``a - number``."""
    return a - number


@elementwise
def subtract_from_number(a, number):
    """``number - a``."""
    return number - a


@elementwise
def multiply_number(a, number):
    """``a number``."""
    return a * number


@elementwise
def divide_by_number(a, number):
    """``a / number``."""
    return a / number


@elementwise
def divide_number(a, number):
    """``number / a``."""
    return number / a
