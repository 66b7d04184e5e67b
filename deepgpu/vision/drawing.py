"""Boxes, masks and keypoints drawn onto images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.creation import from_numpy
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms.functional.conversion import convert_image_dtype
from deepgpu.vision.transforms.functional.image import pillow

Color = str | tuple[int, int, int]
Colors = Color | list[Color] | None


def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: list[str] | None = None,
    colors: Colors = None,
    fill: bool = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors: Colors = None,
    label_background_colors: Colors = None,
    fill_labels: bool = False,
) -> Tensor:
    """Draw boxes, and what they are called, onto an image.

    Parameters
    ----------
    image
        (3, H, W) or (1, H, W): uint8, or floats in [0, 1].
    boxes
        (N, 4): xmin, ymin, xmax, ymax in pixels; or (N, 8): x and y of four corners, for boxes that are turned.
    labels
        A text for each box.
    colors
        One colour for all or a list with one for each: a name or ``"#FF00FF"`` as Pillow knows them, or three numbers
        from 0 to 255. By default a palette.
    fill
        Fill the boxes too, and let the image shine through.
    width
        Of the lines, in pixels.
    font, font_size
        A TrueType file and its size in points; by default Pillow's own font.
    label_colors
        Of the texts; by default as the boxes, or black on a filled ground.
    fill_labels, label_background_colors
        Fill the ground of the texts, and with what colours; by default as the boxes.

    Returns
    -------
    A new image (3, H, W) of the same dtype.
    """
    name = "draw_bounding_boxes"
    _check_image(name, image, (1, 3))
    if boxes.ndim != 2 or boxes.shape[1] not in (4, 8):
        raise ValueError(takes(name, "boxes", "(N, 4) or (N, 8)", tuple(boxes.shape)))
    if boxes.shape[1] == 4 and bool((boxes[:, :2] > boxes[:, 2:]).any()):
        raise ValueError(takes(name, "boxes", "xmin <= xmax and ymin <= ymax", boxes.tolist()))
    n = len(boxes)
    if labels is not None and len(labels) != n:
        raise ValueError(takes(name, "labels", f"{n} texts, one for each box", len(labels)))
    if n == 0:
        warnings.warn(f"`{name}`: `boxes` is empty; nothing was drawn", stacklevel=2)
        return image
    lines = _colors(name, colors, n)
    texts = _colors(name, label_colors or ("black" if fill_labels else colors), n)
    grounds = _colors(name, label_background_colors or colors, n)
    letters = _font(font, font_size)
    canvas = _canvas(image)
    draw = _draw(canvas, "RGBA" if fill else None)
    for i, box in enumerate(boxes.cpu().numpy().astype(np.int64).tolist()):
        inside = (*lines[i], 100) if fill else None
        if len(box) == 4:
            draw.rectangle(box, width=width, outline=lines[i], fill=inside)
        else:
            draw.polygon([*zip(box[::2], box[1::2], strict=True)], width=width, outline=lines[i], fill=inside)
        if labels is not None:
            place = (box[0] + width + 1, box[1] + width + 1)
            if fill_labels:
                left, top, right, bottom = draw.textbbox(place, labels[i], font=letters)
                draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=grounds[i])
            draw.text(place, labels[i], fill=texts[i], font=letters)
    return _image(canvas, image)


def draw_segmentation_masks(image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Colors = None) -> Tensor:
    """Lay coloured masks over an image; where several overlap, black.

    Parameters
    ----------
    image
        (3, H, W): uint8, or floats in [0, 1].
    masks
        Bools (N, H, W) or (H, W).
    alpha
        0 shows the image only, 1 the masks only.
    colors
        As for :func:`draw_bounding_boxes`.

    Returns
    -------
    A new image (3, H, W) of the same dtype.
    """
    name = "draw_segmentation_masks"
    _check_image(name, image, (3,))
    if masks.ndim == 2:
        masks = masks[None]
    if masks.ndim != 3 or masks.shape[1:] != image.shape[1:]:
        size = tuple(image.shape[1:])
        raise ValueError(takes(name, "masks", f"(N, H, W) or (H, W) with the image's size {size}", tuple(masks.shape)))
    if masks.dtype is not dtypes.bool:
        raise ValueError(takes(name, "masks", "bools", masks.dtype))
    if len(masks) == 0:
        warnings.warn(f"`{name}`: `masks` is empty; nothing was drawn", stacklevel=2)
        return image
    inside = masks.cpu().numpy()
    painted = image.detach().cpu().numpy().copy()
    scale = 255 if image.dtype.is_floating_point else 1
    for mask, color in zip(inside, _colors(name, colors, len(masks)), strict=True):
        painted[:, mask] = np.array(color).reshape(3, 1) / scale
    painted[:, inside.sum(0) > 1] = 0
    kind = image.dtype if image.dtype.is_floating_point else dtypes.float32
    mixed = image.detach().to(kind) * (1 - alpha) + from_numpy(painted).to(image.device).to(kind) * alpha
    return mixed.to(image.dtype)


def draw_keypoints(
    image: Tensor,
    keypoints: Tensor,
    connectivity: Sequence[tuple[int, int]] | None = None,
    colors: Color | None = None,
    radius: int = 2,
    width: int = 3,
    visibility: Tensor | None = None,
) -> Tensor:
    """Draw points, and lines between some of them, onto an image.

    Parameters
    ----------
    image
        (3, H, W): uint8, or floats in [0, 1].
    keypoints
        (N, K, 2): x and y of each of the K points of N instances.
    connectivity
        Pairs of points of an instance that a line joins.
    colors
        Of the points; by default white.
    radius, width
        Of points and lines, in pixels.
    visibility
        Bools (N, K): points that are not to be seen, and lines to them, are left out.

    Returns
    -------
    A new image (3, H, W) of the same dtype.
    """
    name = "draw_keypoints"
    _check_image(name, image, (3,))
    if keypoints.ndim != 3 or keypoints.shape[2] != 2:
        raise ValueError(takes(name, "keypoints", "(N, K, 2)", tuple(keypoints.shape)))
    if visibility is not None and visibility.numel() != keypoints.shape[0] * keypoints.shape[1]:
        raise ValueError(takes(name, "visibility", f"shape {tuple(keypoints.shape[:2])}", tuple(visibility.shape)))
    points = keypoints.cpu().numpy().astype(np.int64)
    seen = np.ones(points.shape[:2], bool)
    if visibility is not None:
        seen = visibility.cpu().numpy().reshape(points.shape[:2]).astype(bool)
    canvas = _canvas(image)
    draw = _draw(canvas)
    for instance, visible in zip(points.tolist(), seen.tolist(), strict=True):
        for (x, y), shown in zip(instance, visible, strict=True):
            if shown:
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colors, outline=None, width=0)
        for a, b in connectivity or ():
            if visible[a] and visible[b]:
                draw.line((*instance[a], *instance[b]), width=width)
    return _image(canvas, image)


def _check_image(op: str, image: Any, channels: tuple[int, ...]) -> None:
    if not isinstance(image, Tensor):
        raise TypeError(takes(op, "image", "a tensor", type(image).__name__))
    if image.dtype is not dtypes.uint8 and not image.dtype.is_floating_point:
        raise ValueError(takes(op, "image", "uint8 or floats", image.dtype))
    if image.ndim != 3 or image.shape[0] not in channels:
        shapes = " or ".join(f"({c}, H, W)" for c in channels)
        raise ValueError(takes(op, "image", f"{shapes}, not a batch", tuple(image.shape)))


def _colors(op: str, colors: Colors, n: int) -> list[tuple[int, ...]]:
    """A colour of three numbers for each of n things."""
    from PIL import ImageColor

    if colors is None:  # torchvision's palette: multiples of three numbers
        return [tuple(i * step % 255 for step in (2**25 - 1, 2**15 - 1, 2**21 - 1)) for i in range(n)]
    if isinstance(colors, list):
        if len(colors) < n:
            raise ValueError(takes(op, "colors", f"at least {n} colours", len(colors)))
        given = colors[:n]
    else:
        given = [colors] * n
    return [ImageColor.getrgb(c) if isinstance(c, str) else tuple(c) for c in given]


def _font(font: str | None, size: int | None) -> Any:
    from PIL import ImageFont

    if font is not None:
        return ImageFont.truetype(font=font, size=size or 10)
    if size is not None:
        warnings.warn("`font_size` is ignored without `font`", stacklevel=3)
    return ImageFont.load_default()


def _draw(canvas: Any, mode: str | None = None) -> Any:
    from PIL import ImageDraw

    return ImageDraw.Draw(canvas, mode)


def _canvas(image: Tensor) -> Any:
    """A colour image for Pillow."""
    pixels = convert_image_dtype(image.detach(), dtypes.uint8).expand(3, -1, -1)
    return pillow().fromarray(np.ascontiguousarray(pixels.cpu().numpy().transpose(1, 2, 0)))


def _image(canvas: Any, like: Tensor) -> Tensor:
    """Pillow's image as a tensor of the dtype and on the device of another."""
    pixels = from_numpy(np.ascontiguousarray(np.array(canvas).transpose(2, 0, 1)))
    return convert_image_dtype(pixels, like.dtype).to(like.device)
