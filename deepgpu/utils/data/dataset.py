"""Data sets: samples by index (map style) or one after the other (iterable style)."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from deepgpu.ops.creation import as_tensor
from deepgpu.ops.sampling import randperm
from deepgpu.random import Generator, default_generator
from deepgpu.tensor import Tensor
from deepgpu.utils.data.samples import Samples

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples by index: subclasses define ``__getitem__`` and, for the usual samplers, ``__len__``.

    A subclass may also define ``__getitems__(indices)``, which gives the samples of one batch as a list or, already
    put together, as :class:`Samples`; a loader prefers it.
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define `__getitem__(index)`")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Samples one after the other: subclasses define ``__iter__``.

    Every worker of a loader iterates over a copy of its own. :func:`get_worker_info` tells it which share to take;
    without that, every sample comes once from each worker.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define `__iter__()`")

    def __add__(self, other: Dataset[Any]) -> Any:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors that are indexed together along their first dimension.

    Parameters
    ----------
    *tensors
        Tensors with the same size of dimension 0.
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("`TensorDataset`: needs at least one tensor")
        lengths = [t.size(0) for t in tensors]
        if len(set(lengths)) > 1:
            raise ValueError(f"`TensorDataset`: size mismatch between tensors: dimension 0 has sizes {lengths}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __getitems__(self, indices: Sequence[int]) -> Samples:
        index = as_tensor(list(indices))
        return Samples(*(t[index] for t in self.tensors))

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class StackDataset(Dataset[Any]):
    """Data sets side by side: a sample is a tuple (or a dict) of one sample of each.

    Parameters
    ----------
    *args
        Data sets of one length; samples become tuples.
    **kwargs
        Data sets of one length; samples become dicts.
    """

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("`StackDataset`: takes data sets either all as positional or all as keyword arguments")
        self.datasets: Any = args or kwargs
        lengths = [len(d) for d in (args or kwargs.values())]  # type: ignore[arg-type]
        if len(set(lengths)) > 1:
            raise ValueError(f"`StackDataset`: size mismatch between data sets: lengths {lengths}")
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: d[index] for name, d in self.datasets.items()}
        return tuple(d[index] for d in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Data sets one behind the other.

    Parameters
    ----------
    datasets
        Map-style data sets.
    """

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("`ConcatDataset`: `datasets` should not be an empty iterable")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise TypeError("`ConcatDataset`: does not support IterableDataset; use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> T_co:
        if index < 0:
            if -index > len(self):
                raise ValueError(f"`ConcatDataset`: index {index} is out of range of {len(self)} samples")
            index += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, index)
        if which == len(self.datasets):
            raise IndexError(f"`ConcatDataset`: index {index} is out of range of {len(self)} samples")
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[T_co]):
    """Iterable-style data sets one behind the other.

    Parameters
    ----------
    datasets
        Iterable-style data sets.
    """

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = datasets

    def _each(self) -> Iterator[Any]:
        for d in self.datasets:
            if not isinstance(d, IterableDataset):
                raise TypeError(f"`ChainDataset`: only supports IterableDataset, but got {type(d).__name__}")
            yield d

    def __iter__(self) -> Iterator[T_co]:
        for d in self._each():
            yield from d

    def __len__(self) -> int:
        return sum(len(d) for d in self._each())


class Subset(Dataset[T_co]):
    """The samples of a data set at some indices.

    Parameters
    ----------
    dataset
        A map-style data set.
    indices
        Which of its samples, in which order.
    """

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        own = type(self)
        if own.__getitem__ is not Subset.__getitem__ and own.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{own.__name__} overrides `__getitem__` but not `__getitems__`, which loaders call; define "
                "`def __getitems__(self, indices): return [self[i] for i in indices]`"
            )
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> Any:
        chosen = [self.indices[i] for i in indices]
        together = getattr(self.dataset, "__getitems__", None)
        return [self.dataset[i] for i in chosen] if together is None else together(chosen)

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset[T_co], lengths: Sequence[float], generator: Generator | None = default_generator
) -> list[Subset[T_co]]:
    """Deal the samples out at random to subsets that do not overlap.

    Parameters
    ----------
    dataset
        A map-style data set with a length.
    lengths
        Numbers of samples, or fractions that sum to 1: then each subset gets ``floor(fraction * len(dataset))`` samples
        and those left over go one each to the first subsets.
    generator
        Where the permutation is drawn from.
    """
    total = len(dataset)  # type: ignore[arg-type]
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"`random_split`: fraction at index {i} is not between 0 and 1: {fraction}")
        counts = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
        for i, count in enumerate(counts):
            if count == 0:
                warnings.warn(f"`random_split`: the length of the split at index {i} is 0", stacklevel=2)
    else:
        counts = list(lengths)  # type: ignore[arg-type]
    if sum(counts) != total:
        raise ValueError(f"`random_split`: `lengths` sum to {sum(counts)}, but the data set has {total} samples")
    order = randperm(total, generator=generator).tolist()
    ends = itertools.accumulate(counts)
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]
