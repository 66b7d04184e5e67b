"""Transforms of images under torchvision's names.

They take Pillow images and tensors (..., C, H, W). In a batch of tensors every image gets draws of its own. All draws
come from deepgpu's default generator.
"""

from deepgpu.vision.transforms import functional
from deepgpu.vision.transforms.autoaugment import AugMix, AutoAugment, RandAugment, TrivialAugmentWide
from deepgpu.vision.transforms.compose import Compose, Lambda, RandomApply, RandomChoice, RandomOrder
from deepgpu.vision.transforms.convert import (
    ConvertImageDtype,
    LinearTransformation,
    Normalize,
    PILToTensor,
    ToPILImage,
    ToTensor,
)
from deepgpu.vision.transforms.crop import CenterCrop, FiveCrop, Pad, RandomCrop, RandomResizedCrop, TenCrop
from deepgpu.vision.transforms.erasing import Cutout, RandomErasing
from deepgpu.vision.transforms.flip import RandomHorizontalFlip, RandomVerticalFlip
from deepgpu.vision.transforms.geometry import ElasticTransform, RandomAffine, RandomPerspective, RandomRotation, Resize
from deepgpu.vision.transforms.interpolation import InterpolationMode
from deepgpu.vision.transforms.photometry import (
    ColorJitter,
    GaussianBlur,
    Grayscale,
    RandomAdjustSharpness,
    RandomAutocontrast,
    RandomEqualize,
    RandomGrayscale,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
)
from deepgpu.vision.transforms.policies import AutoAugmentPolicy
