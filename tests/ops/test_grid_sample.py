"""deepgpu.ops.grid_sample against PyTorch, and what needs no grid to be known."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample

MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


def sampled(make: Maker) -> Iterator[Sample]:
    image = make(2, 3, 4, 5)
    for mode, padding, align in itertools.product(MODES, PADDINGS, (False, True)):
        # random places up to 3.7 images away: none on a kink
        yield Sample(image, make(2, 3, 2, 2, low=-3.7, high=3.7), mode, padding, align)
    for padding in PADDINGS:
        yield Sample(make(1, 2, 1, 3), make(1, 4, 2, 2, low=-2, high=2), padding_mode=padding, align_corners=False)
        yield Sample(image[:0], make(0, 3, 2, 2), padding_mode=padding, align_corners=True)
        yield Sample(image, make(2, 0, 2, 2), padding_mode=padding, align_corners=True)
    yield Sample(image[:1], make.values([[[[-1, -1], [1, 1], [0, 0], [1, -1]]]]), "bicubic", "border", True).at_kink()
    for padding in PADDINGS:  # the corners themselves, and infinitely far away
        corners = make.values([[[[-1, -1], [1, 1], [0, 0], [1, -1]]]])
        yield Sample(image[:1], corners, "bilinear", padding, True).forward_only()
    nowhere = make.values([[[[np.nan, 0], [np.inf, 0], [0, -np.inf], [1e30, 1]]]])
    yield Sample(image[:1], nowhere, align_corners=False).forward_only()


def volumes(make: Maker) -> Iterator[Sample]:
    volume = make(2, 2, 3, 2, 4)
    for mode, padding, align in itertools.product(MODES[:2], PADDINGS, (False, True)):
        yield Sample(volume, make(2, 1, 3, 2, 3, low=-2.7, high=2.7), mode, padding, align)


def sample_errors(make: Maker) -> Iterator[Failure]:
    image, grid = make(2, 3, 4, 5), make(2, 3, 2, 2)
    yield Failure(Sample(image, grid, "cubic", align_corners=True), "`grid_sample`: `mode` takes.*'cubic'")
    yield Failure(Sample(image, grid, "nearest", "mirror", True), "`padding_mode` takes.*'mirror'")
    yield Failure(Sample(make(3, 4, 5), grid, align_corners=True), r"`input` takes \(N, C, H, W\).*\(3, 4, 5\)")
    yield Failure(Sample(image, make(1, 3, 2, 2), align_corners=True), r"`grid` takes.*\(1, 3, 2, 2\)")
    yield Failure(Sample(image, make(2, 3, 2, 3), align_corners=True), r"`grid` takes.*the last 2")
    yield Failure(Sample(make(2, 3, 0, 5), grid, align_corners=True), "`input` takes spatial sizes of at least 1")
    volume, places = make(1, 2, 3, 2, 4), make(1, 2, 2, 2, 3)
    yield Failure(Sample(volume, places, "bicubic", align_corners=True), "`mode` takes.*for volumes")
    yield Failure(Sample(image, grid.astype(np.float32), align_corners=True), "`grid` takes the dtype")


def transformed(make: Maker) -> Iterator[Sample]:
    for align in (False, True):
        yield Sample(make(2, 2, 3), (2, 1, 3, 4), align)
        yield Sample(make(2, 3, 4), [2, 5, 2, 4, 3], align)
    yield Sample(make(1, 2, 3), (1, 1, 1, 3), False)


def transform_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 2, 3), (1, 1, 3, 4), False), r"`affine_grid`: `theta` takes shape \(1, 2, 3\)")
    yield Failure(Sample(make(2, 3, 3), (2, 1, 3, 4), False), r"`affine_grid`: `theta` takes.*\(2, 3, 3\)")
    yield Failure(Sample(make(2, 2, 3), (2, 3, 4), False), "`affine_grid`: `size` takes 4 or 5 numbers")
    yield Failure(Sample(make(2, 2, 3), (2, 1, 0, 4), False), "`affine_grid`: `size` takes positive numbers")


PRECISE = ("float64", "float32")
SETTINGS: dict[str, Any] = {
    "dtypes": PRECISE,
    "layouts": ("channels_last", "sliced"),
    "skip": {"double_backward": "PyTorch has no second derivative of grid_sample"},  # finite differences judge it
}
ENTRIES = [
    OpEntry("grid_sample", sampled, sample_errors, **SETTINGS),
    OpEntry("grid_sample", volumes, variant="volumes", **SETTINGS),
    OpEntry("affine_grid", transformed, transform_errors, dtypes=PRECISE),
]


class TestGridSample(OpTests):
    entries = ENTRIES


def test_without_align_corners_both_warn() -> None:
    theta = dg.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    with pytest.warns(UserWarning, match="`affine_grid`: `align_corners`"):
        grid = F.affine_grid(theta, (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="`grid_sample`: `align_corners`"):
        F.grid_sample(dg.ones(1, 1, 2, 2), grid)


def test_outside_does_not_touch_what_is_inside() -> None:
    """0 times an infinity would be NaN."""
    image = np.full((1, 1, 2, 2), np.inf, np.float32)
    grid = np.full((1, 1, 1, 2), 5, np.float32)
    expected = torch.nn.functional.grid_sample(torch.tensor(image), torch.tensor(grid), align_corners=False)
    actual = F.grid_sample(dg.tensor(image), dg.tensor(grid), align_corners=False)
    np.testing.assert_array_equal(actual.numpy(), expected.numpy())
