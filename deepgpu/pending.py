"""Tensors whose last step is still to be done, so that it can be done together with the next one.

Batch normalisation, a residual sum and ReLU would each read and write the whole image. So the result of the first is
only a :class:`Recipe`; the sum adds its operand to the recipe, and ReLU carries it out, all in one pass over memory.
Nothing of this can be seen from outside: whoever looks at a pending tensor's values has them computed first, and so
does whoever is about to write to the memory that they are computed from.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.backends.base import Array, Backend, Normalisation
from deepgpu.tensor import Size, Tensor, wrap
from deepgpu.version import Version

WORTH = 1 << 15
"""Elements from which on a pass over memory costs more than the bookkeeping to avoid it."""


class Recipe:
    """A normalisation of an image, and what is added to it: on raw arrays."""

    __slots__ = ("dtype", "normalisation", "residual", "shape")

    def __init__(self, normalisation: Normalisation, residual: Array | None = None) -> None:
        self.normalisation = normalisation
        self.residual = residual
        self.shape, self.dtype = normalisation.x.shape, normalisation.x.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def plus(self, residual: Array) -> Recipe | None:
        """The recipe of the sum; None if there is none: one array can be added, of the same shape and dtype."""
        fits = self.residual is None and residual.shape == self.shape and residual.dtype == self.dtype
        return Recipe(self.normalisation, residual) if fits else None

    def carry_out(self, low: float = np.nan, high: float = np.nan) -> Array:
        """The array, limited to ``[low, high]``; a limit that is NaN limits nothing."""
        return self.normalisation(self.residual, low, high)


def worthwhile(normalisation: Normalisation) -> bool:
    """Whether it pays to leave a normalisation for later. The half types round after every step, so they never wait."""
    return normalisation.x.size >= WORTH and normalisation.x.dtype.itemsize >= 4


class Pending(Tensor):
    """A tensor that has a recipe in place of an array; it becomes a plain :class:`Tensor` when it gets the array."""

    recipe: Recipe
    sources: list[Version]
    """Of the tensors whose memory the recipe reads."""

    @property
    def _data(self) -> Array:
        array = self.recipe.carry_out()
        self._data = array
        return array

    @_data.setter
    def _data(self, array: Array) -> None:
        del self.recipe, self.sources
        self.__class__ = Tensor  # type: ignore[assignment]
        self._data = array

    def hand_over(self, heir: Pending) -> None:
        """Let another pending tensor be computed by this one's recipe."""
        heir.recipe, heir.sources = self.recipe, self.sources
        for version in self.sources:
            version.wait(weakref.ref(heir))

    # What is known without the values:

    @property
    def shape(self) -> Size:
        return Size(self.recipe.shape)

    @property
    def ndim(self) -> int:
        return len(self.recipe.shape)

    @property
    def dtype(self) -> dtypes.dtype:
        return dtypes.from_numpy(self.recipe.dtype)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.recipe.shape[dim]

    def dim(self) -> int:
        return len(self.recipe.shape)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return settled(self).__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return settled(self).__deepcopy__(memo)

    def __repr__(self) -> str:
        return repr(settled(self))


def settled(t: Tensor) -> Tensor:
    """The tensor itself, with its array computed."""
    t._data  # noqa: B018 - the access computes it
    return t


def pending(recipe: Recipe, backend: Backend, inputs: Iterable[Any]) -> Tensor:
    """A tensor of a recipe that reads the memory of the inputs; computed at once where they can change unnoticed."""
    sources: list[Version] = []
    for x in inputs:
        if type(x) is Pending:
            sources += x.sources
        elif isinstance(x, Tensor) and x._data.shape == recipe.shape:  # parameters are in the recipe as copies
            sources.append(x._shared_version())
    if any(version.pinned for version in sources):
        return wrap(recipe.carry_out(), backend)
    t = wrap(None, backend)
    del t._data
    t.__class__ = Pending
    assert isinstance(t, Pending)
    t.recipe, t.sources = recipe, sources
    for version in sources:
        version.wait(weakref.ref(t))
    return t
