"""The parts of torchvision that the scripts use, for the twin that runs on PyTorch: torchvision is not installed."""

import types

import numpy as np
import torch


class Compose:
    """Transforms one after the other."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class ToTensor:
    """Bytes (H, W[, C]) or a PIL image to floats (C, H, W) in [0, 1]."""

    def __call__(self, image):
        array = np.array(image)
        array = array[:, :, None] if array.ndim == 2 else array
        return torch.from_numpy(array.transpose(2, 0, 1).copy()).float().div(255)


class Normalize:
    """Minus the mean, divided by the deviation, for each channel."""

    def __init__(self, mean, std):
        self.mean, self.std = (torch.tensor(v).view(-1, 1, 1) for v in (mean, std))

    def __call__(self, tensor):
        return (tensor - self.mean) / self.std


transforms = types.SimpleNamespace(Compose=Compose, ToTensor=ToTensor, Normalize=Normalize)
