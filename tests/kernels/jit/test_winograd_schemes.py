"""The formulas of Winograd's schemes on plain numbers: a tile must come out as a direct sum does, with any points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from deepgpu.kernels.jit.winograd_schemes import F2, F4, F5, PAIRS, SCHEMES, STRIDED2, STRIDED4, saving, scheme_of

NAMES = [scheme.name for scheme in SCHEMES]


@dataclass
class Number:
    """A float64 with what formulas do to a vector."""

    value: float

    def __add__(self, other):
        return Number(self.value + getattr(other, "value", other))

    def __sub__(self, other):
        return Number(self.value - getattr(other, "value", other))

    def __mul__(self, other):
        return Number(self.value * getattr(other, "value", other))

    __radd__, __rmul__ = __add__, __mul__

    def times(self, factor, plus):
        return self * factor + plus


def applied(transform, values):
    found = transform.formula([Number(v) for v in values])
    rows = sorted(row for group in transform.groups for row in group)
    assert rows == list(range(len(found)))  # each result is in one group
    return np.array([number.value for number in found])


def filter_of_point(scheme):
    last = (scheme.filters or scheme.points) - 1
    return np.minimum(np.arange(scheme.points), last)


def pixels_of_output(scheme, i):
    """The pixels of a tile that output ``i`` is made of, and the weights that they meet."""
    if scheme.name == "PAIRS":
        return {0: ((0, 1), (1, 2)), 1: ((0, 0), (1, 1))}[i]
    if scheme.name.endswith("BACK"):  # of gy: an even output meets the middle weight, an odd one the two others
        return ((i // 2, 1),) if i % 2 == 0 else ((i // 2, 0), (i // 2 + 1, 2))
    stride = 2 if "STRIDED" in scheme.name else 1
    return tuple((stride * i + tap, tap) for tap in range(3))


@pytest.mark.parametrize("name", NAMES)
def test_outputs(name):
    scheme = SCHEMES[NAMES.index(name)]
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(scheme.pixels), rng.standard_normal(3)
    points = applied(scheme.values, x) * applied(scheme.filter_values, w)[filter_of_point(scheme)]
    expected = [sum(x[pixel] * w[tap] for pixel, tap in pixels_of_output(scheme, i)) for i in range(scheme.outputs)]
    np.testing.assert_allclose(applied(scheme.results, points), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [scheme.name for scheme in SCHEMES if scheme.gradient_values])
def test_gradients_of_filters(name):
    scheme = SCHEMES[NAMES.index(name)]
    rng = np.random.default_rng(1)
    x, gy = rng.standard_normal(scheme.pixels), rng.standard_normal(scheme.outputs)
    points = applied(scheme.values, x) * applied(scheme.gradient_values, gy)
    sums = np.bincount(filter_of_point(scheme), points)
    expected = np.zeros(3)
    for i in range(scheme.outputs):
        for pixel, tap in pixels_of_output(scheme, i):
            expected[tap] += x[pixel] * gy[i]
    np.testing.assert_allclose(applied(scheme.filter_gradients, sums), expected, rtol=0, atol=1e-12)


def test_the_scheme_with_the_fewest_multiplications():
    def found(height, width, stride=1):
        return scheme_of((stride, stride), (1, 1), (height, width))

    assert found(32, 32) == found(28, 28) == found(7, 7) == found(4, 4) == F4
    assert found(48, 48) == F4  # hardly more multiplications than with F5
    assert found(14, 14) == found(13, 13) == found(10, 10) == found(5, 5) == F5
    assert found(2, 9) == found(1, 1) == F2
    assert found(2, 2) == PAIRS
    assert found(16, 16, 2) == found(7, 7, 2) == found(3, 3, 2) == STRIDED4
    assert found(14, 14, 2) == found(6, 6, 2) == found(1, 1, 2) == STRIDED2
    assert saving((1, 1), (1, 1), (8, 8)) == 4
    assert saving((2, 2), (1, 1), (8, 8)) == 144 / 81
