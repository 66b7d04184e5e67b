"""The base of data sets of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepgpu.ops.creation import from_numpy
from deepgpu.tensor import Tensor
from deepgpu.utils.data import Dataset, Samples
from deepgpu.vision.transforms.base import IMAGES, TENSORS, of_batch
from deepgpu.vision.transforms.functional.image import pillow

Transform = Callable[[Any], Any]


class VisionDataset(Dataset[Any]):
    """A data set of images.

    Parameters
    ----------
    root
        The folder of its files.
    transforms
        A function of image and target that gives both; instead of the next two.
    transform
        A function of the image.
    target_transform
        A function of the target.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        transforms: Callable[[Any, Any], Any] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError(
                f"`{type(self).__name__}`: only `transforms` or `transform`/`target_transform` can be given"
            )
        self.root = root
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = transforms

    def transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        """Image and target after their transforms."""
        if self.transforms is not None:
            return self.transforms(image, target)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define `__len__()`")

    def extra_repr(self) -> str:
        """What else there is to say, for ``repr``."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        for name in ("transforms", "transform", "target_transform"):
            if getattr(self, name) is not None:
                lines.append(f"{name}: {getattr(self, name)!r}".replace("\n", "\n    "))
        return "\n    ".join(lines)


class ImagesInMemory(VisionDataset):
    """Images that are all in memory, as bytes.

    A loader gets whole batches, taken from memory and transformed at once, where that gives the same as image by image:
    if the transforms are all ours, with a ``ToTensor`` or ``PILToTensor`` among them, and can do so.

    Attributes
    ----------
    data
        uint8 pixels (N, H, W) or (N, H, W, C), a tensor or an array.
    targets
        Class indices: an int64 tensor, or a list of ints.
    classes
        The names of the classes.
    """

    data: Any
    targets: Any
    classes: Sequence[str]

    def __len__(self) -> int:
        return len(self.data)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The index of each class by name."""
        return {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image (a Pillow image before its transform) and the index of its class."""
        return self.transformed(pillow().fromarray(np.asarray(self.data[index])), int(self.targets[index]))

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """The samples of a batch."""
        own = type(self).__getitem__ is not ImagesInMemory.__getitem__
        if own or self.transforms or self.target_transform or of_batch(self.transform, IMAGES) != TENSORS:
            return [self[i] for i in indices]
        images = _array(self.data)[np.asarray(indices)]
        images = images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        targets = self.targets.numpy() if isinstance(self.targets, Tensor) else self.targets
        labels = np.array([targets[i] for i in indices], np.int64)
        assert self.transform is not None
        return Samples(self.transform(from_numpy(images)), from_numpy(labels), numbers=True)


def _array(data: Any) -> np.ndarray:
    return data.numpy() if isinstance(data, Tensor) else np.asarray(data)
