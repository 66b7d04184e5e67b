"""Colours, brightness, sharpness."""

from __future__ import annotations

from typing import Any, ClassVar

from deepgpu.errors import takes
from deepgpu.random import default_generator
from deepgpu.vision.transforms import functional as F
from deepgpu.vision.transforms.base import RandomTransform, Transform, chance, uniform

Limits = tuple[float, float] | None


def _limits(name: str, value: Any, centre: float = 1.0, least: float = 0.0, largest: float = float("inf")) -> Limits:
    """Limits of a factor, from two numbers or from one for both sides of ``centre``; None if it is ``centre``."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(takes("ColorJitter", name, "a number >= 0, or two", value))
        low, high = max(centre - value, least), centre + value
    else:
        low, high = value
    if not least <= low <= high <= largest:
        raise ValueError(takes("ColorJitter", name, f"limits within {least} and {largest}", value))
    return None if low == high == centre else (low, high)


class ColorJitter(RandomTransform):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Parameters
    ----------
    brightness, contrast, saturation
        The least and largest factor; or one number ``v`` for ``1 - v`` to ``1 + v``.
    hue
        The least and largest shift, as a part of the colour circle; or one number for both directions, at most 0.5.
    """

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = _limits("brightness", brightness)
        self.contrast = _limits("contrast", contrast)
        self.saturation = _limits("saturation", saturation)
        self.hue = _limits("hue", hue, 0.0, -0.5, 0.5)

    @staticmethod
    def get_params(brightness: Limits, contrast: Limits, saturation: Limits, hue: Limits) -> tuple[Any, ...]:
        """Draw (order of the four, brightness, contrast, saturation, hue); None for what stays as it is."""
        order = default_generator.numpy.permutation(4).tolist()
        return order, *(None if v is None else uniform(*v) for v in (brightness, contrast, saturation, hue))

    def transform_image(self, img: Any) -> Any:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        functions = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for i in order:
            if factors[i] is not None:
                img = functions[i](img, factors[i])
        return img

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={getattr(self, k)}" for k in ("brightness", "contrast", "saturation", "hue"))


class Grayscale(Transform):
    """Grey images.

    Parameters
    ----------
    num_output_channels
        1, or 3 equal ones.
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def extra_repr(self) -> str:
        return f"num_output_channels={self.num_output_channels}"


class GaussianBlur(RandomTransform):
    """Images convolved with a Gaussian of random width.

    Parameters
    ----------
    kernel_size
        Odd width and height of the kernel in pixels, or one int for both.
    sigma
        The least and largest standard deviation in pixels, or one number.
    """

    def __init__(self, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        low, high = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
        if not 0 < low <= high:
            raise ValueError(takes("GaussianBlur", "sigma", "0 < least <= largest", sigma))
        self.kernel_size = kernel_size
        self.sigma = (low, high)

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """Draw a standard deviation."""
        return uniform(sigma_min, sigma_max)

    def transform_image(self, img: Any) -> Any:
        return F.gaussian_blur(img, self.kernel_size, self.get_params(*self.sigma))

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, sigma={self.sigma}"


class _WithChance(RandomTransform):
    """Changes an image with probability ``p``."""

    _arguments: ClassVar[tuple[str, ...]] = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def _changed(self, img: Any) -> Any:
        raise NotImplementedError

    def transform_image(self, img: Any) -> Any:
        return self._changed(img) if chance(self.p) else img

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._arguments)


class RandomGrayscale(_WithChance):
    """Grey, with as many channels as before, with probability ``p``."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def _changed(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, F.get_image_num_channels(img))


class RandomInvert(_WithChance):
    """The negative, with probability ``p``."""

    def _changed(self, img: Any) -> Any:
        return F.invert(img)


class RandomPosterize(_WithChance):
    """Only the highest ``bits`` of each byte, with probability ``p``."""

    _arguments = ("bits", "p")

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def _changed(self, img: Any) -> Any:
        return F.posterize(img, self.bits)


class RandomSolarize(_WithChance):
    """The negative of all values from ``threshold`` on, with probability ``p``."""

    _arguments = ("threshold", "p")

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def _changed(self, img: Any) -> Any:
        return F.solarize(img, self.threshold)


class RandomAdjustSharpness(_WithChance):
    """``sharpness_factor`` times as sharp, with probability ``p``."""

    _arguments = ("sharpness_factor", "p")

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def _changed(self, img: Any) -> Any:
        return F.adjust_sharpness(img, self.sharpness_factor)


class RandomAutocontrast(_WithChance):
    """Each channel stretched to the whole range, with probability ``p``."""

    def _changed(self, img: Any) -> Any:
        return F.autocontrast(img)


class RandomEqualize(_WithChance):
    """All levels about equally frequent, with probability ``p``."""

    def _changed(self, img: Any) -> Any:
        return F.equalize(img)
