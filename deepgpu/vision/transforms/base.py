"""What transforms have in common."""

from __future__ import annotations

from typing import Any

from deepgpu.nn.modules.module import Module
from deepgpu.ops.creation import from_numpy
from deepgpu.ops.joining import stack
from deepgpu.random import default_generator
from deepgpu.tensor import Tensor

# What a data set hands over: Pillow images (in a batch, uint8 tensors stand for them), or tensors.
IMAGES, TENSORS = "images", "tensors"


class Transform(Module):
    """A transform of a Pillow image, or of tensors (..., C, H, W). Subclasses define ``forward``.

    A module like torchvision's, so that ``nn.Sequential`` can hold it.

    Attributes
    ----------
    exact_on_bytes
        Whether it does to a uint8 tensor, pixel for pixel, what it does to the Pillow image.
    """

    exact_on_bytes = False

    def of_batch(self, kind: str) -> str | None:
        """What a whole batch of images or tensors becomes; None if the result is another than image by image."""
        return kind if kind == TENSORS or self.exact_on_bytes else None

    def extra_repr(self) -> str:
        """The arguments, for ``repr``."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class RandomTransform(Transform):
    """A transform with random draws, anew for each image of a batch. Subclasses define ``transform_image``."""

    def forward(self, img: Any) -> Any:
        if not (isinstance(img, Tensor) and img.ndim > 3):
            return self.transform_image(img)
        images = img.reshape(-1, *img.shape[-3:])
        if not len(images):
            return img
        out = self.transform_batch(images)
        return out.reshape(*img.shape[:-3], *out.shape[1:])

    def transform_image(self, img: Any) -> Any:
        """A transformed image."""
        raise NotImplementedError(f"{type(self).__name__} must define `transform_image(img)`")

    def transform_batch(self, images: Tensor) -> Tensor:
        """The transformed images (N, C, H, W)."""
        return stack([self.transform_image(image) for image in images])


def of_batch(transform: Any, kind: str) -> str | None:
    """:meth:`Transform.of_batch`, also for functions, which get image after image."""
    return transform.of_batch(kind) if isinstance(transform, Transform) else None


def chance(p: float) -> bool:
    """True with probability ``p``."""
    return bool(default_generator.numpy.random() < p)


def chances(p: float, n: int) -> Tensor:
    """``n`` times True with probability ``p``, of shape (n, 1, 1, 1): for the images of a batch."""
    return from_numpy(default_generator.numpy.random(n) < p).reshape(n, 1, 1, 1)


def uniform(low: float, high: float) -> float:
    """A number between ``low`` and ``high``."""
    return float(default_generator.numpy.uniform(low, high))


def integer(low: int, high: int) -> int:
    """An integer from ``low`` up to but without ``high``."""
    return int(default_generator.numpy.integers(low, high))
