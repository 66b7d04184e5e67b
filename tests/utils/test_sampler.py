"""Samplers against PyTorch's: the same lengths, the same sets of indices, the same batches."""

import collections

import numpy as np
import pytest
import torch.utils.data as torch_data

import deepgpu as dg
from deepgpu.utils import data


def _seeded(seed=0):
    return dg.Generator().manual_seed(seed)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("n", "batch_size"), [(0, 3), (1, 3), (9, 3), (10, 3), (2, 5)])
def test_batch_sampler(n, batch_size, drop_last):
    ours = data.BatchSampler(data.SequentialSampler(range(n)), batch_size, drop_last)
    theirs = torch_data.BatchSampler(torch_data.SequentialSampler(range(n)), batch_size, drop_last)
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("num_samples", [None, 3, 10, 25])
def test_random_sampler_is_permutations(num_samples):
    sampler = data.RandomSampler(range(10), num_samples=num_samples, generator=_seeded())
    drawn = list(sampler)
    theirs = list(torch_data.RandomSampler(range(10), num_samples=num_samples))
    assert len(drawn) == len(sampler) == len(theirs)
    for start in range(0, len(drawn), 10):
        assert len(set(drawn[start : start + 10])) == len(drawn[start : start + 10])


def test_random_sampler_with_replacement():
    drawn = list(data.RandomSampler(range(10), replacement=True, num_samples=5000, generator=_seeded()))
    assert len(drawn) == 5000
    counts = np.bincount(drawn, minlength=10)
    assert counts.shape == (10,)
    assert abs(counts - 500).max() < 110  # five standard deviations


def test_random_sampler_is_seeded():
    assert list(data.RandomSampler(range(50), generator=_seeded(1))) == list(
        data.RandomSampler(range(50), generator=_seeded(1))
    )
    dg.manual_seed(3)
    first = list(data.RandomSampler(range(50)))
    second = list(data.RandomSampler(range(50)))
    dg.manual_seed(3)
    assert list(data.RandomSampler(range(50))) == first
    assert first != second


def test_subset_random_sampler():
    sampler = data.SubsetRandomSampler([5, 7, 9], generator=_seeded())
    assert sorted(sampler) == [5, 7, 9]
    assert len(sampler) == 3


def test_weighted_random_sampler_follows_the_weights():
    weights = [0.0, 1.0, 3.0, 4.0]
    drawn = list(data.WeightedRandomSampler(weights, 8000, generator=_seeded()))
    counts = collections.Counter(drawn)
    assert counts[0] == 0
    np.testing.assert_allclose([counts[i] / 8000 for i in range(4)], np.array(weights) / 8, atol=0.03)


def test_weighted_random_sampler_without_replacement():
    drawn = list(data.WeightedRandomSampler([0.5, 0, 1, 2], 3, replacement=False, generator=_seeded()))
    assert sorted(drawn) == [0, 2, 3]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: data.RandomSampler([]), ValueError, "`num_samples` takes a positive integer"),
        (lambda: data.RandomSampler([1], replacement=1), TypeError, "`replacement` takes a bool"),
        (lambda: data.BatchSampler([1], 0, False), ValueError, "`batch_size` takes a positive integer"),
        (lambda: data.BatchSampler([1], True, False), ValueError, "`batch_size` takes a positive integer"),
        (lambda: data.BatchSampler([1], 1, 0), ValueError, "`drop_last` takes a bool"),
        (lambda: data.WeightedRandomSampler([[1.0]], 1), ValueError, "1-d sequence"),
        (lambda: data.WeightedRandomSampler([-1.0, 2.0], 1), ValueError, "finite numbers >= 0"),
        (lambda: data.WeightedRandomSampler([0.0, float("nan")], 1), ValueError, "finite numbers >= 0"),
        (lambda: data.WeightedRandomSampler([0.0, 1.0], 2, False), ValueError, "1 weights are not 0"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
