"""Random augmentations out of a set of operations: AutoAugment, RandAugment, TrivialAugment, AugMix.

They take Pillow images of mode L or RGB and uint8 tensors (..., 1 or 3, H, W).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.creation import from_numpy
from deepgpu.random import default_generator
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms import functional as F
from deepgpu.vision.transforms.base import RandomTransform, chance, integer
from deepgpu.vision.transforms.interpolation import InterpolationMode, as_mode
from deepgpu.vision.transforms.policies import AutoAugmentPolicy, sub_policies


class Scale(NamedTuple):
    """What the weakest and the strongest magnitude of an operation mean, and whether it works in both directions."""

    weakest: float
    strongest: float
    both_ways: bool = False


def _scales(shear: float, shift: tuple[float, float], turn: float, factor: float, bits: int) -> dict[str, Scale]:
    """The operations; translations in pixels (x, y), angles in degrees, bits that posterizing leaves at the most."""
    none = Scale(0.0, 0.0)
    return {
        "Identity": none,
        "ShearX": Scale(0.0, shear, True),
        "ShearY": Scale(0.0, shear, True),
        "TranslateX": Scale(0.0, shift[0], True),
        "TranslateY": Scale(0.0, shift[1], True),
        "Rotate": Scale(0.0, turn, True),
        "Brightness": Scale(0.0, factor, True),
        "Color": Scale(0.0, factor, True),
        "Contrast": Scale(0.0, factor, True),
        "Sharpness": Scale(0.0, factor, True),
        "Posterize": Scale(8, bits),
        "Solarize": Scale(255.0, 0.0),
        "AutoContrast": none,
        "Equalize": none,
        "Invert": none,
    }


class _Augment(RandomTransform):
    """Applies named operations.

    Parameters
    ----------
    interpolation
        For shears, translations and rotations: NEAREST or BILINEAR; on Pillow images BICUBIC too.
    fill
        What comes from beyond the edge: a number, or one for each channel; by default 0.
    """

    def __init__(self, interpolation: Any, fill: Any) -> None:
        super().__init__()
        self.interpolation = as_mode(interpolation, type(self).__name__)
        self.fill = fill

    def forward(self, img: Any) -> Any:
        if isinstance(img, Tensor) and img.dtype is not dtypes.uint8:
            hint = "; put it before `ToTensor()` or `ConvertImageDtype()`"
            raise TypeError(takes(type(self).__name__, "img", "a PIL image or a uint8 tensor", img.dtype) + hint)
        return super().forward(img)

    def _applied(self, img: Any, name: str, scale: Scale, strength: float) -> Any:
        """The image after an operation of a ``strength`` between 0 and 1."""
        magnitude = scale.weakest + strength * (scale.strongest - scale.weakest)
        if scale.both_ways and chance(0.5):
            magnitude = -magnitude
        if name in ("ShearX", "ShearY", "TranslateX", "TranslateY"):
            amount = math.degrees(math.atan(magnitude)) if name.startswith("Shear") else int(magnitude)
            vector = (amount, 0) if name.endswith("X") else (0, amount)
            shear, shift, centre = (vector, (0, 0), (0, 0)) if name.startswith("Shear") else ((0, 0), vector, None)
            return F.affine(img, 0.0, shift, 1.0, shear, self.interpolation, self.fill, centre)
        if name == "Rotate":
            return F.rotate(img, magnitude, self.interpolation, fill=self.fill)
        return _POINTWISE[name](img, magnitude)


_POINTWISE: dict[str, Callable[[Any, float], Any]] = {
    "Identity": lambda img, _: img,
    "Brightness": lambda img, v: F.adjust_brightness(img, 1 + v),
    "Color": lambda img, v: F.adjust_saturation(img, 1 + v),
    "Contrast": lambda img, v: F.adjust_contrast(img, 1 + v),
    "Sharpness": lambda img, v: F.adjust_sharpness(img, 1 + v),
    "Posterize": lambda img, v: F.posterize(img, round(v)),
    "Solarize": F.solarize,
    "AutoContrast": lambda img, _: F.autocontrast(img),
    "Equalize": lambda img, _: F.equalize(img),
    "Invert": lambda img, _: F.invert(img),
}


def _for_image(img: Any) -> dict[str, Scale]:
    """The operations of AutoAugment and RandAugment; translations in proportion to the image, 150 of 331 pixels."""
    width, height = F.get_image_size(img)
    return _scales(0.3, (150 / 331 * width, 150 / 331 * height), 30.0, 0.9, 4)


class AutoAugment(_Augment):
    """One of 25 pairs of operations that a search found.

    Cubuk et al., "AutoAugment: Learning Augmentation Policies from Data", https://arxiv.org/abs/1805.09501.

    Parameters
    ----------
    policy
        The data set that they were found on.
    interpolation, fill
        For shears, translations and rotations, see :class:`RandomAffine`.
    """

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.policy = AutoAugmentPolicy(policy)
        self.policies = sub_policies(self.policy)

    def transform_image(self, img: Any) -> Any:
        for name, p, magnitude in self.policies[integer(0, len(self.policies))]:
            if chance(p):
                img = self._applied(img, name, _for_image(img)[name], (magnitude or 0) / 9)
        return img

    def extra_repr(self) -> str:
        return f"policy={self.policy}, fill={self.fill}"


class RandAugment(_Augment):
    """Some operations of one magnitude.

    Cubuk, Zoph, Shlens and Le, "RandAugment: Practical automated data augmentation with a reduced search space",
    https://arxiv.org/abs/1909.13719.

    Parameters
    ----------
    num_ops
        How many, one after the other.
    magnitude
        How strong, from 0 to ``num_magnitude_bins - 1``.
    num_magnitude_bins
        How many magnitudes there are.
    interpolation, fill
        For shears, translations and rotations, see :class:`RandomAffine`.
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 0 <= magnitude < num_magnitude_bins:
            raise ValueError(takes("RandAugment", "magnitude", f"an int from 0 to {num_magnitude_bins - 1}", magnitude))
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def transform_image(self, img: Any) -> Any:
        for _ in range(self.num_ops):
            scales = _for_image(img)
            del scales["Invert"]
            name = list(scales)[integer(0, len(scales))]
            img = self._applied(img, name, scales[name], self.magnitude / (self.num_magnitude_bins - 1))
        return img

    def extra_repr(self) -> str:
        return f"num_ops={self.num_ops}, magnitude={self.magnitude}, num_magnitude_bins={self.num_magnitude_bins}"


class TrivialAugmentWide(_Augment):
    """One operation of any magnitude.

    Mueller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation",
    https://arxiv.org/abs/2103.10158.

    Parameters
    ----------
    num_magnitude_bins
        How many magnitudes there are.
    interpolation, fill
        For shears, translations and rotations, see :class:`RandomAffine`.
    """

    def __init__(
        self, num_magnitude_bins: int = 31, interpolation: Any = InterpolationMode.NEAREST, fill: Any = None
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def transform_image(self, img: Any) -> Any:
        scales = _scales(0.99, (32.0, 32.0), 135.0, 0.99, 2)
        del scales["Invert"]
        name = list(scales)[integer(0, len(scales))]
        strength = integer(0, self.num_magnitude_bins) / (self.num_magnitude_bins - 1)
        return self._applied(img, name, scales[name], strength)

    def extra_repr(self) -> str:
        return f"num_magnitude_bins={self.num_magnitude_bins}"


class AugMix(_Augment):
    """A mixture of the image and of chains of operations on it.

    Hendrycks, Mu, Cubuk, Zoph, Gilmer and Lakshminarayanan, "AugMix: A Simple Data Processing Method to Improve
    Robustness and Uncertainty", https://arxiv.org/abs/1912.02781.

    Parameters
    ----------
    severity
        The strongest magnitude, from 1 to 10.
    mixture_width
        How many chains.
    chain_depth
        Operations in each chain; -1 for 1 to 3 at random.
    alpha
        The parameter of the Dirichlet distribution of the chains' weights, and of the Beta distribution of the image's.
    all_ops
        Take brightness, colour, contrast and sharpness too, which overlap with a usual test of robustness.
    interpolation, fill
        For shears, translations and rotations, see :class:`RandomAffine`.
    """

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 1 <= severity <= 10:
            raise ValueError(takes("AugMix", "severity", "an int from 1 to 10", severity))
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def transform_image(self, img: Any) -> Any:
        width, height = F.get_image_size(img)
        scales = _scales(0.3, (width / 3, height / 3), 30.0, 0.9, 4)
        left_out = ("Identity", "Invert", *(() if self.all_ops else ("Brightness", "Color", "Contrast", "Sharpness")))
        names = [name for name in scales if name not in left_out]
        stream = default_generator.numpy
        of_image = stream.beta(self.alpha, self.alpha)
        weights = stream.dirichlet([self.alpha] * self.mixture_width) * (1 - of_image)
        mixture = of_image * _pixels(img)
        for weight in weights:
            chained = img
            for _ in range(self.chain_depth if self.chain_depth > 0 else integer(1, 4)):
                name = names[integer(0, len(names))]
                chained = self._applied(chained, name, scales[name], integer(0, self.severity) / 9)
            mixture += weight * _pixels(chained)
        mixed = from_numpy(np.clip(mixture, 0, 255).astype(np.uint8))
        return mixed.to(img.device) if isinstance(img, Tensor) else F.to_pil_image(mixed)

    def extra_repr(self) -> str:
        names = ("severity", "mixture_width", "chain_depth", "alpha", "all_ops")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


def _pixels(img: Any) -> np.ndarray:
    """The image (C, H, W) to compute with."""
    tensor = img if isinstance(img, Tensor) else F.pil_to_tensor(img)
    return tensor.cpu().numpy().astype(np.float64)
