"""Tensors whose last step is still to be done, so that it can be done together with the next one.

Batch normalisation, a residual sum and ReLU would each read and write the whole image. So the result of the first is
only a :class:`Recipe`; the sum adds its operand to the recipe, and ReLU carries it out, all in one pass over memory.
Where no gradient is recorded, the recipe begins one step earlier, with the convolution, and its kernel does the rest.
In training it begins there, too, so that the kernel takes the moments that batch normalisation needs.
Nothing of this can be seen from outside: whoever looks at a pending tensor's values has them computed first, and so
does whoever is about to write to the memory that they are computed from.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import state
from deepgpu.backends.base import Array, Backend
from deepgpu.backends.unfinished import Convolution, Unfinished
from deepgpu.tensor import Size, Tensor, wrap
from deepgpu.version import Version

WORTH = 1 << 15
"""Elements from which on a pass over memory costs more than the bookkeeping to avoid it."""


class Origin:
    """A convolution that several pending tensors may be made of; it is to be computed once for all of them."""

    def __init__(self, image: Convolution) -> None:
        self.image = image
        self.computed: Array | None = None
        self.holders: list[weakref.ref[Pending]] = []

    def is_shared(self, recipe: Recipe) -> bool:
        """Whether other tensors wait for it."""
        for holder in self.holders:
            t = holder()
            if type(t) is Pending and t.recipe is not recipe:
                return True
        return False


class Recipe:
    """An image that is not finished, what is added to it, and its limits: on raw arrays."""

    __slots__ = ("dtype", "holder", "image", "limits", "ndim", "origin", "reads", "replaced", "residual", "shape")

    def __init__(
        self,
        image: Any,
        residual: Array | None = None,
        limits: tuple[float, float] | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.image = image  # unfinished: a convolution if there is an origin
        self.residual = residual
        self.limits = limits
        self.origin = origin
        self.holder: weakref.ref[Pending] | None = None
        self.replaced = False  # whether the op that takes it will replace its tensor's values
        self.shape, self.ndim, self.dtype = image.shape, len(image.shape), image.dtype
        self.reads = image.reads if residual is None else (*image.reads, residual)

    def convolution(self) -> Convolution | None:
        """The convolution that it consists of, unless that is computed or something follows it."""
        if self.residual is not None or self.limits is not None or self.origin is None:
            return None
        image = self.origin.image
        return image if self.image is image and self.origin.computed is None else None

    def fulfil(self, array: Array) -> None:
        """Let its tensor, and others that are made of the same convolution, know the array that was computed of it."""
        t = self.holder() if self.holder is not None else None
        if t is not None:
            t._data = array
        if self.origin is not None:
            self.origin.computed = array

    def normalised(self, *statistics: Any) -> Recipe | None:
        """The recipe of the batch norm by given statistics; None if there is none."""
        if self.origin is None or self.residual is not None or self.limits is not None:
            return None
        image = self.image.normalised(*statistics)
        return None if image is None else Recipe(image, origin=self.origin)

    def plus(self, residual: Array) -> Recipe | None:
        """The recipe of the sum; None if there is none: one array can be added, of the same shape and dtype."""
        fits = residual.shape == self.shape and residual.dtype == self.dtype
        if not fits or self.residual is not None or self.limits is not None:
            return None
        return Recipe(self.image, residual, origin=self.origin)

    def limited(self, low: float, high: float, now: bool) -> Recipe | Array | None:
        """The values within ``[low, high]``, as a recipe or at once; a limit that is NaN limits nothing."""
        if self.limits is not None:
            return None
        if now and not self.replaced and self.convolution() is not None:  # the image itself is wanted, too
            return None
        recipe = Recipe(self.image, self.residual, (low, high), self.origin)
        return recipe.carry_out(self) if now else recipe

    def bare(self) -> Unfinished | Array:
        """The image itself where there is nothing to do after it, else the array."""
        return self.image if self.residual is None and self.limits is None and self.origin is None else self.values()

    def values(self) -> Array:
        """The array, which the tensor that has the recipe gets too."""
        t = self.holder() if self.holder is not None else None
        return self.carry_out(self) if t is None else t._data

    def carry_out(self, holding: Recipe) -> Array:
        """Compute the array, always a new one; ``holding`` is the recipe of the tensor that this is for."""
        image, origin = self.image, self.origin
        if origin is not None:
            if origin.computed is None and origin.is_shared(holding):
                origin.computed = origin.image()
            if origin.computed is not None:
                image = image.onto(origin.computed)
        return image(self.residual, *(self.limits or (np.nan, np.nan)))


def worthwhile(image: Unfinished) -> bool:
    """Whether it pays to leave a step for later. The half types round after every step, so they never wait."""
    return math.prod(image.shape) >= WORTH and image.dtype.itemsize >= 4


class Pending(Tensor):
    """A tensor that has a recipe in place of an array; it becomes a plain :class:`Tensor` when it gets the array."""

    recipe: Recipe
    sources: list[Version]
    """Of the tensors whose memory the recipe reads."""

    @property
    def _data(self) -> Array:
        array = self.recipe.carry_out(self.recipe)
        self._data = array
        return array

    @_data.setter
    def _data(self, array: Array) -> None:
        del self.recipe, self.sources
        self.__class__ = Tensor  # type: ignore[assignment]
        self._data = array

    def hand_over(self, heir: Pending) -> None:
        """Let another pending tensor be computed by this one's recipe."""
        heir._take(self.recipe, self.sources)

    def _take(self, recipe: Recipe, sources: list[Version]) -> None:
        self.recipe, self.sources = recipe, sources
        holder = recipe.holder = weakref.ref(self)
        if recipe.origin is not None:
            recipe.origin.holders.append(holder)
        for version in sources:
            version.memory.wait(holder)

    # What is known without the values:

    @property
    def _form(self) -> Any:
        return self.recipe

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
        elif isinstance(x, Tensor):
            data = x._data
            for array in recipe.reads:
                if array is data:
                    sources.append(x._version or x._shared_version())
                    break
    for version in sources:
        if version.pinned:
            return wrap(recipe.carry_out(recipe), backend)
    t = Pending.__new__(Pending)
    t._backend = backend
    if state.inference:
        t._inference = True
    t._take(recipe, sources)
    return t
