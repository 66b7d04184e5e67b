"""Transforms as functions: tensors against PyTorch and Pillow, Pillow images against Pillow and NumPy."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

import deepgpu as dg
from deepgpu.vision.transforms import InterpolationMode, functional as F

MODES = ("constant", "edge", "reflect", "symmetric")


def _bytes(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _pair(channels=3, height=11, width=8, seed=0):
    """The same image for Pillow and as a tensor."""
    array = _bytes(height, width, channels, seed=seed)
    return Image.fromarray(array[:, :, 0] if channels == 1 else array), dg.tensor(array.transpose(2, 0, 1).copy())


def _as_array(pil):
    """Pillow's pixels as (C, H, W)."""
    array = np.asarray(pil)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _levels(a, b):
    """By how many levels two images of bytes differ at most."""
    return np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max()


# --- conversion


@pytest.mark.parametrize("channels", [1, 3])
def test_to_tensor(channels):
    pil, tensor = _pair(channels)
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
    array = _bytes(*shape).astype(dtype)
    image = F.to_pil_image(array)
    assert (image.mode, image.size) == (mode, (5, 4))
    np.testing.assert_array_equal(np.asarray(image), array.reshape(np.asarray(image).shape))


def test_to_pil_image_of_tensors():
    values = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    image = F.to_pil_image(dg.tensor(values))
    np.testing.assert_array_equal(_as_array(image), (values * 255).astype(np.uint8))
    assert F.to_pil_image(_bytes(4, 5, 3), mode="HSV").mode == "HSV"
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


# --- windows


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", [2, (1, 3), (1, 2, 3, 0)])
def test_pad(padding, mode, channels):
    pil, tensor = _pair(channels)
    left, top, right, bottom = {2: (2,) * 4, (1, 3): (1, 3, 1, 3)}.get(padding, padding)
    expected = np.pad(tensor.numpy(), ((0, 0), (top, bottom), (left, right)), mode)
    np.testing.assert_array_equal(F.pad(tensor, padding, padding_mode=mode).numpy(), expected)
    np.testing.assert_array_equal(F.pad(dg.stack([tensor] * 2), padding, padding_mode=mode).numpy()[1], expected)
    np.testing.assert_array_equal(_as_array(F.pad(pil, padding, padding_mode=mode)), expected)


def test_pad_with_a_colour():
    pil, tensor = _pair()
    expected = np.stack([np.pad(c, 1, constant_values=v) for c, v in zip(tensor.numpy(), (1, 2, 3), strict=True)])
    np.testing.assert_array_equal(F.pad(tensor, 1, (1, 2, 3)).numpy(), expected)
    np.testing.assert_array_equal(_as_array(F.pad(pil, 1, (1, 2, 3))), expected)
    np.testing.assert_array_equal(_as_array(F.pad(pil, 1, 7))[:, 0], np.full((3, 10), 7))
    np.testing.assert_array_equal(F.pad(tensor, 1, 7).numpy()[:, 0], np.full((3, 10), 7))


def test_negative_padding_crops():
    pil, tensor = _pair()
    expected = np.pad(tensor.numpy()[:, 1:, :-2], ((0, 0), (0, 3), (4, 0)))
    np.testing.assert_array_equal(F.pad(tensor, (4, -1, -2, 3)).numpy(), expected)
    np.testing.assert_array_equal(_as_array(F.pad(pil, (4, -1, -2, 3))), expected)


@pytest.mark.parametrize("window", [(1, 2, 4, 5), (-2, -1, 5, 5), (8, 5, 6, 6), (-3, -3, 30, 20), (20, 20, 3, 2)])
def test_crop(window):
    pil, tensor = _pair()
    expected = _as_array(pil.crop((window[1], window[0], window[1] + window[3], window[0] + window[2])))
    np.testing.assert_array_equal(F.crop(tensor, *window).numpy(), expected)
    np.testing.assert_array_equal(_as_array(F.crop(pil, *window)), expected)


@pytest.mark.parametrize("size", [4, (5, 3), (12, 4), 13, (11, 8)])
def test_center_crop(size):
    pil, tensor = _pair()
    height, width = (size, size) if isinstance(size, int) else size
    ours = F.center_crop(tensor, size).numpy()
    assert ours.shape == (3, height, width)
    np.testing.assert_array_equal(_as_array(F.center_crop(pil, size)), ours)
    if height <= 11 and width <= 8:
        top, left = round((11 - height) / 2), round((8 - width) / 2)
        np.testing.assert_array_equal(ours, tensor.numpy()[:, top : top + height, left : left + width])


def test_five_and_ten_crop():
    pil, tensor = _pair()
    x = tensor.numpy()
    expected = [x[:, :4, :3], x[:, :4, -3:], x[:, -4:, :3], x[:, -4:, -3:], F.center_crop(tensor, (4, 3)).numpy()]
    for ours, wanted in zip(F.five_crop(tensor, (4, 3)), expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), wanted)
    ten = F.ten_crop(pil, (4, 3), vertical_flip=True)
    assert len(ten) == 10
    np.testing.assert_array_equal(_as_array(ten[5]), x[:, ::-1][:, :4, :3])


def test_flips():
    pil, tensor = _pair()
    x = tensor.numpy()
    for flip, expected in ((F.hflip, x[:, :, ::-1]), (F.vflip, x[:, ::-1])):
        np.testing.assert_array_equal(flip(tensor).numpy(), expected)
        np.testing.assert_array_equal(_as_array(flip(pil)), expected)


def test_erase():
    tensor = dg.ones(2, 3, 4, 5)
    erased = F.erase(tensor, 1, 2, 2, 3, dg.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1))
    expected = np.ones((2, 3, 4, 5), np.float32)
    expected[:, :, 1:3, 2:5] = np.array([1, 2, 3]).reshape(3, 1, 1)
    np.testing.assert_array_equal(erased.numpy(), expected)
    assert tensor.min().item() == tensor.max().item() == 1
    assert F.erase(tensor, 0, 0, 1, 1, 0.0, inplace=True) is tensor


def test_dimensions():
    pil, tensor = _pair()
    assert F.get_dimensions(pil) == F.get_dimensions(tensor) == [3, 11, 8]
    assert F.get_image_size(pil) == F.get_image_size(tensor) == [8, 11]
    assert F.get_image_num_channels(dg.zeros(4, 5)) == 1


# --- size


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(5, 3), (22, 17), (7, 16), (1, 1), (11, 20)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resize_of_float_tensors_is_pytorch_s(mode, size, antialias):
    x = np.random.default_rng(0).random((2, 3, 11, 8))
    ours = F.resize(dg.tensor(x), size, InterpolationMode(mode), antialias=antialias)
    theirs = torch.nn.functional.interpolate(torch.tensor(x), size, mode=mode, antialias=antialias, align_corners=False)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(5, 3), (22, 17), (7, 16)])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_resize_to_the_nearest_pixel_is_pytorch_s(mode, size):
    x = _bytes(1, 3, 11, 8)
    ours = F.resize(dg.tensor(x), size, InterpolationMode(mode))
    np.testing.assert_array_equal(
        ours.numpy(), torch.nn.functional.interpolate(torch.tensor(x), size, mode=mode).numpy()
    )


@pytest.mark.parametrize("size", [(5, 3), (22, 17), (7, 16)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resize_of_bytes_is_pillow_s_within_a_level(mode, size):
    pil, tensor = _pair()
    mode = InterpolationMode(mode)
    theirs = F.resize(pil, size, mode)
    if mode is InterpolationMode.BILINEAR:
        assert _levels(F.resize(tensor, size, mode), _as_array(theirs)) <= 1
    else:  # Pillow cuts off between height and width, so it differs where the curve overshoots
        exact = torch.nn.functional.interpolate(
            torch.tensor(tensor.numpy()[None]).double(), size, mode="bicubic", antialias=True
        )
        assert _levels(F.resize(tensor, size, mode), exact[0].round().clamp(0, 255)) <= 1
    number = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[mode.value]
    np.testing.assert_array_equal(np.asarray(theirs), np.asarray(pil.resize(size[::-1], number)))
    np.testing.assert_array_equal(np.asarray(F.resize(pil, size, int(number))), np.asarray(theirs))


@pytest.mark.parametrize(
    ("size", "max_size", "expected"),
    [(4, None, (5, 4)), (16, None, (22, 16)), (8, None, (11, 8)), ([4], None, (5, 4)), (6, 7, (7, 5)), (6, 9, (8, 6))],
)
def test_resize_of_the_shorter_edge(size, max_size, expected):
    pil, tensor = _pair()
    assert F.resize(tensor, size, max_size=max_size).shape[-2:] == expected
    assert F.resize(pil, size, max_size=max_size).size == expected[::-1]


def test_resized_crop():
    pil, tensor = _pair()
    expected = F.resize(tensor[:, 1:7, 2:6], (3, 3))
    np.testing.assert_array_equal(F.resized_crop(tensor, 1, 2, 6, 4, (3, 3)).numpy(), expected.numpy())
    assert F.resized_crop(pil, 1, 2, 6, 4, (3, 3)).size == (3, 3)


# --- maps of the plane


def _grid_sample(x, inverse, size, mode):
    """The map from new pixel centres to old points, through PyTorch's grid_sample."""
    height, width = x.shape[-2:]
    v, u = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    points = torch.tensor(inverse) @ torch.stack([u, v, torch.ones_like(u)]).double().reshape(3, -1)
    points = (points[:2] / points[2]).reshape(2, *size)
    grid = torch.stack([points[0] / width * 2 - 1, points[1] / height * 2 - 1], -1)
    return torch.nn.functional.grid_sample(torch.tensor(x)[None], grid[None], mode, align_corners=False)[0].numpy()


def _about(x, y, linear):
    """The linear map about a point, as a matrix of homogeneous coordinates."""
    to, back = np.eye(3), np.eye(3)
    to[:2, 2], back[:2, 2] = (-x, -y), (x, y)
    whole = np.eye(3)
    whole[:2, :2] = linear
    return back @ whole @ to


def _turn(degrees):
    a = np.radians(degrees)
    return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize(("angle", "center"), [(17, None), (-100, None), (33, (2, 3))])
def test_rotate_tensors(angle, center, mode):
    x = np.random.default_rng(0).random((3, 11, 8))
    ours = F.rotate(dg.tensor(x), angle, InterpolationMode(mode), center=center)
    expected = _grid_sample(x, _about(*(center or (4, 5.5)), _turn(angle)), (11, 8), mode)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_exact(turns):
    pil, tensor = _pair()
    for mode in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        ours = F.rotate(tensor, 90 * turns, mode, expand=True)
        np.testing.assert_array_equal(ours.numpy(), np.rot90(tensor.numpy(), turns, (1, 2)))
        np.testing.assert_array_equal(_as_array(F.rotate(pil, 90 * turns, mode, expand=True)), ours.numpy())


@pytest.mark.parametrize("angle", [0, 10, 45, 120, -30])
def test_expanded_rotation_has_pillow_s_size(angle):
    pil, tensor = _pair(height=20, width=31)
    theirs = F.rotate(pil, angle, expand=True)
    ours = F.rotate(tensor, angle, expand=True)
    assert ours.shape[-2:] == theirs.size[::-1]
    assert np.mean(ours.numpy() == _as_array(theirs)) > 0.97  # rounding decides pixels at equal distance


def test_rotation_fills():
    pil, tensor = _pair()
    for mode in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        corner = F.rotate(tensor, 45, mode, expand=True, fill=(10, 20, 30)).numpy()[:, 0, 0]
        assert corner.tolist() == [10, 20, 30]
        assert _as_array(F.rotate(pil, 45, mode, expand=True, fill=(10, 20, 30)))[:, 0, 0].tolist() == [10, 20, 30]
    x = dg.full((1, 9, 9), 0.5)
    np.testing.assert_allclose(F.rotate(x, 30, InterpolationMode.BILINEAR, fill=0.5).numpy(), 0.5, atol=1e-6)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_affine(mode):
    x = np.random.default_rng(0).random((3, 11, 8))
    angle, translate, scale, shear = 20, (2, -1), 1.3, (10, -5)
    ours = F.affine(dg.tensor(x), angle, translate, scale, shear, InterpolationMode(mode))
    along_x = np.array([[1, -np.tan(np.radians(shear[0]))], [0, 1]])
    along_y = np.array([[1, 0], [-np.tan(np.radians(shear[1])), 1]])
    forward = _about(4, 5.5, scale * _turn(angle) @ along_y @ along_x)
    forward[:2, 2] += translate
    expected = _grid_sample(x, np.linalg.inv(forward), (11, 8), mode)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-9)


def test_affine_of_pil_images_is_that_of_tensors():
    pil, tensor = _pair(height=40, width=30)
    ours = F.affine(tensor, 25, (3, 2), 1.2, (5, 7), InterpolationMode.BILINEAR).numpy()
    theirs = _as_array(F.affine(pil, 25, (3, 2), 1.2, (5, 7), InterpolationMode.BILINEAR))
    assert np.mean(np.abs(ours.astype(int) - theirs) <= 1) > 0.95  # Pillow ends half a pixel beyond the edge
    moved = F.affine(tensor, 0, (3, 2), 1.0, 0).numpy()
    np.testing.assert_array_equal(moved[:, 2:, 3:], tensor.numpy()[:, :-2, :-3])
    assert moved[:, :2].max() == 0


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_perspective(mode):
    x = np.random.default_rng(0).random((3, 11, 8))
    start = [[0, 0], [7, 0], [7, 10], [0, 10]]
    end = [[1.1, 2.3], [6.2, 0.9], [7, 9.4], [0.3, 8.1]]
    ours = F.perspective(dg.tensor(x), start, end, InterpolationMode(mode))
    # the same map from its definition: solve for the matrix that takes the end points to the start points
    rows = []
    for (u, v), (a, b) in zip(end, start, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -a * u, -a * v, -a], [0, 0, 0, u, v, 1, -b * u, -b * v, -b]]
    matrix = np.linalg.svd(np.array(rows, float))[2][-1].reshape(3, 3)
    expected = _grid_sample(x, matrix / matrix[2, 2], (11, 8), mode)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-7)
    pil, _ = _pair()
    assert _levels(F.perspective(pil, start, start), pil) <= 1


# --- colours


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    ("name", "enhancer"), [("brightness", "Brightness"), ("contrast", "Contrast"), ("saturation", "Color")]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_enhancing(channels, name, enhancer, factor):
    pil, tensor = _pair(channels)
    adjust = getattr(F, f"adjust_{name}")
    theirs = getattr(ImageEnhance, enhancer)(pil).enhance(factor)
    np.testing.assert_array_equal(np.asarray(adjust(pil, factor)), np.asarray(theirs))
    assert _levels(adjust(tensor, factor), _as_array(theirs)) <= 2
    as_float = adjust(F.to_tensor(tensor), factor).numpy()
    np.testing.assert_allclose(as_float, _as_array(theirs) / 255, rtol=0, atol=2 / 255)


def test_grayscale():
    pil, tensor = _pair()
    r, g, b = tensor.numpy().astype(np.float64)
    expected = 0.2989 * r + 0.587 * g + 0.114 * b
    assert np.abs(F.rgb_to_grayscale(tensor).numpy()[0] - expected).max() < 1.01
    np.testing.assert_array_equal(np.asarray(F.rgb_to_grayscale(pil)), np.asarray(pil.convert("L")))
    for image in (F.rgb_to_grayscale(tensor, 3).numpy(), _as_array(F.to_grayscale(pil, 3))):
        assert image.shape == (3, 11, 8)
        np.testing.assert_array_equal(image[0], image[2])


@pytest.mark.parametrize("shift", [-0.5, -0.2, 0.0, 0.31])
def test_hue(shift):
    pil, tensor = _pair()
    x = F.to_tensor(tensor).numpy()
    expected = np.empty_like(x)
    for i, j in np.ndindex(x.shape[1:]):
        h, s, v = colorsys.rgb_to_hsv(*x[:, i, j].tolist())
        expected[:, i, j] = colorsys.hsv_to_rgb((h + shift) % 1, s, v)
    np.testing.assert_allclose(F.adjust_hue(F.to_tensor(tensor), shift).numpy(), expected, atol=1e-5)
    assert _levels(F.adjust_hue(tensor, shift), expected * 255) <= 1
    hsv = np.array(pil.convert("HSV"))
    hsv[:, :, 0] += np.array(int(shift * 255)).astype(np.uint8)
    shifted = Image.frombytes("HSV", pil.size, hsv.tobytes()).convert("RGB")
    np.testing.assert_array_equal(np.asarray(F.adjust_hue(pil, shift)), np.asarray(shifted))
    grey = dg.full((3, 2, 2), 0.4)
    np.testing.assert_allclose(F.adjust_hue(grey, shift).numpy(), grey.numpy(), atol=1e-6)


def test_gamma():
    pil, tensor = _pair()
    expected = 0.9 * F.to_tensor(tensor).numpy() ** 1.7
    np.testing.assert_allclose(F.adjust_gamma(F.to_tensor(tensor), 1.7, 0.9).numpy(), expected, rtol=1e-5)
    assert _levels(F.adjust_gamma(tensor, 1.7, 0.9), expected * 255) <= 1
    assert _levels(_as_array(F.adjust_gamma(pil, 1.7, 0.9)), expected * 255) <= 1


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
    pil, tensor = _pair(height=40, width=30)
    theirs = np.asarray(pillow(pil))
    np.testing.assert_array_equal(np.asarray(ours(pil)), theirs)
    assert _levels(ours(tensor), theirs.transpose(2, 0, 1)) <= levels


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
    pil, tensor = _pair()
    np.testing.assert_array_equal(_as_array(F.gaussian_blur(pil, 3)), F.gaussian_blur(tensor, 3).numpy())
