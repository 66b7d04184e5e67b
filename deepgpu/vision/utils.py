"""Pictures of batches of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepgpu.errors import takes
from deepgpu.ops.creation import full
from deepgpu.ops.joining import cat, stack
from deepgpu.tensor import Tensor
from deepgpu.vision.drawing import draw_bounding_boxes, draw_keypoints, draw_segmentation_masks
from deepgpu.vision.transforms.functional.image import pillow

__all__ = ["draw_bounding_boxes", "draw_keypoints", "draw_segmentation_masks", "make_grid", "save_image"]


def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Images side by side and in rows, as one image.

    Parameters
    ----------
    tensor
        Images (N, C, H, W), one image (C, H, W) or (H, W), or a list of images of one shape.
    nrow
        How many stand in a row.
    padding
        Pixels around and between them.
    normalize
        Spread the values over [0, 1].
    value_range
        What becomes 0 and 1; by default the least and the largest value.
    scale_each
        Look for these in each image rather than in all.
    pad_value
        What the pixels between are.

    Returns
    -------
    An image (C, H, W), with 3 channels where the images have 1.
    """
    images = _batch(tensor)
    if images.shape[1] == 1:
        images = cat([images] * 3, 1)
    if normalize and len(images):
        dims = (1, 2, 3) if scale_each else (0, 1, 2, 3)
        if value_range is None:
            low, high = images.amin(dims, keepdim=True), images.amax(dims, keepdim=True)
            images = (images - low) / (high - low).clamp(min=1e-5)
        else:
            least, largest = value_range
            images = (images.clamp(least, largest) - least) / max(largest - least, 1e-5)
    n, channels, height, width = images.shape
    if n == 1:
        return images[0]
    columns = min(nrow, n)
    rows = math.ceil(n / columns)
    height, width = height + padding, width + padding
    shape = (channels, height * rows + padding, width * columns + padding)
    grid = full(shape, pad_value, dtype=images.dtype, device=images.device)
    for i in range(n):
        top, left = i // columns * height + padding, i % columns * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = images[i]
    return grid


def _batch(tensor: Tensor | Sequence[Tensor]) -> Tensor:
    """Images (N, C, H, W), outside of the graph."""
    if isinstance(tensor, Tensor):
        images = tensor.detach()
    elif isinstance(tensor, (list, tuple)) and tensor and all(isinstance(t, Tensor) for t in tensor):
        images = stack([t.detach() for t in tensor])
    else:
        raise TypeError(takes("make_grid", "tensor", "a tensor or a list of tensors", type(tensor).__name__))
    if not 2 <= images.ndim <= 4:
        raise ValueError(takes("make_grid", "tensor", "(N, C, H, W), (C, H, W) or (H, W)", tuple(images.shape)))
    return images.reshape(*(1,) * (4 - images.ndim), *images.shape)


def save_image(tensor: Tensor | Sequence[Tensor], fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Write images, floats in [0, 1], side by side into an image file.

    Parameters
    ----------
    tensor
        Images, see :func:`make_grid`.
    fp
        A path or an open file.
    format
        What Pillow calls the format; by default by the name's ending.
    **kwargs
        Passed on to :func:`make_grid`.
    """
    grid = make_grid(tensor, **kwargs)
    pixels = (grid * 255 + 0.5).clamp(0, 255).cpu().numpy().astype("uint8").transpose(1, 2, 0)
    pillow().fromarray(pixels).save(str(fp) if isinstance(fp, Path) else fp, format=format)
