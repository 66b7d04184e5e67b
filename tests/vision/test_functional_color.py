"""Colours and blurs: tensors and Pillow images against Pillow, NumPy and PyTorch."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

import deepgpu as dg
from deepgpu.vision.transforms import functional as F
from tests.vision.images import as_array, levels_apart, pair


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    ("name", "enhancer"), [("brightness", "Brightness"), ("contrast", "Contrast"), ("saturation", "Color")]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_enhancing(channels, name, enhancer, factor):
    pil, tensor = pair(channels)
    adjust = getattr(F, f"adjust_{name}")
    theirs = getattr(ImageEnhance, enhancer)(pil).enhance(factor)
    np.testing.assert_array_equal(np.asarray(adjust(pil, factor)), np.asarray(theirs))
    assert levels_apart(adjust(tensor, factor), as_array(theirs)) <= 2
    as_float = adjust(F.to_tensor(tensor), factor).numpy()
    np.testing.assert_allclose(as_float, as_array(theirs) / 255, rtol=0, atol=2 / 255)


def test_grayscale():
    pil, tensor = pair()
    r, g, b = tensor.numpy().astype(np.float64)
    expected = 0.2989 * r + 0.587 * g + 0.114 * b
    assert np.abs(F.rgb_to_grayscale(tensor).numpy()[0] - expected).max() < 1.01
    np.testing.assert_array_equal(np.asarray(F.rgb_to_grayscale(pil)), np.asarray(pil.convert("L")))
    for image in (F.rgb_to_grayscale(tensor, 3).numpy(), as_array(F.to_grayscale(pil, 3))):
        assert image.shape == (3, 11, 8)
        np.testing.assert_array_equal(image[0], image[2])


@pytest.mark.parametrize("shift", [-0.5, -0.2, 0.0, 0.31])
def test_hue(shift):
    pil, tensor = pair()
    x = F.to_tensor(tensor).numpy()
    expected = np.empty_like(x)
    for i, j in np.ndindex(x.shape[1:]):
        h, s, v = colorsys.rgb_to_hsv(*x[:, i, j].tolist())
        expected[:, i, j] = colorsys.hsv_to_rgb((h + shift) % 1, s, v)
    np.testing.assert_allclose(F.adjust_hue(F.to_tensor(tensor), shift).numpy(), expected, atol=1e-5)
    assert levels_apart(F.adjust_hue(tensor, shift), expected * 255) <= 1
    hsv = np.array(pil.convert("HSV"))
    hsv[:, :, 0] += np.array(int(shift * 255)).astype(np.uint8)
    shifted = Image.frombytes("HSV", pil.size, hsv.tobytes()).convert("RGB")
    np.testing.assert_array_equal(np.asarray(F.adjust_hue(pil, shift)), np.asarray(shifted))
    grey = dg.full((3, 2, 2), 0.4)
    np.testing.assert_allclose(F.adjust_hue(grey, shift).numpy(), grey.numpy(), atol=1e-6)


def test_gamma():
    pil, tensor = pair()
    expected = 0.9 * F.to_tensor(tensor).numpy() ** 1.7
    np.testing.assert_allclose(F.adjust_gamma(F.to_tensor(tensor), 1.7, 0.9).numpy(), expected, rtol=1e-5)
    assert levels_apart(F.adjust_gamma(tensor, 1.7, 0.9), expected * 255) <= 1
    assert levels_apart(as_array(F.adjust_gamma(pil, 1.7, 0.9)), expected * 255) <= 1


@pytest.mark.parametrize(
    ("ours", "pillow", "levels"),
    [
        (F.invert, ImageOps.invert, 0),
        (lambda x: F.posterize(x, 3), lambda x: ImageOps.posterize(x, 3), 0),
        (lambda x: F.solarize(x, 100), lambda x: ImageOps.solarize(x, 100), 0),
        (F.autocontrast, ImageOps.autocontrast, 1),
        (F.equalize, ImageOps.equalize, 0),
        (lambda x: F.adjust_sharpness(x, 0.3), lambda x: ImageEnhance.Sharpness(x).enhance(0.3), 1),
        (lambda x: F.adjust_sharpness(x, 2.3), lambda x: ImageEnhance.Sharpness(x).enhance(2.3), 2),
    ],
)
def test_other_operations_of_pillow(ours, pillow, levels):
    pil, tensor = pair(height=40, width=30)
    theirs = np.asarray(pillow(pil))
    np.testing.assert_array_equal(np.asarray(ours(pil)), theirs)
    assert levels_apart(ours(tensor), theirs.transpose(2, 0, 1)) <= levels


def test_flat_images():
    flat = dg.full((3, 4, 4), 9, dtype=dg.uint8)
    np.testing.assert_array_equal(F.autocontrast(flat).numpy(), flat.numpy())
    np.testing.assert_array_equal(F.equalize(flat).numpy(), flat.numpy())


def test_operations_on_floats():
    x = np.random.default_rng(0).random((3, 5, 5), dtype=np.float32)
    np.testing.assert_array_equal(F.invert(dg.tensor(x)).numpy(), 1 - x)
    np.testing.assert_array_equal(F.solarize(dg.tensor(x), 0.5).numpy(), np.where(x >= 0.5, 1 - x, x))
    stretched = F.autocontrast(dg.tensor(x)).numpy()
    assert stretched.min() == 0
    np.testing.assert_allclose(stretched.max((1, 2)), 1, rtol=1e-6)


@pytest.mark.parametrize(("kernel", "sigma"), [(3, 0.8), ((5, 3), (1.1, 0.4)), (7, None)])
def test_gaussian_blur(kernel, sigma):
    x = np.random.default_rng(0).random((2, 3, 11, 8))
    kx, ky = (kernel, kernel) if isinstance(kernel, int) else kernel
    default = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8 if sigma is None else sigma
    sx, sy = (default, default) if isinstance(default, float) else default
    weights = [np.exp(-(((np.arange(k) - k // 2) / s) ** 2) / 2) for k, s in ((kx, sx), (ky, sy))]
    window = torch.tensor(np.outer(weights[1] / weights[1].sum(), weights[0] / weights[0].sum()))
    padded = torch.nn.functional.pad(torch.tensor(x), (kx // 2, kx // 2, ky // 2, ky // 2), mode="reflect")
    expected = torch.nn.functional.conv2d(padded, window.expand(3, 1, -1, -1), groups=3)
    np.testing.assert_allclose(F.gaussian_blur(dg.tensor(x), kernel, sigma).numpy(), expected.numpy(), atol=1e-9)


def test_gaussian_blur_of_pil_images():
    pil, tensor = pair()
    np.testing.assert_array_equal(as_array(F.gaussian_blur(pil, 3)), F.gaussian_blur(tensor, 3).numpy())
