"""Images that are yet to be computed, so that the steps which follow can be done in the same pass.

What a backend returns of a batch normalisation and, where its kernels do more, of a convolution; what is made of them
is in :mod:`deepgpu.pending`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

Array = Any


class Unfinished(ABC):
    """An image that is yet to be computed, so that the steps which follow can be done in the same pass.

    Attributes
    ----------
    shape, dtype
        Of the image.
    reads
        The arrays that it will be computed from, where they are no copies.
    """

    shape: tuple[int, ...]
    dtype: Any
    reads: tuple[Array, ...]

    @abstractmethod
    def __call__(self, residual: Array | None = None, low: float = math.nan, high: float = math.nan) -> Array:
        """``min(max(image + residual, low), high)``; a limit that is NaN limits nothing.

        The residual has the image's shape and dtype. Every step is rounded as if it were a pass of its own.
        """


class Convolution(Unfinished):
    """A convolution that is yet to be computed, and perhaps the batch normalisation of it."""

    @abstractmethod
    def normalised(
        self, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
    ) -> Convolution | None:
        """With a batch normalisation by given statistics; None if it has one already."""

    @abstractmethod
    def onto(self, image: Array) -> Unfinished:
        """What follows the convolution, where ``image``, its result, has been computed after all."""

    def with_moments(self) -> tuple[Array, Any]:
        """The image, and the moments of its channels as the device keeps them; None if its kernel takes none."""
        return self(), None


class Normalisation(Unfinished):
    """A batch normalisation that is yet to be computed: the image, and the factors of its channels as copies.

    Attributes
    ----------
    x
        ``(N, C)`` or ``(N, C, spatial...)``
    """

    def __init__(self, x: Array) -> None:
        self.x, self.shape, self.dtype, self.reads = x, x.shape, x.dtype, (x,)

    def limited_gradient(self, gy: Array, y: Array, low: float, high: float) -> Unfinished | None:
        """``gy``, but 0 where ``y``, the normalised image within the limits, is at one of them.

        Left open for :meth:`deepgpu.backends.base.Backend.batch_norm_backward` to do; None where this device cannot.
        """
        return None
