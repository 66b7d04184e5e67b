"""Between Pillow images and tensors, and between pixel types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms import functional as F
from deepgpu.vision.transforms.base import IMAGES, TENSORS, Transform


class ToTensor(Transform):
    """A Pillow image or an array (H, W, C) as a tensor (C, H, W); bytes become floats in [0, 1].

    A uint8 tensor (..., C, H, W) becomes floats in the same way.
    """

    def forward(self, img: Any) -> Tensor:
        return F.to_tensor(img)

    def of_batch(self, kind: str) -> str | None:
        return TENSORS if kind == IMAGES else None


class PILToTensor(Transform):
    """A Pillow image as a tensor (C, H, W) with the same values; a uint8 tensor stays as it is."""

    def forward(self, img: Any) -> Tensor:
        if isinstance(img, Tensor) and img.dtype is dtypes.uint8:
            return img
        return F.pil_to_tensor(img)

    def of_batch(self, kind: str) -> str | None:
        return TENSORS if kind == IMAGES else None


class ToPILImage(Transform):
    """A tensor (C, H, W) or an array (H, W, C) as a Pillow image.

    Parameters
    ----------
    mode
        Pillow's mode; by default the one that goes with type and channels.
    """

    def __init__(self, mode: str | None = None) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, img: Any) -> Any:
        return F.to_pil_image(img, self.mode)

    def of_batch(self, kind: str) -> str | None:
        return None

    def extra_repr(self) -> str:
        return "" if self.mode is None else f"mode={self.mode}"


class ConvertImageDtype(Transform):
    """Cast the pixels of a tensor and scale them to the range of the new type.

    Parameters
    ----------
    dtype
        The new type.
    """

    def __init__(self, dtype: dtypes.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, img: Any) -> Tensor:
        return F.convert_image_dtype(img, self.dtype)

    def extra_repr(self) -> str:
        return f"dtype={self.dtype}"


class Normalize(Transform):
    """``(image - mean) / std``, channel by channel.

    Parameters
    ----------
    mean, std
        One number a channel.
    inplace
        Overwrite the tensor.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, img: Any) -> Tensor:
        return F.normalize(img, self.mean, self.std, self.inplace)

    def extra_repr(self) -> str:
        return f"mean={self.mean}, std={self.std}"
