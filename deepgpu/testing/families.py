"""Samples that fit whole families of ops: one operand, two operands, reductions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from deepgpu.testing.entry import Failure
from deepgpu.testing.samples import Maker, Sample

SHAPES: tuple[tuple[int, ...], ...] = ((), (5,), (3, 4), (2, 3, 4), (2, 3, 4, 5), (0,), (2, 0, 3), (1, 1))
"""0-d, one to four dimensions, empty, and of size 1."""


def unary(make: Maker) -> Iterator[Sample]:
    """Every kind of shape, and special values."""
    for shape in SHAPES:
        yield Sample(make(*shape))
    yield Sample(make.special()).forward_only()


def unary_with(**kwargs: Any) -> Callable[[Maker], Iterator[Sample]]:
    """:func:`unary` with these keyword arguments."""

    def samples(make: Maker) -> Iterator[Sample]:
        for sample in unary(make):
            sample.kwargs.update(kwargs)
            yield sample

    return samples


BROADCASTS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3, 4), (3, 4)),
    ((2, 3, 4), (3, 1)),
    ((4,), (2, 3, 4)),
    ((1, 3, 1), (2, 1, 4)),
    ((), ()),
    ((2, 3), ()),
    ((), (2, 3)),
    ((0, 3), (1, 3)),
    ((1,), (0,)),
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (1, 3, 1, 1)),
)
"""Pairs of shapes that broadcast."""


def binary_tensors(make: Maker) -> Iterator[Sample]:
    """Two tensors, broadcast in every way, and special values."""
    for a, b in BROADCASTS:
        yield Sample(make(*a), make(*b))
    special = make.special()
    yield Sample(special[:, None], special[None, :]).forward_only()


def binary(make: Maker) -> Iterator[Sample]:
    """Two tensors, or a tensor and a Python number of each kind."""
    yield from binary_tensors(make)
    for number in (2, 1.5, 0.1, True):
        yield Sample(make(3, 2), number)
        yield Sample(make(), number)


def reduction(make: Maker) -> Iterator[Sample]:
    """All dimensions, one, several, negative, kept or not; 0-d and empty tensors."""
    yield Sample(make(3, 4))
    yield Sample(make())
    yield Sample(make(), dim=0)
    yield Sample(make(), dim=-1, keepdim=True)
    for dim in (0, 1, -1, (0, 2), (-1, 0), (0, 1, 2)):
        yield Sample(make(2, 3, 4), dim=dim)
        yield Sample(make(2, 3, 4), dim=dim, keepdim=True)
    yield Sample(make(2, 3, 4, 5), dim=(2, 3))
    yield Sample(make(2, 3, 4, 5), dim=1)
    yield Sample(make(1, 3, 1), dim=(0, 2))


def reduction_of_one(make: Maker) -> Iterator[Sample]:
    """As :func:`reduction`, for ops that take one dimension."""
    for sample in reduction(make):
        if not isinstance(sample.kwargs.get("dim"), tuple):
            yield sample


def calls(*cases: tuple[Any, ...], **kwargs: Any) -> Callable[[Maker], Iterator[Sample]]:
    """Samples from ``(shape of the tensor, argument, argument, ...)``."""

    def samples(make: Maker) -> Iterator[Sample]:
        for shape, *rest in cases:
            yield Sample(make(*shape), *rest, **kwargs)

    return samples


def joined(*sources: Callable[[Maker], Iterator[Sample]]) -> Callable[[Maker], Iterator[Sample]]:
    """The samples of all sources."""
    return lambda make: (sample for source in sources for sample in source(make))


def failures(name: str, *cases: tuple[Any, ...]) -> Callable[[Maker], Iterator[Failure]]:
    """Failures from ``(pattern, shape of the tensor, argument, ...)``; the message names the op before the pattern."""

    def errors(make: Maker) -> Iterator[Failure]:
        for pattern, shape, *rest in cases:
            yield Failure(Sample(make(*shape), *rest), rf"`{name}`.*{pattern}")

    return errors
