"""Images to tensors and back, dtypes, normalisation; errors of all functions."""

import numpy as np
import pytest
from PIL import Image

import deepgpu as dg
from deepgpu.vision.transforms import InterpolationMode, functional as F
from tests.vision.images import as_array, pair, random_bytes


@pytest.mark.parametrize("channels", [1, 3])
def test_to_tensor(channels):
    pil, tensor = pair(channels)
    expected = tensor.numpy().astype(np.float32) / np.float32(255)
    hwc = np.ascontiguousarray(tensor.numpy().transpose(1, 2, 0))
    for image in (pil, hwc, tensor):
        ours = F.to_tensor(image)
        assert ours.dtype is dg.float32
        np.testing.assert_array_equal(ours.numpy(), expected)
    np.testing.assert_array_equal(F.pil_to_tensor(pil).numpy(), tensor.numpy())


@pytest.mark.parametrize(
    ("mode", "dtype", "expected"),
    [("1", dg.float32, 1.0), ("I", dg.int32, 70000), ("F", dg.float32, 2.5), ("I;16", dg.int16, 300)],
)
def test_to_tensor_of_other_modes(mode, dtype, expected):
    value = {"1": 1}.get(mode, expected)
    tensor = F.to_tensor(Image.new(mode, (2, 3), value))
    assert (tensor.dtype, tuple(tensor.shape)) == (dtype, (1, 3, 2))
    np.testing.assert_array_equal(tensor.numpy(), np.full((1, 3, 2), expected))


def test_to_tensor_keeps_arrays_of_other_types():
    tensor = F.to_tensor(np.ones((2, 3), np.float64))
    assert (tensor.dtype, tuple(tensor.shape)) == (dg.float64, (1, 2, 3))


@pytest.mark.parametrize(
    ("shape", "dtype", "mode"),
    [
        ((4, 5), np.uint8, "L"),
        ((4, 5, 1), np.uint8, "L"),
        ((4, 5, 2), np.uint8, "LA"),
        ((4, 5, 3), np.uint8, "RGB"),
        ((4, 5, 4), np.uint8, "RGBA"),
        ((4, 5), np.int32, "I"),
        ((4, 5), np.float32, "F"),
    ],
)
def test_to_pil_image_and_back(shape, dtype, mode):
    array = random_bytes(*shape).astype(dtype)
    image = F.to_pil_image(array)
    assert (image.mode, image.size) == (mode, (5, 4))
    np.testing.assert_array_equal(np.asarray(image), array.reshape(np.asarray(image).shape))


def test_to_pil_image_of_tensors():
    values = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    image = F.to_pil_image(dg.tensor(values))
    np.testing.assert_array_equal(as_array(image), (values * 255).astype(np.uint8))
    assert F.to_pil_image(random_bytes(4, 5, 3), mode="HSV").mode == "HSV"
    assert F.to_pil_image(dg.rand(4, 5), mode="F").mode == "F"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.to_tensor("x"), TypeError, "`pic` takes a PIL image or an ndarray, but got str"),
        (lambda: F.to_tensor(dg.rand(1, 2, 2)), TypeError, "uint8 tensor"),
        (lambda: F.to_tensor(np.ones((1, 1, 1, 1))), ValueError, "2 or 3 dimensions, but got 4"),
        (lambda: F.to_pil_image(np.ones((2, 2, 5), np.uint8)), ValueError, "1 to 4 channels, but got 5"),
        (lambda: F.to_pil_image(np.ones((2, 2, 3), np.float32)), TypeError, "no PIL mode for 3 channels of float32"),
        (lambda: F.to_pil_image(np.ones((2, 2), np.uint8), "RGB"), ValueError, "`mode` takes L for uint8"),
        (lambda: F.normalize(dg.tensor([[[1]]]), [0.0], [1.0]), TypeError, r"floating-point.*`ToTensor\(\)`"),
        (lambda: F.normalize(dg.rand(1, 2, 2), [0.0], [0.0]), ValueError, "`std` is zero"),
        (lambda: F.normalize(dg.rand(2, 2), [0.0], [1.0]), ValueError, r"\(\.\.\., C, H, W\)"),
        (lambda: F.hflip("x"), TypeError, "`hflip`: `img` takes a PIL image or a tensor, but got str"),
        (lambda: F.pad(dg.rand(1, 2, 2), (1, 2, 3)), ValueError, "`padding` takes an int or a sequence of 1, 2 or 4"),
        (lambda: F.pad(dg.rand(1, 2, 2), 1, padding_mode="wrap"), ValueError, "but got 'wrap'"),
        (lambda: F.five_crop(dg.rand(1, 4, 4), 5), ValueError, r"`size` \(5, 5\) is larger than the image \(4, 4\)"),
        (lambda: F.resize(dg.rand(1, 4, 4), 2, InterpolationMode.BOX), ValueError, "for tensors, but got BOX"),
        (lambda: F.resize(dg.rand(1, 4, 4), 3, "bilinear"), TypeError, "an InterpolationMode"),
        (lambda: F.resize(dg.rand(1, 4, 4), 3, max_size=3), ValueError, "`max_size` takes more than `size` = 3"),
        (lambda: F.resize(dg.rand(1, 4, 4), (3, 3), max_size=5), ValueError, "only where `size` is one int"),
        (lambda: F.adjust_hue(dg.rand(3, 2, 2), 0.6), ValueError, "between -0.5 and 0.5"),
        (lambda: F.adjust_contrast(dg.rand(2, 2, 2), 1.0), TypeError, "1 or 3 channels, but got 2"),
        (lambda: F.adjust_brightness(dg.rand(3, 2, 2), -1), ValueError, "`brightness_factor` takes a number >= 0"),
        (lambda: F.gaussian_blur(dg.rand(3, 4, 4), 2), ValueError, "odd numbers"),
        (lambda: F.affine(dg.rand(3, 4, 4), 0, (0, 0), 0.0, 0), ValueError, "`scale` takes a number > 0"),
        (lambda: F.rotate(Image.new("RGB", (3, 3)), 4, fill=(1, 2)), ValueError, "takes 1 or 3 numbers"),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_normalize():
    x = np.random.default_rng(0).random((2, 3, 4, 5), dtype=np.float32)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    expected = (x - np.float32(mean).reshape(3, 1, 1)) / np.float32(std).reshape(3, 1, 1)
    np.testing.assert_array_equal(F.normalize(dg.tensor(x), mean, std).numpy(), expected)
    np.testing.assert_array_equal(F.normalize(dg.tensor(x[0]), mean, std).numpy(), expected[0])
    inplace = dg.tensor(x)
    assert F.normalize(inplace, mean, std, inplace=True) is inplace
    np.testing.assert_array_equal(inplace.numpy(), expected)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (255, dg.uint8, dg.float32, 1.0),
        (51, dg.uint8, dg.float64, 0.2),
        (1.0, dg.float32, dg.uint8, 255),
        (0.5, dg.float32, dg.uint8, 127),
        (0.25, dg.float32, dg.float16, 0.25),
        (255, dg.uint8, dg.int32, 255 * 2**23),
        (2**31 - 1, dg.int32, dg.uint8, 255),
        (7, dg.uint8, dg.uint8, 7),
    ],
)
def test_convert_image_dtype(value, source, target, expected):
    converted = F.convert_image_dtype(dg.tensor([value], dtype=source), target)
    assert converted.dtype is target
    assert converted.item() == expected


@pytest.mark.parametrize(("source", "target"), [(dg.float32, dg.int32), (dg.float32, dg.int64), (dg.float64, dg.int64)])
def test_conversions_that_would_overflow(source, target):
    with pytest.raises(RuntimeError, match="cannot be performed safely"):
        F.convert_image_dtype(dg.zeros(1, dtype=source), target)
