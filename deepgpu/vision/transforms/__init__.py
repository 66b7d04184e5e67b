"""Transforms of images under torchvision's names.

They take Pillow images and tensors (..., C, H, W). In a batch of tensors every image gets draws of its own. All draws
come from deepgpu's default generator.
"""

from deepgpu.vision.transforms import functional
from deepgpu.vision.transforms.compose import Compose, Lambda, RandomApply, RandomChoice, RandomOrder
from deepgpu.vision.transforms.convert import ConvertImageDtype, Normalize, PILToTensor, ToPILImage, ToTensor
from deepgpu.vision.transforms.crop import CenterCrop, Pad, RandomCrop
from deepgpu.vision.transforms.erasing import Cutout, RandomErasing
from deepgpu.vision.transforms.flip import RandomHorizontalFlip, RandomVerticalFlip
