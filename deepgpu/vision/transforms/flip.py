"""Mirrored images."""

from __future__ import annotations

from typing import Any

from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms import functional as F
from deepgpu.vision.transforms.base import RandomTransform, chance, chances


class _RandomFlip(RandomTransform):
    exact_on_bytes = True

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def _flip(self, img: Any) -> Any:
        raise NotImplementedError

    def transform_image(self, img: Any) -> Any:
        return self._flip(img) if chance(self.p) else img

    def transform_batch(self, images: Tensor) -> Tensor:
        return where(chances(self.p, len(images)).to(images.device), self._flip(images), images)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomHorizontalFlip(_RandomFlip):
    """Left and right exchanged with probability ``p``."""

    def _flip(self, img: Any) -> Any:
        return F.hflip(img)


class RandomVerticalFlip(_RandomFlip):
    """Top and bottom exchanged with probability ``p``."""

    def _flip(self, img: Any) -> Any:
        return F.vflip(img)
