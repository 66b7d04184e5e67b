"""Transforms of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepgpu.errors import takes
from deepgpu.random import default_generator
from deepgpu.vision.transforms.base import RandomTransform, Transform, chance, of_batch

Step = Callable[[Any], Any]


def _lines(steps: Sequence[Step]) -> str:
    """One step a line, for ``repr``."""
    return "".join("\n    " + str(step).replace("\n", "\n    ") for step in steps) + "\n"


class Compose(Transform):
    """Transforms one after the other.

    Parameters
    ----------
    transforms
        Transforms or functions.
    """

    def __init__(self, transforms: Sequence[Step]) -> None:
        super().__init__()
        self.transforms = transforms

    def forward(self, img: Any) -> Any:
        for step in self.transforms:
            img = step(img)
        return img

    def of_batch(self, kind: str) -> str | None:
        at: str | None = kind
        for step in self.transforms:
            at = None if at is None else of_batch(step, at)
        return at

    def extra_repr(self) -> str:
        return _lines(self.transforms)


class Lambda(Transform):
    """A function as a transform.

    Parameters
    ----------
    lambd
        The function. In a data set it gets image after image.
    """

    def __init__(self, lambd: Step) -> None:
        super().__init__()
        if not callable(lambd):
            raise TypeError(takes("Lambda", "lambd", "a function", type(lambd).__name__))
        self.lambd = lambd

    def forward(self, img: Any) -> Any:
        return self.lambd(img)

    def of_batch(self, kind: str) -> str | None:
        return None


class _RandomSteps(RandomTransform):
    """Draws which steps to take. In a batch every image goes its own way."""

    def __init__(self, transforms: Sequence[Step]) -> None:
        super().__init__()
        if isinstance(transforms, str) or not hasattr(transforms, "__iter__"):
            raise TypeError(takes(type(self).__name__, "transforms", "a sequence", type(transforms).__name__))
        self.transforms = transforms

    def of_batch(self, kind: str) -> str | None:
        return kind if all(of_batch(step, kind) == kind for step in self.transforms) else None

    def extra_repr(self) -> str:
        return _lines(self.transforms)


class RandomApply(_RandomSteps):
    """All of the transforms one after the other, or with probability ``1 - p`` none.

    Parameters
    ----------
    transforms
        Transforms or functions.
    p
        The probability.
    """

    def __init__(self, transforms: Sequence[Step], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = p

    def transform_image(self, img: Any) -> Any:
        if chance(self.p):
            for step in self.transforms:
                img = step(img)
        return img

    def extra_repr(self) -> str:
        return f"\n    p={self.p}{super().extra_repr()}"


class RandomChoice(_RandomSteps):
    """One of the transforms.

    Parameters
    ----------
    transforms
        Transforms or functions.
    p
        Their probabilities, or weights; by default all the same.
    """

    def __init__(self, transforms: Sequence[Step], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and len(p) != len(transforms):
            raise ValueError(takes("RandomChoice", "p", f"one weight for each of {len(transforms)} transforms", len(p)))
        self.p = None if p is None else [weight / sum(p) for weight in p]

    def transform_image(self, img: Any) -> Any:
        return self.transforms[int(default_generator.numpy.choice(len(self.transforms), p=self.p))](img)


class RandomOrder(_RandomSteps):
    """All of the transforms in random order."""

    def transform_image(self, img: Any) -> Any:
        for i in default_generator.numpy.permutation(len(self.transforms)).tolist():
            img = self.transforms[i](img)
        return img
