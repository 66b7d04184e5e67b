"""Which samples train and which judge."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from deepgpu.ops.sampling import randperm
from deepgpu.random import Generator


def holdout(samples: int, share: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """Deal sample numbers out at random to training and validation.

    Parameters
    ----------
    samples
        How many there are.
    share
        The share for validation, 0 <= share < 1.
    seed
        The same seed gives the same split.

    Returns
    -------
    training, validation
    """
    if not 0 <= share < 1:
        raise ValueError(f"holdout: `share` takes a number from 0 up to but without 1, but got {share}")
    order = randperm(samples, generator=Generator().manual_seed(seed)).tolist()
    kept = round(samples * share)
    return order[kept:], order[:kept]


def k_fold(samples: int, k: int, seed: int = 0) -> Iterator[tuple[list[int], list[int]]]:
    """``k`` pairs of training and validation numbers; each sample is in the validation part of exactly one.

    Parameters
    ----------
    samples
        How many there are.
    k
        How many folds, 2 to ``samples``; their sizes differ by at most 1.
    seed
        The same seed gives the same folds.
    """
    if not 2 <= k <= samples:
        raise ValueError(f"k_fold: `k` takes a number from 2 to the {samples} samples, but got {k}")
    order = randperm(samples, generator=Generator().manual_seed(seed)).tolist()
    ends = [samples * i // k for i in range(k + 1)]
    for start, end in itertools.pairwise(ends):
        yield order[:start] + order[end:], order[start:end]
