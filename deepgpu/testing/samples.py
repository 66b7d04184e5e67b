"""What an op is tried on: :class:`Sample`, and :class:`Maker`, which draws its arrays."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from deepgpu import dtypes
from deepgpu.testing.convert import tree_map

FLOATING = ("float64", "float32", "float16", "bfloat16")
INTEGRAL = ("int64", "int32", "int16", "int8", "uint8", "bool")


class Sample:
    """One call of an op: its arguments, in which NumPy arrays stand for tensors.

    Parameters
    ----------
    *args, **kwargs
        As the op takes them; dtypes and memory formats are deepgpu's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs
        self.differentiable = True
        self.twice = True
        self.smooth = True

    def forward_only(self) -> Sample:
        """Only compare results, not gradients."""
        self.differentiable = self.twice = self.smooth = False
        return self

    def gradient_only(self) -> Sample:
        """Compare results and gradients, but no second derivatives: PyTorch's are not to be relied on here."""
        self.twice = self.smooth = False
        return self

    def at_kink(self) -> Sample:
        """Compare gradients with PyTorch's, but not with finite differences: the function has a kink here."""
        self.smooth = False
        return self

    def map(self, function: Any) -> Sample:
        """The sample with ``function`` applied to every argument."""
        made = Sample(*tree_map(function, self.args), **tree_map(function, self.kwargs))
        made.differentiable, made.twice, made.smooth = self.differentiable, self.twice, self.smooth
        return made

    def __repr__(self) -> str:
        shown = [_shown(a) for a in self.args] + [f"{k}={_shown(v)}" for k, v in self.kwargs.items()]
        return f"({', '.join(shown)})"


def _shown(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"{x.dtype.name}{list(x.shape)}"
    if isinstance(x, (list, tuple)):
        inner = ", ".join([_shown(v) for v in x])
        return f"[{inner}]" if isinstance(x, list) else f"({inner})"
    return repr(x)


class Maker:
    """Draws arrays of one dtype.

    Parameters
    ----------
    dtype
        Name of the dtype, such as ``"float32"``.
    seed
        Two makers of one seed draw the same.
    low, high
        Floating-point numbers lie between them; integers do so too, unsigned ones not below 0.

    Attributes
    ----------
    dtype
        The name.
    is_floating
        Whether it is a floating-point dtype.
    """

    def __init__(self, dtype: str, seed: int, low: float = -2.0, high: float = 2.0) -> None:
        self.dtype = dtype
        self.is_floating = dtype in FLOATING
        self._numpy = dtypes.named(dtype).numpy
        self._rng = np.random.default_rng(seed)
        self._low, self._high = low, high

    def __call__(self, *shape: int, low: float | None = None, high: float | None = None) -> np.ndarray:
        """Random values; bool is True half of the time."""
        low = self._low if low is None else low
        high = self._high if high is None else high
        if self.dtype == "bool":
            return np.asarray(self._rng.integers(0, 2, shape) == 1)
        if self.is_floating:
            return np.asarray(self._rng.uniform(low, high, shape)).astype(self._numpy)
        first = int(np.ceil(max(low * 4, 0) if self.dtype == "uint8" else low * 4))
        return np.asarray(self._rng.integers(first, max(int(high * 4), first + 1), shape)).astype(self._numpy)

    def distinct(self, *shape: int) -> np.ndarray:
        """Values of which no two are equal or close (as far as the dtype has so many)."""
        n = int(np.prod(shape))
        values = self._rng.permutation(n) - n // 2
        return np.asarray(values / 4 if self.is_floating else values).astype(self._numpy).reshape(shape)

    def special(self) -> np.ndarray:
        """NaN, infinities, zeros of both signs and their neighbours; for integers the limits."""
        if self.is_floating:
            info = ml_dtypes.finfo(self._numpy)
            edges = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5]
            return np.array([*edges, float(info.tiny), float(info.max), float(info.min)]).astype(self._numpy)
        if self.dtype == "bool":
            return np.array([False, True])
        limits = np.iinfo(self._numpy)
        return np.array([limits.min, limits.min + 1, 0, 1, 2, 3, limits.max - 1, limits.max], self._numpy)

    def full(self, shape: tuple[int, ...], value: float) -> np.ndarray:
        """One value everywhere."""
        return np.full(shape, value).astype(self._numpy)

    def values(self, data: Any) -> np.ndarray:
        """These values."""
        return np.asarray(data).astype(self._numpy)

    def index(self, *shape: int, high: int) -> np.ndarray:
        """int64 positions in ``0 .. high - 1``."""
        return np.asarray(self._rng.integers(0, high, shape), np.int64)

    def mask(self, *shape: int) -> np.ndarray:
        """Bools, True half of the time."""
        return np.asarray(self._rng.integers(0, 2, shape) == 1)
