"""Padding, crops, flips and sizes: tensors against NumPy and PyTorch, Pillow images against Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image

import deepgpu as dg
from deepgpu.vision.transforms import InterpolationMode, functional as F
from tests.vision.images import as_array, levels_apart, pair, random_bytes

MODES = ("constant", "edge", "reflect", "symmetric")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", [2, (1, 3), (1, 2, 3, 0)])
def test_pad(padding, mode, channels):
    pil, tensor = pair(channels)
    left, top, right, bottom = {2: (2,) * 4, (1, 3): (1, 3, 1, 3)}.get(padding, padding)
    expected = np.pad(tensor.numpy(), ((0, 0), (top, bottom), (left, right)), mode)
    np.testing.assert_array_equal(F.pad(tensor, padding, padding_mode=mode).numpy(), expected)
    np.testing.assert_array_equal(F.pad(dg.stack([tensor] * 2), padding, padding_mode=mode).numpy()[1], expected)
    np.testing.assert_array_equal(as_array(F.pad(pil, padding, padding_mode=mode)), expected)


def test_pad_with_a_colour():
    pil, tensor = pair()
    expected = np.stack([np.pad(c, 1, constant_values=v) for c, v in zip(tensor.numpy(), (1, 2, 3), strict=True)])
    np.testing.assert_array_equal(F.pad(tensor, 1, (1, 2, 3)).numpy(), expected)
    np.testing.assert_array_equal(as_array(F.pad(pil, 1, (1, 2, 3))), expected)
    np.testing.assert_array_equal(as_array(F.pad(pil, 1, 7))[:, 0], np.full((3, 10), 7))
    np.testing.assert_array_equal(F.pad(tensor, 1, 7).numpy()[:, 0], np.full((3, 10), 7))


def test_negative_padding_crops():
    pil, tensor = pair()
    expected = np.pad(tensor.numpy()[:, 1:, :-2], ((0, 0), (0, 3), (4, 0)))
    np.testing.assert_array_equal(F.pad(tensor, (4, -1, -2, 3)).numpy(), expected)
    np.testing.assert_array_equal(as_array(F.pad(pil, (4, -1, -2, 3))), expected)


@pytest.mark.parametrize("window", [(1, 2, 4, 5), (-2, -1, 5, 5), (8, 5, 6, 6), (-3, -3, 30, 20), (20, 20, 3, 2)])
def test_crop(window):
    pil, tensor = pair()
    expected = as_array(pil.crop((window[1], window[0], window[1] + window[3], window[0] + window[2])))
    np.testing.assert_array_equal(F.crop(tensor, *window).numpy(), expected)
    np.testing.assert_array_equal(as_array(F.crop(pil, *window)), expected)


@pytest.mark.parametrize("size", [4, (5, 3), (12, 4), 13, (11, 8)])
def test_center_crop(size):
    pil, tensor = pair()
    height, width = (size, size) if isinstance(size, int) else size
    ours = F.center_crop(tensor, size).numpy()
    assert ours.shape == (3, height, width)
    np.testing.assert_array_equal(as_array(F.center_crop(pil, size)), ours)
    if height <= 11 and width <= 8:
        top, left = round((11 - height) / 2), round((8 - width) / 2)
        np.testing.assert_array_equal(ours, tensor.numpy()[:, top : top + height, left : left + width])


def test_five_and_ten_crop():
    pil, tensor = pair()
    x = tensor.numpy()
    expected = [x[:, :4, :3], x[:, :4, -3:], x[:, -4:, :3], x[:, -4:, -3:], F.center_crop(tensor, (4, 3)).numpy()]
    for ours, wanted in zip(F.five_crop(tensor, (4, 3)), expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), wanted)
    ten = F.ten_crop(pil, (4, 3), vertical_flip=True)
    assert len(ten) == 10
    np.testing.assert_array_equal(as_array(ten[5]), x[:, ::-1][:, :4, :3])


def test_flips():
    pil, tensor = pair()
    x = tensor.numpy()
    for flip, expected in ((F.hflip, x[:, :, ::-1]), (F.vflip, x[:, ::-1])):
        np.testing.assert_array_equal(flip(tensor).numpy(), expected)
        np.testing.assert_array_equal(as_array(flip(pil)), expected)


def test_erase():
    tensor = dg.ones(2, 3, 4, 5)
    erased = F.erase(tensor, 1, 2, 2, 3, dg.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1))
    expected = np.ones((2, 3, 4, 5), np.float32)
    expected[:, :, 1:3, 2:5] = np.array([1, 2, 3]).reshape(3, 1, 1)
    np.testing.assert_array_equal(erased.numpy(), expected)
    assert tensor.min().item() == tensor.max().item() == 1
    assert F.erase(tensor, 0, 0, 1, 1, 0.0, inplace=True) is tensor


def test_dimensions():
    pil, tensor = pair()
    assert F.get_dimensions(pil) == F.get_dimensions(tensor) == [3, 11, 8]
    assert F.get_image_size(pil) == F.get_image_size(tensor) == [8, 11]
    assert F.get_image_num_channels(dg.zeros(4, 5)) == 1


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
    x = random_bytes(1, 3, 11, 8)
    ours = F.resize(dg.tensor(x), size, InterpolationMode(mode))
    np.testing.assert_array_equal(
        ours.numpy(), torch.nn.functional.interpolate(torch.tensor(x), size, mode=mode).numpy()
    )


@pytest.mark.parametrize("size", [(5, 3), (22, 17), (7, 16)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resize_of_bytes_is_pillow_s_within_a_level(mode, size):
    pil, tensor = pair()
    mode = InterpolationMode(mode)
    theirs = F.resize(pil, size, mode)
    if mode is InterpolationMode.BILINEAR:
        assert levels_apart(F.resize(tensor, size, mode), as_array(theirs)) <= 1
    else:  # Pillow cuts off between height and width, so it differs where the curve overshoots
        exact = torch.nn.functional.interpolate(
            torch.tensor(tensor.numpy()[None]).double(), size, mode="bicubic", antialias=True
        )
        assert levels_apart(F.resize(tensor, size, mode), exact[0].round().clamp(0, 255)) <= 1
    number = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[mode.value]
    np.testing.assert_array_equal(np.asarray(theirs), np.asarray(pil.resize(size[::-1], number)))
    np.testing.assert_array_equal(np.asarray(F.resize(pil, size, int(number))), np.asarray(theirs))


@pytest.mark.parametrize(
    ("size", "max_size", "expected"),
    [(4, None, (5, 4)), (16, None, (22, 16)), (8, None, (11, 8)), ([4], None, (5, 4)), (6, 7, (7, 5)), (6, 9, (8, 6))],
)
def test_resize_of_the_shorter_edge(size, max_size, expected):
    pil, tensor = pair()
    assert F.resize(tensor, size, max_size=max_size).shape[-2:] == expected
    assert F.resize(pil, size, max_size=max_size).size == expected[::-1]


def test_resized_crop():
    pil, tensor = pair()
    expected = F.resize(tensor[:, 1:7, 2:6], (3, 3))
    np.testing.assert_array_equal(F.resized_crop(tensor, 1, 2, 6, 4, (3, 3)).numpy(), expected.numpy())
    assert F.resized_crop(pil, 1, 2, 6, 4, (3, 3)).size == (3, 3)
