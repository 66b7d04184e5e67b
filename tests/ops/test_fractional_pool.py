"""deepgpu.ops.fractional_pool against PyTorch, with the same random numbers, and what holds for any."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample


def pooled(make: Maker) -> Iterator[Sample]:
    shifts = make(2, 3, 2, low=0, high=1)
    for options in ({"output_size": 3}, {"output_size": (1, 4)}, {"output_ratio": (0.5, 0.6)}, {"output_size": (6, 7)}):
        image = make.distinct(2, 3, 7, 8)
        yield Sample(image, 2, **options, return_indices=True, _random_samples=shifts)
    yield Sample(make.distinct(3, 6, 6), (2, 3), output_ratio=(0.5, 0.5), _random_samples=shifts[:1])


def pool_errors(make: Maker) -> Iterator[Failure]:
    image, shifts = make(1, 2, 4, 4), make(1, 2, 2, low=0, high=1)
    yield Failure(Sample(image, 2, _random_samples=shifts), "`fractional_max_pool2d`: `output_size` takes.*None")
    yield Failure(
        Sample(image, 3, 3, _random_samples=shifts), r"`input` takes sizes that windows \(3, 3\).*\(1, 2, 4, 4\)"
    )
    yield Failure(Sample(image[0, 0], 2, 2, _random_samples=shifts), r"`input` takes \(N, C, H, W\)")
    yield Failure(Sample(image, 2, 2, _random_samples=shifts[:, :1]), r"`_random_samples` takes shape \(1, 2, 2\)")


ENTRIES = [
    OpEntry(
        "fractional_max_pool2d",
        pooled,
        pool_errors,
        dtypes=("float64", "float32"),
        layouts=("channels_last", "sliced"),
        constants=("_random_samples",),
    ),
]


class TestFractionalPool(OpTests):
    entries = ENTRIES


def test_windows_are_drawn_anew_and_repeat_with_the_seed() -> None:
    x = dg.tensor(np.random.default_rng(0).permutation(400).reshape(1, 1, 20, 20).astype(np.float32))
    dg.manual_seed(0)
    first, second = (F.fractional_max_pool2d(x, 2, 13) for _ in range(2))
    dg.manual_seed(0)
    again, index = F.fractional_max_pool2d(x, 2, output_ratio=0.65, return_indices=True)
    assert not bool((first == second).all())
    assert bool((first == again).all())
    assert bool((x.reshape(-1)[index] == again).all())
    assert float(again[0, 0, -1, -1]) == float(x[0, 0, -2:, -2:].max())  # the last window is at the end


def test_layer() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 8))
    shifts = np.random.default_rng(1).random((2, 3, 2))
    for options in ({"output_size": (3, 4)}, {"output_ratio": (0.5, 0.4), "return_indices": True}):
        theirs = torch.nn.FractionalMaxPool2d((2, 3), **options, _random_samples=torch.tensor(shifts))
        mine = dg.nn.FractionalMaxPool2d((2, 3), **options, _random_samples=dg.tensor(shifts))
        expected, actual = theirs(torch.tensor(x)), mine(dg.tensor(x))
        if "return_indices" in options:
            np.testing.assert_array_equal(actual[1].numpy(), expected[1].numpy())
            expected, actual = expected[0], actual[0]
        np.testing.assert_array_equal(actual.numpy(), expected.numpy())
    for nn in (torch.nn, dg.nn):
        for wrong in ({}, {"output_size": 3, "output_ratio": 0.5}, {"output_ratio": 1.5}):
            with pytest.raises(ValueError, match=r"output|pooling ratio"):
                nn.FractionalMaxPool2d(2, **wrong)
