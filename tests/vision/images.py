"""Images to test transforms with, as Pillow has them and as tensors."""

import numpy as np
from PIL import Image

import deepgpu as dg


def random_bytes(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def pair(channels=3, height=11, width=8, seed=0):
    """The same image for Pillow and as a tensor."""
    array = random_bytes(height, width, channels, seed=seed)
    return Image.fromarray(array[:, :, 0] if channels == 1 else array), dg.tensor(array.transpose(2, 0, 1).copy())


def as_array(pil):
    """Pillow's pixels as (C, H, W)."""
    array = np.asarray(pil)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def levels_apart(a, b):
    """By how many levels two images of bytes differ at most."""
    return np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max()
