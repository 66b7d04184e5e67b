"""Grids of images and their files."""

import io

import numpy as np
import pytest
from PIL import Image

import deepgpu as dg
from deepgpu.vision import utils


def test_make_grid():
    x = np.arange(5 * 3 * 2 * 4, dtype=np.float32).reshape(5, 3, 2, 4)
    grid = utils.make_grid(dg.tensor(x), nrow=3, padding=1, pad_value=-1).numpy()
    assert grid.shape == (3, 2 * 3 + 1, 3 * 5 + 1)
    expected = np.full_like(grid, -1)
    for i, image in enumerate(x):
        top, left = 1 + i // 3 * 3, 1 + i % 3 * 5
        expected[:, top : top + 2, left : left + 4] = image
    np.testing.assert_array_equal(grid, expected)
    np.testing.assert_array_equal(utils.make_grid(list(dg.tensor(x)), 3, 1, pad_value=-1).numpy(), expected)


def test_grey_images_get_three_channels_and_one_image_no_frame():
    x = np.random.default_rng(0).random((4, 6), dtype=np.float32)
    for shape in ((4, 6), (1, 4, 6), (1, 1, 4, 6)):
        np.testing.assert_array_equal(utils.make_grid(dg.tensor(x.reshape(shape))).numpy(), np.stack([x] * 3))


@pytest.mark.parametrize("scale_each", [False, True])
@pytest.mark.parametrize("value_range", [None, (0.25, 0.75)])
def test_normalised_grid(value_range, scale_each):
    x = np.random.default_rng(0).random((2, 3, 4, 4))
    x[1] *= 0.5
    original = dg.tensor(x)
    grid = utils.make_grid(original, normalize=True, value_range=value_range, scale_each=scale_each, padding=0).numpy()
    axes = (1, 2, 3) if scale_each else None
    low = x.min(axes, keepdims=True) if value_range is None else 0.25
    high = x.max(axes, keepdims=True) if value_range is None else 0.75
    expected = (np.clip(x, low, high) - low) / (high - low)
    np.testing.assert_allclose(grid, np.concatenate(list(expected), -1), rtol=1e-12)
    np.testing.assert_array_equal(original.numpy(), x)


def test_save_image(tmp_path):
    x = np.random.default_rng(0).random((3, 3, 4, 5), dtype=np.float32) * 1.2 - 0.1
    utils.save_image(dg.tensor(x), tmp_path / "grid.png", nrow=2)
    grid = utils.make_grid(dg.tensor(x), nrow=2).numpy()
    expected = np.clip(grid * 255 + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    with Image.open(tmp_path / "grid.png") as image:
        np.testing.assert_array_equal(np.asarray(image), expected)
    file = io.BytesIO()
    utils.save_image(dg.tensor(x[0]), file, format="bmp")
    with Image.open(io.BytesIO(file.getvalue())) as image:
        assert (image.format, image.size) == ("BMP", (5, 4))


def test_bad_arguments():
    with pytest.raises(TypeError, match="a tensor or a list of tensors, but got list"):
        utils.make_grid([1, 2])
    with pytest.raises(ValueError, match=r"but got \(1, 2, 3, 4, 5\)"):
        utils.make_grid(dg.zeros(1, 2, 3, 4, 5))


def test_parts_are_attributes():
    import deepgpu.vision

    assert deepgpu.vision.utils is utils
    assert "transforms" in dir(deepgpu.vision)
    with pytest.raises(AttributeError, match="no attribute 'audio'"):
        deepgpu.vision.audio  # noqa: B018
