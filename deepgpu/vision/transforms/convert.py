"""Between Pillow images and tensors, and between pixel types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.matmul import matmul
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


class LinearTransformation(Transform):
    """``(image - mean_vector) @ transformation_matrix`` of each flattened image, such as whitening.

    Parameters
    ----------
    transformation_matrix
        A tensor (D, D), D = C x H x W.
    mean_vector
        A tensor (D,).
    """

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor) -> None:
        super().__init__()
        rows, columns = transformation_matrix.shape
        if rows != columns:
            expected, found = "a square matrix", tuple(transformation_matrix.shape)
            raise ValueError(takes("LinearTransformation", "transformation_matrix", expected, found))
        if tuple(mean_vector.shape) != (rows,):
            raise ValueError(takes("LinearTransformation", "mean_vector", f"shape {(rows,)}", tuple(mean_vector.shape)))
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def forward(self, img: Any) -> Tensor:
        size = len(self.mean_vector)
        if img.shape[-3:].numel() != size:
            expected = f"{size} values (C x H x W), as many as the matrix has rows"
            raise ValueError(takes("LinearTransformation", "img", expected, tuple(img.shape)))
        flat = img.reshape(-1, size) - self.mean_vector
        return matmul(flat, self.transformation_matrix).reshape(img.shape)

    def extra_repr(self) -> str:
        return f"transformation_matrix={self.transformation_matrix.tolist()}, mean_vector={self.mean_vector.tolist()}"
