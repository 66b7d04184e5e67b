"""Sums, differences, products and quotients of large flat arrays, and of one with a number: one pass, all threads.

A task is one of `parts` runs of elements. Each result is rounded once, as NumPy does. Bytes, float32: 12 an element,
with a number 8.
"""

from __future__ import annotations

from .parallel import parallel_for


@parallel_for
def add(part, a, b, y, parts):
    """``y = a + b``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, q, r = a[first:end], b[first:end], y[first:end]
    for i in range(end - first):
        r[i] = p[i] + q[i]


@parallel_for
def subtract(part, a, b, y, parts):
    """``y = a - b``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, q, r = a[first:end], b[first:end], y[first:end]
    for i in range(end - first):
        r[i] = p[i] - q[i]


@parallel_for
def multiply(part, a, b, y, parts):
    """``y = a b``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, q, r = a[first:end], b[first:end], y[first:end]
    for i in range(end - first):
        r[i] = p[i] * q[i]


@parallel_for
def true_divide(part, a, b, y, parts):
    """``y = a / b``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, q, r = a[first:end], b[first:end], y[first:end]
    for i in range(end - first):
        r[i] = p[i] / q[i]


@parallel_for
def add_number(part, a, number, y, parts):
    """``y = a + number``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, r = a[first:end], y[first:end]
    for i in range(end - first):
        r[i] = p[i] + number


@parallel_for
def subtract_number(part, a, number, y, parts):
    """``y = a - number``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, r = a[first:end], y[first:end]
    for i in range(end - first):
        r[i] = p[i] - number


@parallel_for
def subtract_from_number(part, a, number, y, parts):
    """``y = number - a``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, r = a[first:end], y[first:end]
    for i in range(end - first):
        r[i] = number - p[i]


@parallel_for
def multiply_number(part, a, number, y, parts):
    """``y = a number``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, r = a[first:end], y[first:end]
    for i in range(end - first):
        r[i] = p[i] * number


@parallel_for
def divide_by_number(part, a, number, y, parts):
    """``y = a / number``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, r = a[first:end], y[first:end]
    for i in range(end - first):
        r[i] = p[i] / number


@parallel_for
def divide_number(part, a, number, y, parts):
    """``y = number / a``."""
    first, end = len(y) * part // parts, len(y) * (part + 1) // parts
    p, r = a[first:end], y[first:end]
    for i in range(end - first):
        r[i] = number / p[i]
