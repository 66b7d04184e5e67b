"""Samplers: in which order the samples of an epoch come, and how they form batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.creation import as_tensor
from deepgpu.ops.sampling import randint, randperm
from deepgpu.random import Generator, default_generator

T_co = TypeVar("T_co", covariant=True)

_MAX_SEED = 2**63 - 1
_CHUNK = 1024  # indices drawn at a time when drawing with replacement


def draw_seed(generator: Generator | None) -> int:
    """A seed for another stream, drawn from ``generator`` or the default one."""
    return randint(_MAX_SEED, (), generator=generator).item()


def _positive(sampler: str, argument: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(takes(sampler, argument, "a positive integer", repr(value)))


def _boolean(sampler: str, argument: str, value: Any, error: type[Exception]) -> None:
    if not isinstance(value, bool):
        raise error(takes(sampler, argument, "a bool", repr(value)))


class Sampler(Generic[T_co]):
    """The order of an epoch: subclasses define ``__iter__``, which yields indices (or lists of them: batches), and may
    define ``__len__``.

    Notes
    -----
    A loader runs its sampler on a stream of random numbers of the epoch's own: draws without a ``generator`` depend on
    the epoch's seed alone.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define `__iter__()`")


class SequentialSampler(Sampler[int]):
    """All indices in order.

    Parameters
    ----------
    data_source
        Anything with a length.
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices in random order.

    Parameters
    ----------
    data_source
        Anything with a length.
    replacement
        Draw each index anew, so that some come several times and some not at all.
    num_samples
        How many; by default as many as there are. Without replacement, more than there are means another permutation.
    generator
        Where they are drawn from; by default a stream that the default generator seeds.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        _boolean("RandomSampler", "replacement", replacement, TypeError)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        _positive("RandomSampler", "num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has; the length of the source may change meanwhile."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n = len(self.data_source)
        generator = self.generator or Generator().manual_seed(draw_seed(None))
        left = self.num_samples
        while left > 0:
            if self.replacement:
                drawn = randint(n, (_CHUNK,), generator=generator)
            else:
                drawn = randperm(n, generator=generator)
            yield from drawn[:left].tolist()
            left -= len(drawn)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices in random order, each once.

    Parameters
    ----------
    indices
        The indices.
    generator
        Where the order is drawn from.
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices ``0 .. len(weights) - 1``, each drawn with a probability in proportion to its weight.

    Parameters
    ----------
    weights
        Weights >= 0, which need not sum to 1.
    num_samples
        How many indices an epoch has.
    replacement
        Whether an index can come more than once.
    generator
        Where they are drawn from.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        name = "WeightedRandomSampler"
        _positive(name, "num_samples", num_samples)
        _boolean(name, "replacement", replacement, ValueError)
        self.weights = as_tensor(weights, dtype=dtypes.float64)
        w = self.weights.numpy()
        if w.ndim != 1:
            raise ValueError(takes(name, "weights", "a 1-d sequence", f"shape {w.shape}"))
        if not ((w >= 0).all() and w.sum() > 0 and w.sum() < float("inf")):
            raise ValueError(takes(name, "weights", "finite numbers >= 0, not all 0", "others"))
        if not replacement and num_samples > (w > 0).sum():
            raise ValueError(
                f"`{name}`: cannot draw {num_samples} samples without replacement: {(w > 0).sum()} weights are not 0"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        p = self.weights.numpy()
        stream = (self.generator or default_generator).numpy
        yield from stream.choice(len(p), self.num_samples, self.replacement, p / p.sum()).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of indices, for batches, from another sampler.

    Parameters
    ----------
    sampler
        An iterable of indices.
    batch_size
        How many indices a batch has.
    drop_last
        Leave away the last batch if it has fewer.
    """

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool) -> None:
        _positive("BatchSampler", "batch_size", batch_size)
        _boolean("BatchSampler", "drop_last", drop_last, ValueError)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
