"""Transforms as functions, without random draws, under the names of ``torchvision.transforms.functional``."""

from deepgpu.vision.transforms.functional.color import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    adjust_sharpness,
    autocontrast,
    equalize,
    gaussian_blur,
    invert,
    posterize,
    rgb_to_grayscale,
    solarize,
    to_grayscale,
)
from deepgpu.vision.transforms.functional.conversion import (
    convert_image_dtype,
    normalize,
    pil_to_tensor,
    to_pil_image,
    to_tensor,
)
from deepgpu.vision.transforms.functional.image import get_dimensions, get_image_num_channels, get_image_size
from deepgpu.vision.transforms.functional.resize import resize, resized_crop
from deepgpu.vision.transforms.functional.warp import affine, elastic_transform, perspective, rotate
from deepgpu.vision.transforms.functional.window import (
    center_crop,
    crop,
    erase,
    five_crop,
    hflip,
    pad,
    ten_crop,
    vflip,
)
from deepgpu.vision.transforms.interpolation import InterpolationMode
