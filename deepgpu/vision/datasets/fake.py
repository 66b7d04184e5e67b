"""Images of noise, to try programs without data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepgpu.ops.sampling import randint, randn
from deepgpu.random import Generator
from deepgpu.vision.datasets.vision import VisionDataset
from deepgpu.vision.transforms.functional import to_pil_image


class FakeData(VisionDataset):
    """Images of noise with random classes; each is the same whenever it is asked for.

    Parameters
    ----------
    size
        How many.
    image_size
        Channels, height and width.
    num_classes
        How many classes.
    transform
        A function of the Pillow image.
    target_transform
        A function of the class index.
    random_offset
        The seed of the first image.
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: Sequence[int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size = size
        self.image_size = tuple(image_size)
        self.num_classes = num_classes
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image (a Pillow image before its transform) and the index of its class."""
        if not 0 <= index < self.size:
            raise IndexError(f"`FakeData`: index {index} is out of range of {self.size} images")
        stream = Generator().manual_seed(index + self.random_offset)
        noise = (randn(*self.image_size, generator=stream) * 0.25 + 0.5).clamp(0, 1)
        target = randint(self.num_classes, (), generator=stream).item()
        return self.transformed(to_pil_image(noise), target)

    def __len__(self) -> int:
        return self.size
