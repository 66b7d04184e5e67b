"""Brightness, contrast, colours and sharpness.

On Pillow images through Pillow. On tensors (..., C, H, W) in floating point, and cut off to the range of the type,
which is [0, 1] for floats; so the two may differ by one level.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.creation import from_numpy
from deepgpu.ops.joining import cat, stack
from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms.functional.conversion import convert_image_dtype, pil_to_tensor, to_pil_image
from deepgpu.vision.transforms.functional.image import get_dimensions, is_image, pillow
from deepgpu.vision.transforms.functional.window import pad

_GREY = (0.2989, 0.587, 0.114)  # ITU-R BT.601 luma


def _factor(op: str, name: str, value: float) -> float:
    if value < 0:
        raise ValueError(takes(op, name, "a number >= 0", value))
    return value


def _channels(img: Tensor, op: str) -> int:
    channels = get_dimensions(img)[0]
    if channels not in (1, 3):
        raise TypeError(takes(op, "img", "an image of 1 or 3 channels", channels))
    return channels


def _bound(img: Tensor) -> float:
    """The largest value of the type."""
    return 1.0 if img.dtype.is_floating_point else dtypes.iinfo(img.dtype).max


def _float(img: Tensor) -> Tensor:
    return img if img.dtype.is_floating_point else img.to(dtypes.float32)


def _blend(img: Tensor, other: Any, ratio: float) -> Tensor:
    """``ratio`` of the image and the rest of the other; beyond 1, away from it."""
    mixed = _float(img) * ratio + other * (1.0 - ratio)
    return mixed.clamp(0, _bound(img)).to(img.dtype)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The grey image, with one channel or three equal ones."""
    if num_output_channels not in (1, 3):
        raise ValueError(takes("rgb_to_grayscale", "num_output_channels", "1 or 3", num_output_channels))
    if is_image(img, "rgb_to_grayscale"):
        grey = img.convert("L")
        return grey if num_output_channels == 1 else pillow().merge("RGB", [grey] * 3)
    grey = img
    if _channels(img, "rgb_to_grayscale") == 3:
        r, g, b = (_float(c) * weight for c, weight in zip(img.unbind(-3), _GREY, strict=True))
        grey = (r + g + b).to(img.dtype).unsqueeze(-3)
    return grey if num_output_channels == 1 else cat([grey] * 3, -3)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The grey image of a Pillow image; :func:`rgb_to_grayscale` takes tensors too."""
    if not is_image(img, "to_grayscale"):
        raise TypeError(takes("to_grayscale", "img", "a PIL image", type(img).__name__))
    return rgb_to_grayscale(img, num_output_channels)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """``brightness_factor`` times as bright: 0 is black, 1 the image as it is."""
    factor = _factor("adjust_brightness", "brightness_factor", brightness_factor)
    if is_image(img, "adjust_brightness"):
        return pillow("ImageEnhance").Brightness(img).enhance(factor)
    return _blend(img, 0.0, factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """``contrast_factor`` times as far from the image's mean grey: 0 is grey, 1 the image as it is."""
    factor = _factor("adjust_contrast", "contrast_factor", contrast_factor)
    if is_image(img, "adjust_contrast"):
        return pillow("ImageEnhance").Contrast(img).enhance(factor)
    grey = rgb_to_grayscale(img) if _channels(img, "adjust_contrast") == 3 else img
    return _blend(img, _float(grey).mean((-3, -2, -1), keepdim=True), factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """``saturation_factor`` times as far from the grey image: 0 is grey, 1 the image as it is."""
    factor = _factor("adjust_saturation", "saturation_factor", saturation_factor)
    if is_image(img, "adjust_saturation"):
        return pillow("ImageEnhance").Color(img).enhance(factor)
    if _channels(img, "adjust_saturation") == 1:
        return img
    return _blend(img, _float(rgb_to_grayscale(img)), factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """All hues shifted along the colour circle, by a part of it between -0.5 and 0.5."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(takes("adjust_hue", "hue_factor", "a number between -0.5 and 0.5", hue_factor))
    if is_image(img, "adjust_hue"):
        if img.mode in ("L", "1", "I", "F"):
            return img
        hue, saturation, value = img.convert("HSV").split()
        shifted = (np.asarray(hue, np.int64) + int(hue_factor * 255)) % 256
        hue = pillow().fromarray(shifted.astype(np.uint8))
        return pillow().merge("HSV", (hue, saturation, value)).convert(img.mode)
    if _channels(img, "adjust_hue") == 1:
        return img
    hue, saturation, value = _hsv(convert_image_dtype(img, dtypes.float32)).unbind(-3)
    return convert_image_dtype(_rgb(hue + hue_factor, saturation, value), img.dtype)


def _hsv(img: Tensor) -> Tensor:
    """Hue (a part of the circle), saturation and value of an image in [0, 1]."""
    r, g, b = img.unbind(-3)
    value, least = img.amax(-3), img.amin(-3)
    chroma = value - least
    ones = chroma.new_ones(())
    grey = chroma == 0
    divisor = where(grey, ones, chroma)
    to_r, to_g, to_b = ((value - c) / divisor for c in (r, g, b))
    sector = where(value == r, to_b - to_g, where(value == g, to_r - to_b + 2, to_g - to_r + 4))
    return stack([sector / 6, chroma / where(grey, ones, value), value], -3)


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The inverse of :func:`_hsv`: ``v - v s clamp(min(k, 4 - k), 0, 1)``, ``k = (6 hue + n) mod 6``, n = 5, 3, 1."""
    channels = []
    for n in (5, 3, 1):
        k = (hue * 6 + n) % 6
        ramp = k.minimum(4 - k).clamp(0, 1)
        channels.append(value - value * saturation * ramp)
    return stack(channels, -3)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """``gain * img ** gamma`` of the image in [0, 1]: > 1 makes shadows darker, < 1 lighter."""
    _factor("adjust_gamma", "gamma", gamma)
    if is_image(img, "adjust_gamma"):
        table = [int((255 + 1 - 1e-3) * gain * (level / 255) ** gamma) for level in range(256)]
        return img.convert("RGB").point(table * 3).convert(img.mode)
    scaled = img if img.dtype.is_floating_point else convert_image_dtype(img, dtypes.float32)
    return convert_image_dtype((scaled**gamma * gain).clamp(0, 1), img.dtype)


def invert(img: Any) -> Any:
    """The negative."""
    if is_image(img, "invert"):
        return pillow("ImageOps").invert(img)
    return _bound(img) - img


def posterize(img: Any, bits: int) -> Any:
    """Only the highest ``bits`` of each byte."""
    if is_image(img, "posterize"):
        return pillow("ImageOps").posterize(img, bits)
    if img.dtype is not dtypes.uint8:
        raise TypeError(takes("posterize", "img", "a uint8 tensor", img.dtype))
    step = 2 ** (8 - bits)
    return img // step * step


def solarize(img: Any, threshold: float) -> Any:
    """The negative of all values from ``threshold`` on."""
    if is_image(img, "solarize"):
        return pillow("ImageOps").solarize(img, threshold)
    if threshold > _bound(img):
        raise TypeError(takes("solarize", "threshold", f"at most {_bound(img)} for {img.dtype}", threshold))
    return where(img >= threshold, invert(img), img)


def autocontrast(img: Any) -> Any:
    """Each channel stretched so that its darkest value becomes 0 and its lightest the largest there is."""
    if is_image(img, "autocontrast"):
        return pillow("ImageOps").autocontrast(img)
    pixels = _float(img)
    low, high = pixels.amin((-2, -1), keepdim=True), pixels.amax((-2, -1), keepdim=True)
    flat = low == high
    scale = _bound(img) / where(flat, high.new_ones(()), high - low)
    return where(flat, pixels, (pixels - low) * scale).clamp(0, _bound(img)).to(img.dtype)


def equalize(img: Any) -> Any:
    """Each channel's values moved so that all levels are about equally frequent."""
    if is_image(img, "equalize"):
        return pillow("ImageOps").equalize(img)
    if img.dtype is not dtypes.uint8:
        raise TypeError(takes("equalize", "img", "a uint8 tensor", img.dtype))
    channels = img.cpu().numpy().reshape(-1, img.shape[-2] * img.shape[-1])
    result = np.stack([_equalized(channel) for channel in channels]).reshape(tuple(img.shape))
    return from_numpy(result).to(img.device)


def _equalized(channel: np.ndarray) -> np.ndarray:
    counts = np.bincount(channel, minlength=256)
    step = counts[counts > 0][:-1].sum() // 255
    if step == 0:
        return channel
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.clip((before + step // 2) // step, 0, 255).astype(np.uint8)[channel]


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """``sharpness_factor`` times as far from the smoothed image: 0 is smooth, 1 the image as it is."""
    factor = _factor("adjust_sharpness", "sharpness_factor", sharpness_factor)
    if is_image(img, "adjust_sharpness"):
        return pillow("ImageEnhance").Sharpness(img).enhance(factor)
    _, height, width = get_dimensions(img)
    if height <= 2 or width <= 2:
        return img
    pixels = _float(img)
    windows = [pixels[..., i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)]
    inner = (sum(windows[1:], windows[0]) + windows[4] * 4) / 13  # the pixel weighs 5, its neighbours 1 each
    if not img.dtype.is_floating_point:
        inner = inner.round()
    smooth = pixels.clone()
    smooth[..., 1:-1, 1:-1] = inner
    return _blend(img, smooth, factor)


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """The image convolved with a Gaussian, mirrored at its edges.

    Parameters
    ----------
    img
        A Pillow image or a tensor (..., H, W).
    kernel_size
        Odd width and height of the kernel in pixels, or one int for both.
    sigma
        Standard deviation along width and height in pixels, or one number; by default ``0.15 kernel_size + 0.35``.
    """
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else (list(kernel_size) * 2)[:2]
    if sigma is None:
        sigmas = [0.15 * size + 0.35 for size in sizes]
    else:
        sigmas = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else (list(sigma) * 2)[:2]
    if any(size < 1 or size % 2 == 0 for size in sizes):
        raise ValueError(takes("gaussian_blur", "kernel_size", "odd numbers >= 1", kernel_size))
    if any(s <= 0 for s in sigmas):
        raise ValueError(takes("gaussian_blur", "sigma", "numbers > 0", sigma))
    if is_image(img, "gaussian_blur"):
        return to_pil_image(gaussian_blur(pil_to_tensor(img), sizes, sigmas), img.mode)
    height, width = img.shape[-2:]
    blurred = pad(_float(img), (sizes[0] // 2, sizes[1] // 2), padding_mode="reflect")
    blurred = sum(w * blurred[..., k : k + width] for k, w in enumerate(_gaussian(sizes[0], sigmas[0])))
    blurred = sum(w * blurred[..., k : k + height, :] for k, w in enumerate(_gaussian(sizes[1], sigmas[1])))
    return blurred if img.dtype.is_floating_point else blurred.round().to(img.dtype)


def _gaussian(size: int, sigma: float) -> list[float]:
    weights = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
    return (weights / weights.sum()).tolist()
