"""Images in another size, turned, sheared, moved, in perspective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.errors import takes
from deepgpu.ops.joining import stack
from deepgpu.ops.sampling import rand
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms import functional as F
from deepgpu.vision.transforms.base import RandomTransform, Transform, chance, integer, uniform
from deepgpu.vision.transforms.functional.resize import resized_size
from deepgpu.vision.transforms.interpolation import InterpolationMode, as_mode

Points = list[list[int]]


class Resize(Transform):
    """Images in another size.

    Parameters
    ----------
    size
        Height and width; or one int for the shorter edge, and the other in proportion.
    interpolation
        An :class:`InterpolationMode`; for tensors NEAREST, NEAREST_EXACT, BILINEAR or BICUBIC.
    max_size
        The most that the longer edge may get, where ``size`` is one int.
    antialias
        Average over what a new pixel covers where a tensor gets smaller. On Pillow images that is always so.
    """

    def __init__(
        self,
        size: Any,
        interpolation: Any = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        resized_size(1, 1, size, max_size)
        self.size = size
        self.interpolation = as_mode(interpolation, "Resize")
        self.max_size = max_size
        self.antialias = antialias

    def forward(self, img: Any) -> Any:
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def extra_repr(self) -> str:
        interpolation = f"interpolation={self.interpolation.value}"
        return f"size={self.size}, {interpolation}, max_size={self.max_size}, antialias={self.antialias}"


def _symmetric(name: str, argument: str, value: Any) -> tuple[float, float]:
    """Limits from two numbers, or from one for both sides of 0."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(takes(name, argument, "one number >= 0, or two", value))
        return -value, value
    if len(value) != 2:
        raise ValueError(takes(name, argument, "one number >= 0, or two", value))
    return value[0], value[1]


class RandomRotation(RandomTransform):
    """Images turned by a random angle.

    Parameters
    ----------
    degrees
        The least and largest angle, counter-clockwise; or one number for both directions.
    interpolation
        NEAREST or BILINEAR; on Pillow images BICUBIC too.
    expand
        Make the result as large as the turned image needs.
    center
        (x, y) to turn about, from the upper left corner; by default the middle.
    fill
        What comes from beyond the edge: a number, or one for each channel.
    """

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees = _symmetric("RandomRotation", "degrees", degrees)
        self.interpolation = as_mode(interpolation, "RandomRotation")
        self.expand = expand
        self.center = center
        self.fill = fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """Draw an angle."""
        return uniform(degrees[0], degrees[1])

    def transform_image(self, img: Any) -> Any:
        return F.rotate(img, self.get_params(self.degrees), self.interpolation, self.expand, self.center, self.fill)

    def of_batch(self, kind: str) -> str | None:
        return None if self.expand else super().of_batch(kind)  # every image would get another size

    def extra_repr(self) -> str:
        degrees = f"degrees={list(self.degrees)}, interpolation={self.interpolation.value}"
        return f"{degrees}, expand={self.expand}, fill={self.fill}"


class RandomAffine(RandomTransform):
    """Images turned, moved, scaled and sheared at random.

    Parameters
    ----------
    degrees
        The least and largest angle, clockwise; or one number for both directions.
    translate
        The furthest to move along x and y, as a part of width and height; None not to.
    scale
        The least and largest factor; None not to.
    shear
        The least and largest angle of shear along x; or four numbers, for y too; or one for both directions of x.
    interpolation, fill, center
        See :class:`RandomRotation`.
    """

    def __init__(
        self,
        degrees: Any,
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: Any = None,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.degrees = _symmetric("RandomAffine", "degrees", degrees)
        if translate is not None and not all(0 <= t <= 1 for t in translate):
            raise ValueError(takes("RandomAffine", "translate", "parts between 0 and 1", translate))
        if scale is not None and not all(s > 0 for s in scale):
            raise ValueError(takes("RandomAffine", "scale", "factors > 0", scale))
        self.translate = translate
        self.scale = scale
        if shear is not None and not (isinstance(shear, Sequence) and len(shear) == 4):
            shear = _symmetric("RandomAffine", "shear", shear)
        self.shear = shear
        self.interpolation = as_mode(interpolation, "RandomAffine")
        self.fill = fill
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Draw (angle, translation, scale, shear) for an image of (width, height)."""
        angle = uniform(degrees[0], degrees[1])
        moved = [0, 0]
        if translate is not None:
            furthest = [part * size for part, size in zip(translate, img_size, strict=True)]
            moved = [round(uniform(-far, far)) for far in furthest]
        scale = 1.0 if scale_ranges is None else uniform(scale_ranges[0], scale_ranges[1])
        shear = [0.0, 0.0]
        if shears is not None:
            shear = [uniform(low, high) for low, high in zip(shears[::2], shears[1::2], strict=True)]
        return angle, (moved[0], moved[1]), scale, (shear[0], shear[1] if len(shear) > 1 else 0.0)

    def transform_image(self, img: Any) -> Any:
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, F.get_image_size(img))
        return F.affine(img, *drawn, interpolation=self.interpolation, fill=self.fill, center=self.center)

    def extra_repr(self) -> str:
        return f"degrees={list(self.degrees)}, translate={self.translate}, scale={self.scale}, shear={self.shear}"


class RandomPerspective(RandomTransform):
    """Images seen from a random point.

    Parameters
    ----------
    distortion_scale
        How far the corners move inwards at most: 0 not at all, 1 to the middle.
    p
        The probability.
    interpolation, fill
        See :class:`RandomRotation`.
    """

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.distortion_scale = distortion_scale
        self.p = p
        self.interpolation = as_mode(interpolation, "RandomPerspective")
        self.fill = fill

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[Points, Points]:
        """Draw where the corners go: (start points, end points), from the upper left one clockwise."""
        x, y = int(distortion_scale * (width // 2)), int(distortion_scale * (height // 2))
        right, bottom = width - 1, height - 1
        start = [[0, 0], [right, 0], [right, bottom], [0, bottom]]
        end = [[u + integer(0, x + 1) * (-1 if u else 1), v + integer(0, y + 1) * (-1 if v else 1)] for u, v in start]
        return start, end

    def transform_image(self, img: Any) -> Any:
        if not chance(self.p):
            return img
        width, height = F.get_image_size(img)
        points = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, *points, self.interpolation, self.fill)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class ElasticTransform(RandomTransform):
    """Images as if seen through moving water: every pixel displaced at random, neighbours alike.

    Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document
    Analysis", 2003.

    Parameters
    ----------
    alpha
        How far, along x and y or one number for both; about twice the pixels before smoothing.
    sigma
        How smooth: the standard deviation in pixels of the Gaussian, along x and y or one number for both.
    interpolation, fill
        See :class:`RandomRotation`.
    """

    def __init__(
        self,
        alpha: Any = 50.0,
        sigma: Any = 5.0,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha = _pair("ElasticTransform", "alpha", alpha)
        self.sigma = _pair("ElasticTransform", "sigma", sigma)
        self.interpolation = as_mode(interpolation, "ElasticTransform")
        self.fill = fill

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> Tensor:
        """Draw a displacement (1, H, W, 2) for images of ``size`` (height, width)."""
        displaced = []
        for far, smooth, pixels in zip(alpha, sigma, (size[1], size[0]), strict=True):
            noise = rand(1, 1, *size) * 2 - 1
            kernel = int(8 * smooth + 1) // 2 * 2 + 1
            if smooth > 0:
                kernel = min(kernel, 2 * min(size) - 1)  # mirrored no further than the image is wide
                noise = F.gaussian_blur(noise, kernel, smooth)
            displaced.append(noise[0] * (far / pixels))
        return stack(displaced, -1)

    def transform_image(self, img: Any) -> Any:
        width, height = F.get_image_size(img)
        displacement = self.get_params(self.alpha, self.sigma, (height, width))
        return F.elastic_transform(img, displacement, self.interpolation, self.fill)

    def extra_repr(self) -> str:
        return f"alpha={list(self.alpha)}, sigma={list(self.sigma)}, interpolation={self.interpolation.value}"


def _pair(name: str, argument: str, value: Any) -> tuple[float, float]:
    """Numbers for x and y, from two or from one for both."""
    values = (value, value) if isinstance(value, (int, float)) else tuple(value)
    if len(values) != 2 or min(values) < 0:
        raise ValueError(takes(name, argument, "one or two numbers >= 0", value))
    return float(values[0]), float(values[1])
