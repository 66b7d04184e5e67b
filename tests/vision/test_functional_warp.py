"""Maps of the plane: tensors against PyTorch's grid_sample, Pillow images against tensors."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.vision.transforms import InterpolationMode, functional as F
from tests.vision.images import as_array, levels_apart, pair


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
    pil, tensor = pair()
    for mode in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        ours = F.rotate(tensor, 90 * turns, mode, expand=True)
        np.testing.assert_array_equal(ours.numpy(), np.rot90(tensor.numpy(), turns, (1, 2)))
        np.testing.assert_array_equal(as_array(F.rotate(pil, 90 * turns, mode, expand=True)), ours.numpy())


@pytest.mark.parametrize("angle", [0, 10, 45, 120, -30])
def test_expanded_rotation_has_pillow_s_size(angle):
    pil, tensor = pair(height=20, width=31)
    theirs = F.rotate(pil, angle, expand=True)
    ours = F.rotate(tensor, angle, expand=True)
    assert ours.shape[-2:] == theirs.size[::-1]
    assert np.mean(ours.numpy() == as_array(theirs)) > 0.97  # rounding decides pixels at equal distance


def test_rotation_fills():
    pil, tensor = pair()
    for mode in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        corner = F.rotate(tensor, 45, mode, expand=True, fill=(10, 20, 30)).numpy()[:, 0, 0]
        assert corner.tolist() == [10, 20, 30]
        assert as_array(F.rotate(pil, 45, mode, expand=True, fill=(10, 20, 30)))[:, 0, 0].tolist() == [10, 20, 30]
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
    pil, tensor = pair(height=40, width=30)
    ours = F.affine(tensor, 25, (3, 2), 1.2, (5, 7), InterpolationMode.BILINEAR).numpy()
    theirs = as_array(F.affine(pil, 25, (3, 2), 1.2, (5, 7), InterpolationMode.BILINEAR))
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
    pil, _ = pair()
    assert levels_apart(F.perspective(pil, start, start), pil) <= 1
