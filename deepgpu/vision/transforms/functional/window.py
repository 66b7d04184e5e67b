"""Which part of an image, and which way round: crop, pad, flip, erase. The same on Pillow images and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.errors import takes
from deepgpu.ops.creation import as_tensor, full
from deepgpu.ops.rearrangement import flip
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms.functional.conversion import pil_to_tensor, to_pil_image
from deepgpu.vision.transforms.functional.image import get_dimensions, is_image, pillow, size_pair

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def four_sides(padding: Any) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) from an int for all, or (left and right, top and bottom), or all four."""
    values = (padding,) if isinstance(padding, (int, np.integer)) else tuple(padding)
    if len(values) not in (1, 2, 4):
        raise ValueError(takes("pad", "padding", "an int or a sequence of 1, 2 or 4", padding))
    left, top, right, bottom = values if len(values) == 4 else (values[0], values[-1]) * 2
    return int(left), int(top), int(right), int(bottom)


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Enlarge an image on its sides.

    Parameters
    ----------
    img
        A Pillow image or a tensor (..., H, W).
    padding
        Pixels on all sides; or (left and right, top and bottom); or (left, top, right, bottom). Negative numbers crop.
    fill
        What the new pixels are in mode "constant": a number, or one for each channel.
    padding_mode
        "constant", "edge" (the outermost pixel again), "reflect" (mirrored at the outermost pixel) or "symmetric"
        (mirrored at the edge, so that the outermost pixel is repeated).
    """
    left, top, right, bottom = sides = four_sides(padding)
    if padding_mode not in PADDING_MODES:
        raise ValueError(takes("pad", "padding_mode", f"one of {', '.join(PADDING_MODES)}", repr(padding_mode)))
    if is_image(img, "pad"):
        return _pad_pil(img, sides, fill, padding_mode)
    if min(sides) < 0:
        height, width = img.shape[-2:]
        img = img[..., max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]
        left, top, right, bottom = (max(side, 0) for side in sides)
    height, width = img.shape[-2:]
    if padding_mode != "constant":
        rows = np.pad(np.arange(height), (top, bottom), mode=padding_mode)  # type: ignore[call-overload]
        columns = np.pad(np.arange(width), (left, right), mode=padding_mode)  # type: ignore[call-overload]
        return img[..., as_tensor(rows[:, None], device=img.device), as_tensor(columns, device=img.device)]
    values = as_tensor(fill, dtype=img.dtype, device=img.device).reshape(-1)
    shape = (*img.shape[:-2], top + height + bottom, left + width + right)
    padded = full(shape, 0, dtype=img.dtype, device=img.device)
    if bool(values.any()):
        padded[...] = values.reshape(-1, 1, 1)[: img.shape[-3] if img.ndim > 2 else 1]
    padded[..., top : top + height, left : left + width] = img
    return padded


def _pad_pil(img: Any, sides: tuple[int, int, int, int], fill: Any, padding_mode: str) -> Any:
    if padding_mode == "constant" and min(sides) >= 0:
        if isinstance(fill, (list, tuple)):
            fill = tuple(int(f) for f in fill) if len(fill) > 1 else fill[0]
        if not isinstance(fill, tuple) and len(img.getbands()) > 1:
            fill = (int(fill),) * len(img.getbands())
        return pillow("ImageOps").expand(img, border=sides, fill=fill)
    padded = pad(pil_to_tensor(img), sides, fill, padding_mode)
    image = to_pil_image(padded, None if img.mode in ("P", "1") else img.mode)
    if img.mode == "P":
        image.putpalette(img.getpalette())
    return image


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The window of ``height x width`` pixels with its upper left corner at (top, left); 0 outside of the image."""
    if is_image(img, "crop"):
        return img.crop((left, top, left + width, top + height))
    _, h, w = get_dimensions(img)
    bottom, right = top + height, left + width
    inside = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if top >= 0 and left >= 0 and bottom <= h and right <= w:
        return inside
    up, before = min(max(-top, 0), height), min(max(-left, 0), width)
    down, behind = height - up - inside.shape[-2], width - before - inside.shape[-1]
    return pad(inside, (before, up, behind, down))


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle of the image, ``output_size`` large; where the image is smaller it is padded with 0."""
    height, width = size_pair("center_crop", output_size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        left, top = max(width - w, 0) // 2, max(height - h, 0) // 2
        right, bottom = (max(width - w, 0) + 1) // 2, (max(height - h, 0) + 1) // 2
        img = pad(img, (left, top, right, bottom))
        _, h, w = get_dimensions(img)
        if (h, w) == (height, width):
            return img
    return crop(img, round((h - height) / 2.0), round((w - width) / 2.0), height, width)


def five_crop(img: Any, size: Any) -> tuple[Any, ...]:
    """The four corners and the centre: upper left, upper right, lower left, lower right, centre."""
    height, width = size_pair("five_crop", size)
    _, h, w = get_dimensions(img)
    if height > h or width > w:
        raise ValueError(f"`five_crop`: `size` {(height, width)} is larger than the image {(h, w)}")
    corners = [crop(img, top, left, height, width) for top in (0, h - height) for left in (0, w - width)]
    return (*corners, center_crop(img, (height, width)))


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """The five crops of the image, and those of the image flipped."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    if is_image(img, "hflip"):
        return img.transpose(pillow().Transpose.FLIP_LEFT_RIGHT)
    return flip(img, (-1,))


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    if is_image(img, "vflip"):
        return img.transpose(pillow().Transpose.FLIP_TOP_BOTTOM)
    return flip(img, (-2,))


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """Replace the window of ``h x w`` pixels at (i, j) by the values ``v``."""
    if not isinstance(img, Tensor):
        raise TypeError(takes("erase", "img", "a tensor", type(img).__name__))
    img = img if inplace else img.clone()
    img[..., i : i + h, j : j + w] = v
    return img
