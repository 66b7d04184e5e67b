"""How images become a model's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepgpu.tensor import Tensor
from deepgpu.train.sources import Source
from deepgpu.vision import transforms
from deepgpu.vision.models import design_size, is_small, least_size
from deepgpu.vision.transforms.base import Transform

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class RepeatChannels(Transform):
    """A grey tensor (..., 1, H, W) with equal channels.

    Parameters
    ----------
    channels
        How many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, img: Tensor) -> Tensor:
        """(..., channels, H, W)"""
        return img.expand(*img.shape[:-3], self.channels, *img.shape[-2:])

    def extra_repr(self) -> str:
        """The arguments."""
        return f"channels={self.channels}"


@dataclass(frozen=True)
class ImageInput:
    """How an image becomes a model's input.

    Attributes
    ----------
    channels, size
        What the model takes: ``(channels, size, size)``.
    grey
        Whether images are grey before their channel is repeated.
    pad
        Pixels of ``size`` on each side that are black.
    crop
        Whether images are cut to a square once their shorter side has 8/7 of ``size``; otherwise they are scaled.
    mean, std
        Subtracted and divided by, for each channel.
    """

    channels: int
    size: int
    grey: bool
    pad: int
    crop: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @staticmethod
    def of(source: Source | None, model: str, image_size: int | None) -> ImageInput:
        """What a model is given of a data set; None for images of any size."""
        if source is None:
            size = image_size or design_size(model)
            return ImageInput(3, size, False, 0, not is_small(model), IMAGENET_MEAN, IMAGENET_STD)
        size = image_size or (source.size if is_small(model) else max(source.size, least_size(model)))
        channels = source.channels if is_small(model) else 3
        margin = size - source.size
        pad = margin // 2 if 0 < margin <= 8 and margin % 2 == 0 else 0
        grey = source.channels == 1
        repeat = channels // source.channels
        return ImageInput(channels, size, grey, pad, False, source.mean * repeat, source.std * repeat)

    def for_file(self) -> Any:
        """The transform of an image file, as in the evaluation."""
        return transforms.Compose([transforms.Grayscale()] * self.grey + self._steps(None, False, False))

    def for_data(self, source: Source | None, augment: bool) -> Any:
        """The transform of a data set's images, with random crops and flips or without."""
        return transforms.Compose(self._steps(source, augment, source is None or source.flip))

    def _steps(self, source: Source | None, augment: bool, flip: bool) -> list[Any]:
        steps: list[Any] = []
        inner = self.size - 2 * self.pad
        if self.crop:
            if augment:
                steps.append(transforms.RandomResizedCrop(self.size))
            else:
                steps += [transforms.Resize(self.size * 8 // 7), transforms.CenterCrop(self.size)]
        else:
            if source is None or source.size != inner:
                steps.append(transforms.Resize((inner, inner)))
            if self.pad:
                steps.append(transforms.Pad(self.pad))
            if augment:
                steps.append(transforms.RandomCrop(self.size, padding=max(1, self.size // 14)))
        if augment and flip:
            steps.append(transforms.RandomHorizontalFlip())
        steps.append(transforms.ToTensor())
        if self.grey and self.channels > 1:
            steps.append(RepeatChannels(self.channels))
        return [*steps, transforms.Normalize(self.mean, self.std)]
