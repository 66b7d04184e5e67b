"""Images turned, sheared, moved and seen in perspective.

Every new pixel is looked up where the inverse of the map says. Tensors are sampled as PyTorch's ``grid_sample`` does
with zeros beyond the edge and ``align_corners=False``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.creation import as_tensor, from_numpy
from deepgpu.ops.rearrangement import flip
from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms.functional.conversion import pil_to_tensor, to_pil_image
from deepgpu.vision.transforms.functional.image import get_dimensions, is_image, pillow
from deepgpu.vision.transforms.interpolation import InterpolationMode, as_mode, for_tensors, pillow_number

_MODES = (InterpolationMode.NEAREST, InterpolationMode.BILINEAR)


def affine_matrix(
    centre: Sequence[float], angle: float, translate: Sequence[float], scale: float, shear: Sequence[float]
) -> np.ndarray:
    """The map (3, 3) of points (x, y, 1): shear x, then y, scale and turn about ``centre``, move; degrees clockwise."""
    turn = math.radians(angle)
    shear_x, shear_y = (math.tan(math.radians(s)) for s in shear)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    linear = scale * rotation @ np.array([[1, 0], [-shear_y, 1]]) @ np.array([[1, -shear_x], [0, 1]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = np.add(centre, translate) - linear @ centre
    return matrix


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Any:
    """An image turned counter-clockwise.

    Parameters
    ----------
    img
        A Pillow image or a tensor (..., C, H, W).
    angle
        Degrees.
    interpolation
        NEAREST or BILINEAR; on Pillow images BICUBIC too.
    expand
        Make the result as large as the turned image needs; about its centre only.
    center
        (x, y) to turn about, from the upper left corner; by default the middle.
    fill
        What comes from beyond the edge: a number, or one for each channel; by default 0.
    """
    mode = as_mode(interpolation, "rotate")
    if is_image(img, "rotate"):
        return img.rotate(angle, pillow_number(mode), expand, center, fillcolor=_pillow_fill(img, fill))
    _, height, width = get_dimensions(img)
    if center is None and angle % 90 == 0 and (expand or angle % 180 == 0 or height == width):
        return _quarter_turns(img, int(angle // 90) % 4)  # as Pillow does: exact
    middle = (width / 2, height / 2)
    matrix = affine_matrix(middle if center is None else center, -angle, (0, 0), 1.0, (0, 0))
    size = (height, width)
    if expand:
        corners = matrix @ np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]])
        # a corner that misses a pixel's edge by rounding only is on it
        low, high = (np.trunc(edge / 1e-4) * 1e-4 for edge in (corners[:2].min(1), corners[:2].max(1)))
        size = tuple((np.ceil(high) - np.floor(low)).astype(int)[::-1].tolist())
        matrix = affine_matrix((0, 0), 0, ((size[1] - width) / 2, (size[0] - height) / 2), 1.0, (0, 0)) @ matrix
    return _warped(img, np.linalg.inv(matrix), size, for_tensors(mode, "rotate", _MODES), fill)


def _quarter_turns(img: Tensor, turns: int) -> Tensor:
    """Turned counter-clockwise by 90 degrees so many times."""
    if turns == 2:
        return flip(img, (-2, -1))
    if turns == 0:
        return img
    return flip(img.transpose(-2, -1), (-2,) if turns == 1 else (-1,))


def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Any,
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Any:
    """An image turned clockwise, scaled and sheared about its centre, and moved.

    Parameters
    ----------
    img
        A Pillow image or a tensor (..., C, H, W).
    angle
        Degrees.
    translate
        Pixels to the right and down.
    scale
        The factor, > 0.
    shear
        Degrees along x, or along x and y.
    interpolation
        NEAREST or BILINEAR; on Pillow images BICUBIC too.
    fill
        What comes from beyond the edge: a number, or one for each channel; by default 0.
    center
        (x, y) that stays in its place, from the upper left corner; by default the middle.
    """
    if scale <= 0:
        raise ValueError(takes("affine", "scale", "a number > 0", scale))
    mode = as_mode(interpolation, "affine")
    pil = is_image(img, "affine")
    _, height, width = get_dimensions(img)
    shears = (float(shear), 0.0) if isinstance(shear, (int, float)) else (*shear, 0.0)[:2]
    about = (width / 2, height / 2) if center is None else center
    inverse = np.linalg.inv(affine_matrix(about, angle, translate, scale, shears))
    if pil:
        coefficients = inverse[:2].reshape(-1).tolist()
        kind = pillow().Transform.AFFINE
        return img.transform(img.size, kind, coefficients, pillow_number(mode), fillcolor=_pillow_fill(img, fill))
    return _warped(img, inverse, (height, width), for_tensors(mode, "affine", _MODES), fill)


def perspective(
    img: Any,
    startpoints: Sequence[Sequence[float]],
    endpoints: Sequence[Sequence[float]],
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """An image seen from another point.

    Parameters
    ----------
    img
        A Pillow image or a tensor (..., C, H, W).
    startpoints, endpoints
        Four points (x, y), and where they go.
    interpolation
        NEAREST or BILINEAR; on Pillow images BICUBIC too.
    fill
        What comes from beyond the edge: a number, or one for each channel; by default 0.
    """
    mode = as_mode(interpolation, "perspective")
    equations, values = [], []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        # u = (a x + b y + c) / (g x + h y + 1), v = (d x + e y + f) / (g x + h y + 1)
        equations += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    coefficients = np.linalg.lstsq(np.array(equations, float), np.array(values, float), rcond=None)[0]
    if is_image(img, "perspective"):
        kind, number = pillow().Transform.PERSPECTIVE, pillow_number(mode)
        return img.transform(img.size, kind, coefficients.tolist(), number, fillcolor=_pillow_fill(img, fill))
    _, height, width = get_dimensions(img)
    inverse = np.append(coefficients, 1.0).reshape(3, 3)
    return _warped(img, inverse, (height, width), for_tensors(mode, "perspective", _MODES), fill)


def elastic_transform(
    img: Any, displacement: Tensor, interpolation: Any = InterpolationMode.BILINEAR, fill: Any = None
) -> Any:
    """An image whose every pixel is looked up at a displaced place.

    Parameters
    ----------
    img
        A Pillow image or a tensor (..., C, H, W).
    displacement
        How far along x and y, a tensor (1, H, W, 2); 2 is the width or height of the image.
    interpolation
        NEAREST or BILINEAR.
    fill
        What comes from beyond the edge: a number, or one for each channel; by default 0.
    """
    mode = for_tensors(as_mode(interpolation, "elastic_transform"), "elastic_transform", _MODES)
    if is_image(img, "elastic_transform"):
        return to_pil_image(elastic_transform(pil_to_tensor(img), displacement, mode, fill), img.mode)
    height, width = img.shape[-2:]
    if tuple(displacement.shape) != (1, height, width, 2):
        expected = f"shape {(1, height, width, 2)}"
        raise ValueError(takes("elastic_transform", "displacement", expected, tuple(displacement.shape)))
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    moved = displacement.cpu().numpy()[0].astype(np.float64)
    return sampled(img, x + moved[..., 0] * width / 2, y + moved[..., 1] * height / 2, mode, fill)


def _pillow_fill(img: Any, fill: Any) -> Any:
    """The fill as Pillow takes it: one number for each band."""
    bands = len(img.getbands())
    if img.mode == "F":
        return 0.0 if fill is None else float(fill)
    values = [0 if fill is None else fill] if fill is None or isinstance(fill, (int, float)) else list(fill)
    if len(values) not in (1, bands):
        raise ValueError(f"`fill`: takes 1 or {bands} numbers for an image of mode {img.mode}, but got {len(values)}")
    filled = tuple(int(v) for v in (values * bands if len(values) == 1 else values))
    return filled if bands > 1 else filled[0]


def _warped(img: Tensor, inverse: np.ndarray, size: tuple[int, ...], mode: InterpolationMode, fill: Any) -> Tensor:
    """The image whose pixel centres are mapped by ``inverse`` (3, 3) to points of ``img``."""
    y, x = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    u, v, w = inverse @ np.stack([x.reshape(-1), y.reshape(-1), np.ones(x.size)])
    return sampled(img, (u / w).reshape(x.shape) - 0.5, (v / w).reshape(x.shape) - 0.5, mode, fill)


def sampled(img: Tensor, x: np.ndarray, y: np.ndarray, mode: InterpolationMode, fill: Any) -> Tensor:
    """The image at points that are counted in pixels from the centre of the upper left one.

    Parameters
    ----------
    img
        A tensor (..., H, W).
    x, y
        Columns and rows, arrays of the result's height and width.
    mode
        NEAREST or BILINEAR.
    fill
        What is beyond the edge; None for 0. A pixel that lies partly beyond it is the mean of both, by their shares;
        torchvision's is darker, since it counts the image's share twice.
    """
    height, width = img.shape[-2:]
    flat = img.reshape(*img.shape[:-2], height * width)
    dtype = img.dtype if img.dtype.is_floating_point else dtypes.float32

    def at(row: np.ndarray, column: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Pixels, and which of them are within the image."""
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        index = np.where(inside, row * width + column, 0).astype(np.int64)
        return flat[..., from_numpy(index).to(img.device)], inside

    if mode is InterpolationMode.NEAREST:
        pixels, inside = at(np.rint(y), np.rint(x))
        return where(from_numpy(inside).to(img.device), pixels, _filling(img, fill))
    total: Any = 0.0
    covered = np.zeros(x.shape)
    for row, column in ((np.floor(y) + i, np.floor(x) + j) for i in (0, 1) for j in (0, 1)):
        pixels, inside = at(row, column)
        weight = np.where(inside, (1 - np.abs(y - row)) * (1 - np.abs(x - column)), 0.0)
        covered += weight
        total = total + pixels.to(dtype) * from_numpy(weight.astype(dtype.numpy)).to(img.device)
    if fill is not None:
        total = total + _filling(img, fill).to(dtype) * from_numpy((1 - covered).astype(dtype.numpy)).to(img.device)
    return total if img.dtype is dtype else total.round().to(img.dtype)


def _filling(img: Tensor, fill: Any) -> Tensor:
    """The fill as a tensor that broadcasts with the image."""
    values = as_tensor(0 if fill is None else fill, dtype=img.dtype, device=img.device).reshape(-1)
    return values.reshape(-1, 1, 1) if img.ndim > 2 else values.reshape(-1)
